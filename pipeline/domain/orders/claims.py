"""What operations claims about an order, from its facts: on time by which date, and in full."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from pipeline.domain.events.contract import Line
from pipeline.domain.orders.facts import Facts, Scan


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
    delivered_at = facts.delivered_at()
    if delivered_at is None:
        return NO_CLAIM
    latest = facts.latest
    return Claim(
        delivered_at,
        _kept(delivered_at, facts.first_promise),
        _kept(delivered_at, facts.latest_promise),
        _kept(delivered_at, latest.requested_by),
        _in_full(latest.lines, facts.scans),
    )


def _kept(delivered_at: datetime, by_when: datetime | None) -> bool | None:
    return None if by_when is None else delivered_at <= by_when


def _in_full(lines: Sequence[Line], scans: Sequence[Scan]) -> bool | None:
    """Whether every line was delivered in full: by the quantities in scans if there are any, else by the order's."""
    if not lines:
        return None
    by_shipment = {(scan.shipment, line.sku): line.delivered for scan in scans for line in scan.lines or ()}
    if by_shipment:
        delivered_by_sku: dict[str, float] = {}
        for (_, sku), quantity in by_shipment.items():
            delivered_by_sku[sku] = delivered_by_sku.get(sku, 0.0) + quantity
        ordered_by_sku: dict[str, float] = {}
        for line in lines:
            ordered_by_sku[line.sku] = ordered_by_sku.get(line.sku, 0.0) + line.ordered
        return all(delivered_by_sku.get(sku, 0.0) >= ordered for sku, ordered in ordered_by_sku.items())
    if any(line.delivered is None for line in lines):
        return None
    return all((line.delivered or 0.0) >= line.ordered for line in lines)
