"""What the scans of an order say about its parcels: when all have arrived, and whether anything came back.

The number of parcels is the larger of what the order states and what the scans show: a parcel that was seen on its way
and did not arrive keeps the order open. A parcel that comes up after another was returned replaces it.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from pipeline.domain.events.contract import BadEvent, DeliveredLine
from pipeline.domain.events.tracking import normal_number
from pipeline.domain.orders.facts import Facts, Scan

WAIT_FOR_ORDER = timedelta(days=14)
"""How long an event that knows only a tracking number may precede the order."""
UNCLAIMED = BadEvent(f"no order has this tracking number, {WAIT_FOR_ORDER.days} days later", "data.tracking_number")
"""Why such an event is a dead letter afterwards."""
NO_ORDER = BadEvent("leads to no order: the dead letter in the database says why", "data.tracking_number")
"""What the topic of dead letters says of any event whose number leads to no order."""
MOST_ORDERS = 100
"""How many orders may have one tracking number. More have a placeholder, which says nothing about any of them."""
MOST_WAITING = 200
"""How many events may wait for the orders of one tracking number."""
TOO_COMMON = BadEvent(f"more than {MOST_ORDERS} orders have this tracking number", "data.tracking_number")
TOO_MANY = BadEvent(f"{MOST_WAITING} events with this tracking number wait for an order", "data.tracking_number")
"""Why an event is a dead letter at once: its number identifies no parcel."""
REUSED_AFTER = timedelta(days=60)
"""So long after the delivery, an event that knows only the tracking number is about another parcel."""

_ON_ITS_WAY = ("dispatched", "out_for_delivery", "attempted", "available_for_pickup")


class Delivery(NamedTuple):
    """What operations says about the delivery of an order."""

    delivered_at: datetime | None  # when the last parcel arrived, UTC; None while one is missing or was returned
    left: bool  # whether anything ever left
    returned: bool  # whether parcels were returned, and no other is awaited


NO_DELIVERY = Delivery(None, False, False)


def delivery_of(facts: Facts) -> Delivery:
    """The delivery by the scans that count. A later scan of a parcel corrects an earlier one."""
    if not facts.scans:
        return NO_DELIVERY
    parcels, left = _Parcels(facts), False
    for parcel, scan in _counting(facts):
        parcels.apply(parcel, scan)
        left = left or scan.status != "exception"
    delivered_at = parcels.delivered_at()
    return Delivery(delivered_at, left, delivered_at is None and parcels.all_back())


def counted_lines(facts: Facts) -> list[tuple[str | None, list[DeliveredLine]]]:
    """The quantities that scans state, each with its parcel (None: the order), without parcels that were returned."""
    found: list[tuple[str | None, list[DeliveredLine]]] = []
    for parcel, scan in _counting(facts):
        if scan.status == "returned":
            found = [one for one in found if parcel is not None and one[0] != parcel]
        elif scan.lines:
            found.append((parcel, scan.lines))
    return found


def numbers_of(facts: Facts) -> dict[str, datetime]:
    """The tracking numbers of the order in their normal form, each with the time of the first event that names it."""
    found: dict[str, datetime] = {}
    named = [(revision.time, parcel.tracking_number) for revision in facts.revisions for parcel in revision.parcels]
    named += [(scan.time, scan.tracking) for scan in facts.scans if not scan.joined]
    for time, number in named:
        if number is not None:
            normal = normal_number(number)
            found[normal] = min(time, found.get(normal, time))
    return found


def counts(facts: Facts, source: str, event_id: str) -> bool:
    """Whether a scan of this order is about this order: not when its tracking number is that of another parcel."""
    return any((scan.source, scan.id) == (source, event_id) for _, scan in _counting(facts, retracted=()))


class _Parcels:
    """The parcels of an order while its scans are applied in their order."""

    def __init__(self, facts: Facts) -> None:
        revision = facts.latest if facts.known else None
        aliases = _aliases(facts)
        self._number = max(1, revision.shipments if revision else 0)
        listed = () if revision is None else revision.parcels
        names = (one.shipment_id or aliases[normal_number(one.tracking_number or "")] for one in listed)
        self._arrived: dict[str, datetime | None] = dict.fromkeys(names)
        if listed:
            self._number = len(self._arrived)  # two numbers of one parcel are one parcel
        self._listed = frozenset(self._arrived)
        self._returned: dict[str, None] = {}  # oldest first
        self._resent: set[str] = set()  # after a return: the order's earlier delivery does not include them
        self._whole: datetime | None = None  # when the order arrived, by a scan of the whole order
        self._all_returned = False  # by a scan of the whole order

    def apply(self, parcel: str | None, scan: Scan) -> None:
        if parcel is None:
            self._apply_to_all(scan)
            return
        if parcel not in self._arrived:
            if scan.status != "returned":
                self._replace(parcel)
            self._arrived[parcel] = None
        if scan.status == "delivered":
            self._arrived[parcel] = scan.at
            self._back_on_its_way(parcel)
        elif scan.status == "returned" and self._listed and parcel not in self._listed:
            del self._arrived[parcel]  # the list says which ones the order consists of
        elif scan.status == "returned":
            self._arrived[parcel] = None
            self._returned[parcel] = None
        elif scan.status in _ON_ITS_WAY:
            self._back_on_its_way(parcel)

    def delivered_at(self) -> datetime | None:
        if self._all_returned or self._returned or any(self._awaited()):
            return None
        times = [at for at in self._arrived.values() if at is not None]
        if self._whole is None:
            return max(times) if len(times) >= self._number else None
        return max([self._whole, *times])

    def all_back(self) -> bool:
        if self._all_returned:
            return True
        complete = self._whole is not None or len(self._arrived) >= self._number
        return bool(self._returned) and complete and not any(self._awaited())

    def _awaited(self) -> Iterator[str]:
        for parcel, at in self._arrived.items():
            if at is None and parcel not in self._returned and (self._whole is None or parcel in self._resent):
                yield parcel

    def _replace(self, parcel: str) -> None:
        """A new parcel replaces the first one that was returned, or all if the whole order was."""
        replaced = list(self._returned)[: None if self._all_returned else 1]
        for one in replaced:
            del self._returned[one], self._arrived[one]
            self._resent.add(parcel)
        self._all_returned = False

    def _back_on_its_way(self, parcel: str) -> None:
        if parcel in self._returned:
            del self._returned[parcel]
            self._resent.add(parcel)
        self._all_returned = False

    def _apply_to_all(self, scan: Scan) -> None:
        if scan.status == "delivered":
            self._whole = scan.at
            self._returned.clear()
            self._resent.clear()
            self._all_returned = False
        elif scan.status == "returned":
            self._whole = None
            self._returned = dict.fromkeys(self._arrived)
            self._arrived = dict.fromkeys(self._arrived)
            self._all_returned = True
        elif scan.status in _ON_ITS_WAY and self._all_returned:
            for one in self._returned:
                del self._arrived[one]
            self._returned.clear()
            self._all_returned = False


def _counting(facts: Facts, retracted: Collection[tuple[str, str]] | None = None) -> Iterator[tuple[str | None, Scan]]:
    """The scans that count, each with its parcel: not those that were retracted, or that are about another order."""
    if retracted is None:
        retracted = {(one.of_source, one.of_id) for one in facts.retractions}
    aliases = _aliases(facts)
    numbers = numbers_of(facts) if any(scan.joined for scan in facts.scans) else {}
    arrived: dict[str, datetime] = {}  # by tracking number, the time of the last scan that says so
    for scan in facts.scans:
        if (scan.source, scan.id) in retracted or (scan.joined and _is_foreign(scan, facts, numbers, arrived)):
            continue
        parcel = scan.shipment or (None if scan.tracking is None else aliases.get(scan.tracking, scan.tracking))
        if scan.status == "delivered":
            arrived.update({number: scan.time for number in numbers if parcel in (None, aliases.get(number, number))})
        yield parcel, scan


def _is_foreign(scan: Scan, facts: Facts, numbers: Mapping[str, datetime], arrived: Mapping[str, datetime]) -> bool:
    """Whether a scan that was joined by its number is about another parcel: carriers use a number again."""
    number = scan.tracking or ""
    since, delivered = numbers.get(number), arrived.get(number)
    if since is None or scan.time < since - WAIT_FOR_ORDER:
        return True
    if delivered is None:
        return False
    return scan.time >= delivered + REUSED_AFTER or any(
        use.number == number and use.since > delivered + WAIT_FOR_ORDER and scan.time >= use.since - WAIT_FOR_ORDER
        for use in facts.number_uses
    )


def _aliases(facts: Facts) -> dict[str, str]:
    """The parcel of each tracking number: its shipment id if one is known, else the number itself."""
    found: dict[str, str] = {}
    for scan in facts.scans:
        if scan.tracking is not None:
            found.setdefault(scan.tracking, scan.tracking)
            if scan.shipment is not None:
                found[scan.tracking] = scan.shipment
    for parcel in [parcel for revision in facts.revisions for parcel in revision.parcels]:
        if parcel.tracking_number is not None:
            number = normal_number(parcel.tracking_number)
            found[number] = parcel.shipment_id or found.get(number, number)
    return found
