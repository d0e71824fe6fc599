"""What operations claims about an order, from its facts: on time by which date, and in full."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal, localcontext

from msgspec import Struct

from pipeline.domain.events.contract import DeliveredLine
from pipeline.domain.orders.cancellations import EXACT, lines_of
from pipeline.domain.orders.facts import Facts
from pipeline.domain.orders.parcels import counted_lines, delivery_of

_NOTHING = Decimal(0)


class Claim(Struct, frozen=True, omit_defaults=True):
    """What operations claims about an order. None: no claim (not delivered, no such date, no quantities)."""

    delivered_at: datetime | None = None
    on_time_first: bool | None = None
    on_time_latest: bool | None = None
    on_time_requested: bool | None = None
    in_full: bool | None = None

    @property
    def on_time(self) -> bool | None:
        """The claim as companies usually report it: by the latest promise."""
        return self.on_time_latest


NO_CLAIM = Claim()


def claim_of(facts: Facts) -> Claim:
    """The claim that follows from the current facts."""
    if not facts.known:
        return NO_CLAIM
    delivered_at = delivery_of(facts).delivered_at
    if delivered_at is None:
        return NO_CLAIM
    return Claim(
        delivered_at,
        _kept(delivered_at, facts.first_promise),
        _kept(delivered_at, facts.latest_promise),
        _kept(delivered_at, facts.latest.requested_by),
        _in_full(facts),
    )


def _kept(delivered_at: datetime, by_when: datetime | None) -> bool | None:
    return None if by_when is None else delivered_at <= by_when


def _in_full(facts: Facts) -> bool | None:
    """Whether every line was delivered in full: by the quantities in scans if there are any, else by the order's."""
    lines = lines_of(facts)
    if not lines:
        return None
    counted = {(parcel, sku): n for parcel, its in counted_lines(facts) for sku, n in _by_sku(its).items()}
    if counted:
        delivered = _total((sku, n) for (_, sku), n in counted.items())
        ordered = _total((line.sku, line.ordered) for line in lines)
        return all(delivered.get(sku, _NOTHING) >= wanted for sku, wanted in ordered.items())
    if any(line.delivered is None for line in lines):
        return None
    return all((line.delivered or _NOTHING) >= line.ordered for line in lines)


def _by_sku(lines: Iterable[DeliveredLine]) -> dict[str, Decimal]:
    """What one scan counted: an article may be in several of its lines."""
    return _total((line.sku, line.delivered) for line in lines)


def _total(quantities: Iterable[tuple[str, Decimal]]) -> dict[str, Decimal]:
    """The sum for each article. It is exact: no digit that a source wrote is rounded away."""
    sums: dict[str, Decimal] = {}
    with localcontext(EXACT):
        for sku, quantity in quantities:
            sums[sku] = sums.get(sku, _NOTHING) + quantity
    return sums
