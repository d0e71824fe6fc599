"""One order: what truly happened, and what the depot recorded. They differ only where a depot embellishes."""

from datetime import UTC, datetime, time, timedelta
from random import Random
from typing import NamedTuple
from zoneinfo import ZoneInfo

from pipeline.demo.conduct import Conduct
from pipeline.demo.people import ASKED, Customer, Person
from pipeline.domain.events.contract import Condition
from pipeline.domain.events.times import deadline

EARLY_SCANS_FROM = 30  # days after the start
MOVED_PROMISES_FROM = 25

# Share of orders that truly miss their promise. It is above the honest share only at depots that conceal it.
LATE = 0.057
LATE_WHERE_SCANNED_EARLY = 0.28
LATE_WHERE_MOVED = 0.2
LATE_WHERE_UNASKED = 0.15

# Cumulative shares of orders.
_DEFECT_SHARES: tuple[tuple[Condition, float], ...] = (
    ("damaged", 0.007),
    ("incomplete", 0.011),
    ("wrong", 0.013),
    ("papers_missing", 0.016),
)
_HOURS_OF_PROMISES = (10, 12, 14, 16, 17)  # local time
_SKUS = tuple(f"{family}-{number}" for family in ("GLV", "TAP", "FIX", "PAL", "SEAL") for number in range(1, 9))


class Parcel(NamedTuple):
    """One shipment: when it left, truly arrived (None: never) and was recorded as delivered (None: never)."""

    dispatched: datetime
    arrived: datetime | None
    scanned: datetime | None

    def shifted(self, by: timedelta) -> "Parcel":
        """The same parcel, every time moved by `by`."""
        return Parcel(self.dispatched + by, self.arrived and self.arrived + by, self.scanned and self.scanned + by)


class Move(NamedTuple):
    """A moved promise: when it was moved, the new promise, by whom and why."""

    at: datetime
    promised: datetime
    by: str
    reason: str

    def shifted(self, by: timedelta) -> "Move":
        """The same move, every time moved by `by`."""
        return self._replace(at=self.at + by, promised=self.promised + by)


class Item(NamedTuple):
    """One line, in pieces: the depot may record fewer pieces as delivered than were ordered."""

    sku: str
    ordered: int
    delivered: int


class Story(NamedTuple):
    """What truly happened to an order, and its record. `agreed`: the promise the customer relies on. Aware times."""

    order_id: str
    customer: Customer
    carrier: str
    people: tuple[Person, ...]
    items: tuple[Item, ...]
    ordered: datetime
    requested: datetime | str | None
    promised: datetime
    agreed: datetime
    completed: datetime
    parcels: tuple[Parcel, ...]
    move: Move | None
    defect: Condition | None  # of the goods, not in the record
    lag: timedelta  # from an event to its receipt
    paperwork_late: bool  # the order is reported after its delivery
    shuffled: bool  # the first scan is received after the last
    repeated: bool  # an event is sent twice
    corrected: datetime | None  # when the lines were corrected
    eventful: bool  # with scans besides the required ones

    @property
    def arrived(self) -> datetime | None:
        """When the last parcel truly arrived; None if one never did."""
        times = [parcel.arrived for parcel in self.parcels if parcel.arrived is not None]
        return max(times) if len(times) == len(self.parcels) else None

    @property
    def scanned(self) -> datetime | None:
        """When the record says the order was delivered; None if a scan is missing."""
        times = [parcel.scanned for parcel in self.parcels if parcel.scanned is not None]
        return max(times) if len(times) == len(self.parcels) else None

    @property
    def late(self) -> bool:
        """Whether the customer truly waited longer than agreed."""
        arrived = self.arrived
        return arrived is None or arrived > self.agreed

    @property
    def claimed_late(self) -> bool | None:
        """Whether the order is late by the record and its last promise; None without a recorded delivery."""
        scanned = self.scanned
        return None if scanned is None else scanned > (self.move.promised if self.move else self.promised)

    @property
    def scanned_early(self) -> bool:
        """Whether the depot recorded the delivery before it happened."""
        scanned, arrived = self.scanned, self.arrived
        return scanned is not None and arrived is not None and scanned < arrived

    @property
    def last(self) -> datetime:
        """The time of the newest event in its record."""
        times = [self.completed, self.corrected, self.move and self.move.at]
        times += [moment for parcel in self.parcels for moment in (parcel.dispatched, parcel.scanned)]
        return max(moment for moment in times if moment is not None)

    def shifted(self, by: timedelta) -> "Story":
        """The same story, every time moved by `by`.

        A requested day becomes the last instant of that day: otherwise lateness would depend on the hour.
        """
        wish = self.requested
        if isinstance(wish, str):
            wish = deadline(wish, self.customer.depot.timezone)
        return self._replace(
            ordered=self.ordered + by,
            requested=wish and _later(wish, by),
            promised=_later(self.promised, by),
            agreed=_later(self.agreed, by),
            completed=self.completed + by,
            parcels=tuple(parcel.shifted(by) for parcel in self.parcels),
            move=self.move and self.move.shifted(by),
            corrected=self.corrected and self.corrected + by,
        )


def _later(moment: datetime, by: timedelta) -> datetime:
    """A local time moved by elapsed time, independent of daylight saving changes."""
    return moment.astimezone(UTC) + by


def story_of(rng: Random, day: int, number: int, midnight: datetime, customer: Customer, conduct: Conduct) -> Story:
    """Draw order `number` of `day`, which starts at `midnight` (UTC), of a company with that conduct."""
    depot = customer.depot.name
    completed = midnight + timedelta(minutes=rng.randint(300, 900))
    promised = _promise(rng, completed, customer.depot.timezone)
    late = rng.random() < _late_share(conduct, depot, day)
    arrival = _arrival(rng, completed, promised, late)
    move, agreed = _move(rng, conduct, depot, day, completed, promised, arrival, late)
    if agreed != promised and not late:
        arrival = agreed - timedelta(minutes=rng.randint(60, 480))
    parcels = _parcels(rng, conduct, depot, day, completed, promised, arrival)
    items, short = _items(rng)
    defect = "incomplete" if short else _defect(rng)
    people = _people(rng, customer)
    if depot == conduct.asks_nothing and (late or defect in ("damaged", "incomplete")):
        people = _silenced(rng, people)
    return Story(
        order_id=f"SO-{day:03d}-{number:03d}",
        customer=customer,
        carrier=rng.choice(customer.depot.carriers),
        people=people,
        items=items,
        ordered=completed - timedelta(minutes=rng.randint(600, 7_000)),
        requested=_requested(rng, promised),
        promised=promised,
        agreed=agreed,
        completed=completed,
        parcels=parcels,
        move=move,
        defect=defect,
        lag=timedelta(seconds=rng.randint(5, 420)),
        paperwork_late=rng.random() < 0.005,
        shuffled=rng.random() < 0.01,
        repeated=rng.random() < 0.01,
        corrected=completed + timedelta(hours=rng.randint(20, 60)) if rng.random() < 0.004 else None,
        eventful=rng.random() < 0.3,
    )


def _late_share(conduct: Conduct, depot: str, day: int) -> float:
    if depot == conduct.scans_early and day >= EARLY_SCANS_FROM:
        return LATE_WHERE_SCANNED_EARLY
    if depot == conduct.moves_promises and day >= MOVED_PROMISES_FROM:
        return LATE_WHERE_MOVED
    return LATE_WHERE_UNASKED if depot == conduct.asks_nothing else LATE


def _promise(rng: Random, completed: datetime, timezone: str) -> datetime:
    """A promise one to three days ahead, at a full hour local to the customer."""
    zone = ZoneInfo(timezone)
    day = completed.astimezone(zone).date() + timedelta(days=rng.choice((1, 1, 2, 2, 3)))
    return datetime.combine(day, time(rng.choice(_HOURS_OF_PROMISES)), zone)


def _arrival(rng: Random, completed: datetime, promised: datetime, late: bool) -> datetime:
    """The true arrival of the last parcel (UTC): 3 to 72 hours late, or half an hour and more early."""
    due = promised.astimezone(completed.tzinfo)
    if late:
        return due + timedelta(minutes=min(4_320, 180 + int(rng.expovariate(1 / 840))))
    return max(due - timedelta(minutes=rng.randint(30, 840)), completed + timedelta(hours=3))


def _move(
    rng: Random,
    conduct: Conduct,
    depot: str,
    day: int,
    completed: datetime,
    promised: datetime,
    arrival: datetime,
    late: bool,
) -> tuple[Move | None, datetime]:
    """A moved promise, if any, and the promise the customer relies on."""
    due = promised.astimezone(completed.tzinfo)
    hides = depot == conduct.moves_promises and day >= MOVED_PROMISES_FROM
    if late and depot == conduct.agrees_moves and rng.random() < 0.5:
        at, moved = due + timedelta(minutes=rng.randint(5, 90)), arrival + timedelta(minutes=rng.randint(60, 300))
        return Move(at, moved, "desk-2", "customer agreed"), moved
    if late and rng.random() < (0.9 if hides else 0.03):
        at = due + timedelta(minutes=rng.randint(5, 90))
        return Move(at, arrival + timedelta(minutes=rng.randint(60, 300)), "desk-3", "customer agreed"), promised
    if not late and rng.random() < 0.012:
        at = completed + timedelta(minutes=rng.randint(30, 240))
        moved = due + timedelta(days=1)
        return Move(at, moved, "desk-1", "customer asked for the day after"), moved
    return None, promised


def _parcels(
    rng: Random, conduct: Conduct, depot: str, day: int, completed: datetime, promised: datetime, arrival: datetime
) -> tuple[Parcel, ...]:
    """One to three parcels, the last of which arrives at `arrival`."""
    count = rng.choices((1, 2, 3), (85, 11, 4))[0]
    hides = depot == conduct.scans_early and day >= EARLY_SCANS_FROM and rng.random() < 0.94
    missing = rng.random() < 0.003
    lost = missing and rng.random() < 0.35
    found = []
    for index in range(count):
        left = completed + timedelta(minutes=rng.randint(10, 90))
        arrived = arrival
        if index < count - 1:
            arrived = max(arrival - timedelta(minutes=rng.randint(20, 720)), left + timedelta(minutes=45))
        scanned = arrived + timedelta(seconds=rng.randint(20, 360))
        if hides and arrived > promised:
            scanned = promised.astimezone(completed.tzinfo) - timedelta(minutes=rng.randint(4, 45))
        last = index == count - 1
        found.append(Parcel(left, None if last and lost else arrived, None if last and missing else scanned))
    return tuple(found)


def _items(rng: Random) -> tuple[tuple[Item, ...], bool]:
    """One to five lines, and whether one was delivered short and recorded as such."""
    items = [
        Item(sku, pieces, pieces)
        for sku in rng.sample(_SKUS, rng.choice((1, 1, 2, 2, 3, 5)))
        for pieces in (rng.choice((2, 4, 6, 10, 12, 24, 50)),)
    ]
    short = rng.random() < 0.008
    if short:
        items[0] = items[0]._replace(delivered=items[0].ordered - rng.randint(1, items[0].ordered - 1))
    return tuple(items), short


def _people(rng: Random, customer: Customer) -> tuple[Person, ...]:
    """The contacts on the order: one or two with a role that is asked, sometimes also one without; rarely none."""
    if rng.random() < 0.02:
        return ()
    asked = [person for person in customer.people if person.role in ASKED]
    above = [person for person in customer.people if person.role not in ASKED]
    named = rng.sample(asked, min(len(asked), rng.choices((1, 2), (65, 35))[0]))
    return tuple(named + (above[:1] if rng.random() < 0.3 else []))


def _silenced(rng: Random, people: tuple[Person, ...]) -> tuple[Person, ...]:
    """The contacts of a problem order at the depot that avoids questions: none, or none with a phone, or unchanged."""
    chance = rng.random()
    if chance < 0.7:
        return ()
    return tuple(person._replace(phone=None) for person in people) if chance < 0.92 else people


def _requested(rng: Random, promised: datetime) -> datetime | str | None:
    """The time the customer requested: mostly none, else the promised day or a time up to two hours earlier."""
    chance = rng.random()
    if chance < 0.12:
        return promised.date().isoformat()
    return promised - timedelta(hours=rng.randint(0, 2)) if chance < 0.25 else None


def _defect(rng: Random) -> Condition | None:
    """A defect of the goods that the record does not contain."""
    chance = rng.random()
    for condition, until in _DEFECT_SHARES:
        if chance < until:
            return condition
    return None
