"""The simulated distributor, day by day: twelve depots, three of which embellish."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate
from random import Random
from typing import TypeVar

from pipeline.demo import conduct
from pipeline.demo.conduct import Conduct
from pipeline.demo.events import Timed, events_of
from pipeline.demo.people import ASKS_NOTHING, MOVES_PROMISES, SCANS_EARLY, Person, customers
from pipeline.demo.replies import reply
from pipeline.demo.story import Story, story_of
from pipeline.domain.events.contract import SETTLED, FeedbackRequested

START = date(2026, 6, 1)
LIVE_FROM = 5_000  # first day number of the live orders; the simulated past never reaches it
LEVELS = "region:8,depot:20,carrier:8"
EMBELLISHING: Mapping[str, str] = {
    SCANS_EARLY: "scans deliveries before they happen",
    MOVES_PROMISES: "moves promises after they were missed",
    ASKS_NOTHING: "leaves the contacts out of its problem orders",
}
T = TypeVar("T")
_SPAN = 10  # days after completion within which all events of an order are received
_CACHED = 3 * _SPAN  # days whose orders stay in memory, for replies to their questions


class Company:
    """The simulated distributor. Day 0 is `start`; everything follows from `seed` and the day's number."""

    def __init__(self, seed: int = 7, start: date = START, conduct: Conduct = conduct.EMBELLISHING) -> None:
        self.seed = seed
        self.conduct = conduct
        self.start = start
        self.customers = customers(seed)
        self._weights = list(accumulate(customer.weight for customer in self.customers))
        self._stories: dict[int, tuple[Story, ...]] = {}
        self._events: dict[int, dict[int, list[Timed]]] = {}

    def midnight(self, n: int) -> datetime:
        """Start of day `n`, UTC."""
        return datetime.combine(self.start, time.min, UTC) + timedelta(days=n)

    def stories(self, n: int) -> tuple[Story, ...]:
        """The true stories of the orders completed on day `n`."""
        return _cached(self._stories, n, self._draw_stories)

    def day(self, n: int) -> list[Timed]:
        """All events received on day `n` (UTC), about that day's orders and earlier ones, by time of receipt."""
        received: list[Timed] = []
        for completed in range(max(0, n - _SPAN), n + 1):
            received += _cached(self._events, completed, self._events_by_day).get(n, [])
        return sorted(received, key=lambda timed: (timed[0], timed[1].raw))

    def answer(self, request: FeedbackRequested, at: datetime) -> Timed | None:
        """The contact's reply to a question sent `at`; None without a reply, or if the order is not the company's."""
        found = self.order_and_contact(request)
        return None if found is None else reply(self.seed, *found, request, at)

    def order_and_contact(self, request: FeedbackRequested) -> tuple[Story, Person] | None:
        """The order a question is about and the contact who was asked; None if the order is not the company's.

        Whether a case is settled is asked by visitors who close one, and left to them to answer.
        """
        if request.purpose == SETTLED:
            return None
        found = _day_and_number(request.order_id)
        if found is None:
            return None
        day, number = found
        stories = self.stories(day)
        if number >= len(stories):
            return None
        story = stories[number]
        return next(((story, person) for person in story.people if person.id == request.contact_id), None)

    def _draw_stories(self, n: int) -> tuple[Story, ...]:
        rng = Random(f"{self.seed}:{n}")
        buyers = rng.choices(self.customers, cum_weights=self._weights, k=rng.randint(105, 135))
        midnight = self.midnight(n)
        return tuple(story_of(rng, n, number, midnight, buyer, self.conduct) for number, buyer in enumerate(buyers))

    def _events_by_day(self, n: int) -> dict[int, list[Timed]]:
        """The events about day `n`'s orders, by the day of receipt."""
        by_day: dict[int, list[Timed]] = defaultdict(list)
        for story in self.stories(n):
            for received, incoming in events_of(story):
                by_day[(received - self.midnight(0)).days].append((received, incoming))
        return by_day


def is_live(order_id: str) -> bool:
    """Whether an order is delivered in the live part of the demo."""
    found = _day_and_number(order_id)
    return found is not None and found[0] >= LIVE_FROM


def _day_and_number(order_id: str) -> tuple[int, int] | None:
    """The day and the number of an order; None if it is not the company's."""
    prefix, _, rest = order_id.partition("-")
    day, _, number = rest.partition("-")
    return (int(day), int(number)) if prefix == "SO" and day.isdecimal() and number.isdecimal() else None


def _cached(cache: dict[int, T], n: int, make: Callable[[int], T]) -> T:
    """The result of `make` for day `n`, from the cache of the last days if it is there."""
    found = cache.get(n)
    if found is None:
        found = cache[n] = make(n)
        if len(cache) > _CACHED:
            del cache[next(iter(cache))]
    return found
