"""The orders behind a figure: every figure that a filter can express leads to exactly the orders that it counts."""

from typing import NamedTuple

from pipeline.domain.detection.segments import Segment
from pipeline.store.reads.listing.order_list import OrderFilter
from pipeline.web.internal.orders import list_filter

PAIRS = ("on_time:11", "on_time:10", "on_time:01", "on_time:00")  # orders with a claim and a stated arrival


class Behind(NamedTuple):
    """The addresses of the orders behind the figures of a page; "" for those who may not open orders."""

    wanted: OrderFilter
    open: bool

    def counted(self, *counters: str) -> str:
        """The orders that are counted in one of these counters."""
        return self._address(self.wanted._replace(counted=counters))

    def not_asked(self, reason: str) -> str:
        """The orders about which nobody was asked for that reason."""
        return self._address(self.wanted._replace(reason=reason))

    def within(self, segment: Segment) -> "Behind":
        """The same for one segment."""
        return self._replace(wanted=self.wanted._replace(segments=(segment,)))

    def all(self) -> str:
        """All orders."""
        return self._address(self.wanted)

    def _address(self, wanted: OrderFilter) -> str:
        return list_filter.address(wanted) if self.open else ""
