"""A pipeline for the demo's simulation, without a database."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from pipeline.domain.events.contract import FeedbackRequested
from pipeline.domain.events.decoding import decode
from pipeline.sources import Incoming

ASKED_ABOUT = tuple(f"{digit}:delivered" for digit in "13579")


class Killed(Exception):
    """The simulated death of the process."""


class Pipeline:
    """A runtime that keeps its events in memory, asks about every other delivery, and dies at given calls."""

    def __init__(self, deaths: Iterable[int] = ()) -> None:
        self.journal: list[tuple[datetime, str, str]] = []
        self.requests: list[tuple[int, datetime, FeedbackRequested]] = []
        self.values: dict[str, str] = {}
        self.dropped = 0
        self._known: set[tuple[str, str]] = set()
        self._people: dict[str, str] = {}
        self._deaths: Iterator[int] = iter(deaths)
        self._death = next(self._deaths, None)
        self._calls = 0

    def _live(self) -> None:
        self._calls += 1
        if self._calls == self._death:
            self._death = next(self._deaths, None)
            raise Killed

    def ingest(self, items: Iterable[tuple[datetime, Incoming]]) -> None:
        for at, incoming in items:
            event = decode(incoming.raw, incoming.topic, at)
            if (event.source, event.id) in self._known:
                self.dropped += 1
                continue
            self._live()
            self._known.add((event.source, event.id))
            self.journal.append((at, event.source, event.id))
            if event.type == "order.completed" and event.data.contacts:
                self._people[event.data.order_id] = event.data.contacts[0].id
            if event.id.endswith(ASKED_ABOUT) and event.data.order_id in self._people:
                person = self._people.pop(event.data.order_id)  # each contact is asked once
                self.journal.append((at, "asked", event.data.order_id))
                self.requests.append((len(self.journal), at, FeedbackRequested(event.data.order_id, person)))

    def work_on_cases(self, now: datetime) -> None:
        self._live()

    def requests_after(self, seq: int) -> list[tuple[int, datetime, FeedbackRequested]]:
        self._live()
        return [request for request in self.requests if request[0] > seq]

    def get(self, name: str) -> str | None:
        return self.values.get(name)

    def put(self, name: str, value: str) -> None:
        self._live()
        self.values[name] = value
        self._live()
