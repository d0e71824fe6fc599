"""Random streams of events with everything that can happen to an order, drawn from a seed."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from shutil import copyfile
from typing import Any, NamedTuple

from hypothesis import Phase, settings
from sqlalchemy import URL

from pipeline.consumers.intake import Incoming
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from tests.support.builders import (
    answered,
    asked,
    at,
    cancelled,
    completed,
    contact,
    repromised,
    retracted,
    scanned,
    tracked,
)
from tests.support.examples import examples
from tests.support.running.embedded import incoming
from tests.support.servers.postgres import PostgresServer

LEVELS = "depot:2,carrier:1,depot+carrier:2"
# Later than every timer of a stream, which begins on MONDAY, and than the day on which its open alerts are unverified.
# Only the daily grouping goes on: each day more costs a grouping.
AFTER_ALL = at(days=60)


def seeds(usual: int) -> settings:
    """Settings for tests of streams. No seed is simpler than another: shrinking would be useless."""
    return settings(max_examples=examples(usual), phases=(Phase.generate,))


_PEOPLE = (
    {"role": "receiver"},
    {"role": "user", "phone": "+447700900124"},
    {"role": "purchaser", "phone": None, "email": "cleo@example.com", "consent": {"email": True}},
    {"role": "gatekeeper", "phone": "+447700900125"},
    {"role": "receiver", "phone": "+447700900126", "consent": None},
    {"role": "receiver", "phone": "ask at the gate"},
)
_AFTERWARDS = ((),) * 7 + (("delivered",), ("returned",), ("returned", "delivered"))
_ZONES = ("Europe/Paris", "America/Sao_Paulo", "Asia/Kolkata")


class ReceivedEvent(NamedTuple):
    """An event and the time of its receipt."""

    received_at: datetime
    raw: bytes


def stream(seed: object, orders: int = 20, historic: bool = True) -> list[ReceivedEvent]:
    """The events of some orders in the order of receipt. Historic events are received at their own time.

    Times of receipt are unique: of two equal ones the place in the journal decides, which depends on the processing.
    """
    rng = Random(f"{seed}")
    events: list[ReceivedEvent] = []
    for number in range(orders):
        story = _Story(rng, f"SO-{number}", historic, Random(f"{seed}:{number}"))
        events += [ReceivedEvent(time if historic else time + _lag(rng), raw) for time, raw in story.events()]
    moment = timedelta(microseconds=1)
    return [ReceivedEvent(time + n * moment, raw) for n, (time, raw) in enumerate(sorted(events))]


def with_duplicates(rng: Random, events: Sequence[ReceivedEvent], share: float = 0.4) -> list[ReceivedEvent]:
    """The events, of which a share is received again, unchanged, at once or later."""
    result = list(events)
    for known in events:
        if rng.random() < share:
            index = rng.randrange(result.index(known) + 1, len(result) + 1)
            # Received together with the event before it: times of receipt never decrease.
            result.insert(index, ReceivedEvent(result[index - 1].received_at, known.raw))
    return result


def arrivals(events: Iterable[ReceivedEvent]) -> Iterable[Incoming]:
    """The events as the intake receives them."""
    return (incoming(raw, received_at) for received_at, raw in events)


def ingest_stream(runtime: EmbeddedRunner, events: Iterable[ReceivedEvent], until: datetime | None = AFTER_ALL) -> None:
    """Store and process the events, and fire all timers up to `until`."""
    for _ in runtime.ingest_all(arrivals(events)):
        pass
    if until is not None:
        runtime.tick(until)


class Databases:
    """Fresh databases on one engine."""

    def __init__(
        self, folder: Path, migrated: Path | None, server: PostgresServer | None, template: URL | None
    ) -> None:
        self._folder = folder
        self._migrated = migrated
        self._server = server
        self._template = template
        self._made: list[URL] = []
        self._files = 0

    def fresh(self) -> str:
        """The URL of an empty database with the current schema."""
        if self._migrated is not None:
            self._files += 1
            file = self._folder / f"{self._files}.db"
            copyfile(self._migrated, file)
            return f"sqlite:///{file}"
        assert self._server is not None
        assert self._template is not None
        self._made.append(self._server.create_database(template=self._template.database or ""))
        return self._made[-1].render_as_string(hide_password=False)

    def drop(self) -> None:
        """Drop all of them."""
        for url in self._made:
            assert self._server is not None
            self._server.drop_database(url)


class _Story:
    """The random events of one order, with corrections and contradictions."""

    def __init__(self, rng: Random, order_id: str, historic: bool, more: Random) -> None:
        self._rng = rng
        self._more = more  # for the parts that were added to the streams later
        self._order_id = order_id
        self._historic = historic
        self._begun = at(days=rng.randrange(6), hours=rng.randrange(8))
        self._account = f"A-{rng.randrange(3)}"
        self._people = [
            contact(f"c{n}", **_PEOPLE[n]) for n in sorted(rng.sample(range(len(_PEOPLE)), rng.randint(1, 4)))
        ]
        self._zone = rng.choice(_ZONES)
        self._shipments = rng.choice((1, 1, 1, 2, 3))
        # Some carriers know tracking numbers only. Not in the first days: what waits for its order would be a dead
        # letter before the last event of the stream, so that the order of the events would matter.
        self._numbered = self._begun >= at(days=1) and more.random() < 0.35

    def events(self) -> list[tuple[datetime, bytes]]:
        """Every event with its time."""
        events = [(self._begun, self._completed(self._begun, "completed"))]
        events += self._corrections()
        events += self._promises()
        scans = self._scans()
        if self._more.random() < 0.1:  # called off at once: nothing is ever dispatched
            scans = []
            events.append(self._cancelled(timedelta(minutes=10), None, "called-off"))
        events += scans
        events += self._retractions(scans)
        events += self._cancellations()
        events += self._dialogue()
        return events

    def _completed(self, time: datetime, event_id: str) -> bytes:
        rng = self._rng
        by_when: datetime | str | None = time + timedelta(hours=rng.randint(6, 60))
        if rng.random() < 0.4:
            by_when = f"{time + timedelta(days=rng.randrange(2)):%Y-%m-%d}"
        data: dict[str, Any] = {
            "account": {"id": self._account},
            "contacts": self._people if rng.random() < 0.9 else [],
            "dimensions": {
                "depot": rng.choice(("Lyon",) * 5 + ("Nancy",)),
                "carrier": rng.choice(("Nordex",) * 5 + ("Tirex",)),
            },
            "lines": [self._line(n) for n in range(rng.randrange(3))],
            "shipments": self._stated_shipments(),
            "promised_at": by_when if rng.random() < 0.9 else None,
            "requested_at": time + timedelta(hours=rng.randint(1, 30)) if rng.random() < 0.4 else None,
            "timezone": self._zone,
        }
        if rng.random() < 0.1:
            del data["dimensions"]["carrier"]
        return completed(self._order_id, time, f"{self._order_id}:{event_id}", _={"historic": self._historic}, **data)

    def _line(self, n: int) -> dict[str, Any]:
        rng = self._rng
        ordered = rng.randint(1, 4)
        delivered = rng.choice((ordered, ordered, ordered, ordered - 1, None))
        return {"sku": f"sku{n}", "ordered": ordered, "delivered": delivered}

    def _corrections(self) -> list[tuple[datetime, bytes]]:
        events = []
        for n in range(self._rng.choice((0, 0, 0, 1, 2))):
            time = self._later(72)
            events.append((time, self._completed(time, f"corrected{n}")))
        return events

    def _promises(self) -> list[tuple[datetime, bytes]]:
        events = []
        for n in range(self._rng.choice((0, 0, 1, 2))):
            time = self._later(48)
            by_when = time + timedelta(hours=self._rng.randint(-10, 48))
            events.append((time, repromised(self._order_id, time, by_when, f"{self._order_id}:moved{n}")))
        return events

    def _scans(self) -> list[tuple[datetime, bytes]]:
        rng = self._rng
        events: list[tuple[datetime, bytes]] = []
        whole, hours = rng.random() < 0.3, rng.choice((20, 20, 20, 70))
        for shipment in [None] if whole else [f"p{n}" for n in range(self._shipments)]:
            for status in ("dispatched", "delivered", *rng.choice(_AFTERWARDS)):
                if rng.random() < 0.07:
                    continue
                time = self._later(hours)
                data: dict[str, Any] = {"at": time - timedelta(hours=rng.randrange(5)), "shipment_id": shipment}
                if rng.random() < 0.2:
                    data["lines"] = [{"sku": "sku0", "delivered": rng.randint(0, 4)}]
                if rng.random() < 0.1:
                    data["signed_by"] = "Dana at the dock"
                unique = f"{self._order_id}:{shipment}:{status}:{len(events)}"
                if shipment is not None and self._numbered and self._more.random() < 0.6:
                    del data["shipment_id"]
                    events.append((time, tracked(self._number(shipment), time, status, unique, "erp", **data)))
                else:
                    events.append((time, scanned(self._order_id, time, status, unique, **data)))
        return events

    def _stated_shipments(self) -> object:
        if not self._numbered:
            return self._more.choice((self._shipments, self._shipments, None))
        numbers = {f"p{n}": self._number(f"p{n}") for n in range(self._shipments)}
        return [{"shipment_id": name, "tracking_number": number} for name, number in numbers.items()]

    def _number(self, shipment: str) -> str:
        """The tracking number of a parcel: several orders share some of them."""
        return f"1Z {self._account}-{shipment}"

    def _retractions(self, scans: Sequence[tuple[datetime, bytes]]) -> list[tuple[datetime, bytes]]:
        events = []
        for _, scan in scans:
            if self._more.random() < 0.1:
                time = self._begun + timedelta(minutes=10 * self._more.randrange(400))
                by = {"tracking_number": self._number("p0")} if b'"tracking_number"' in scan else {}
                events.append((time, retracted(scan, time, **by)))
        return events

    def _cancellations(self) -> list[tuple[datetime, bytes]]:
        more, events = self._more, []
        for n in range(more.choice((0, 0, 0, 0, 1, 2))):
            after = timedelta(minutes=10 * more.randrange(-30, 300))
            lines = more.choice((None, [{"sku": "sku0"}], [{"sku": "sku1", "cancelled": 1}]))
            events.append(self._cancelled(after, lines, f"off{n}"))
        return events

    def _cancelled(self, after: timedelta, lines: Any, name: str) -> tuple[datetime, bytes]:
        time, envelope = self._begun + after, {"historic": self._historic}
        return time, cancelled(self._order_id, time, f"{self._order_id}:{name}", lines=lines, _=envelope)

    def _dialogue(self) -> list[tuple[datetime, bytes]]:
        rng = self._rng
        events = []
        for person in rng.sample(self._people, rng.randint(0, len(self._people))):
            who = person["id"]
            if rng.random() < 0.8:
                time = self._later(30) + timedelta(hours=rng.choice((0, 20, 20, 20)))
                purpose = rng.choice(("delivery", "delivery", "missing_scan"))
                events.append((time, asked(self._order_id, time, who, account_id=self._account, purpose=purpose)))
            for n in range(rng.choice((0, 1, 1, 1, 2, 3))):
                time = self._later(200)
                events.append((time, self._answer(who, time, f"{self._order_id}:{who}:{n}")))
        return events

    def _answer(self, who: str, time: datetime, event_id: str) -> bytes:
        rng = self._rng
        data: dict[str, Any] = {}
        if rng.random() < 0.8:
            data["arrival"] = rng.choice(("on_time", "late", "late", "late", "not_received"))
        if rng.random() < 0.3:
            data["arrived_at"] = time - timedelta(hours=rng.randrange(30))
        if rng.random() < 0.5:
            data["complete"] = rng.random() < 0.6
        if rng.random() < 0.3:
            data["condition"] = rng.sample(("damaged", "incomplete", "wrong", "papers_missing"), 2)
        if rng.random() < 0.7:
            scale = rng.choice((5, 10))
            data["score"] = {"value": rng.randint(1, scale), "scale": scale}
        if rng.random() < 0.1:
            data["answered_at"] = None
        if rng.random() < 0.05 or self._more.random() < 0.1:
            data["opt_out"] = True
        if Random(f"{event_id}{time}").random() < 0.1:  # apart, so the rest of the stream does not depend on it
            return answered(self._order_id, time, who, event_id, comment="Well...")  # states nothing codable
        return answered(self._order_id, time, who, event_id, **data)

    def _later(self, hours: int) -> datetime:
        # On a grid of ten minutes: ties happen.
        return self._begun + timedelta(minutes=10 * self._rng.randrange(hours * 6))


def _lag(rng: Random) -> timedelta:
    return timedelta(minutes=rng.choice((0, 0, 1, 15, 600)))
