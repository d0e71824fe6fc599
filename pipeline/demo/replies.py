"""Replies of the simulated contacts: some do not reply, most report what they experienced."""

from datetime import datetime, timedelta
from random import Random
from typing import Any

from pipeline.demo.comments import COMMENTS, Mood
from pipeline.demo.events import incoming_event
from pipeline.demo.people import Person
from pipeline.demo.story import Story
from pipeline.domain.events.contract import Arrival, FeedbackRequested
from pipeline.sources import Incoming

SOURCE = "sms/simulated"

# Share of questions that get a reply, by role; contacts of late orders reply 1.4 times as often.
_REPLY_SHARES = {"receiver": 0.46, "user": 0.43, "purchaser": 0.39}
_LATE_FACTOR = 1.4
_MISREMEMBERED_SHARE = 0.035  # share of on-time orders that an honest customer remembers as late
_SCORES: dict[Mood, tuple[int, ...]] = {
    "content": (10, 10, 10, 9, 9, 9, 8, 8, 8, 7, 7, 6),
    "late": (2, 3, 4, 4, 5, 5, 6, 6, 7, 8),
    "missing": (0, 0, 1, 2, 3),
    "damaged": (1, 2, 3, 4, 5, 6),
    "incomplete": (2, 3, 4, 5, 6, 7),
    "wrong": (1, 2, 3, 4, 5),
    "papers_missing": (5, 6, 7, 8),
}


def reply(
    seed: int, story: Story, person: Person, request: FeedbackRequested, at: datetime
) -> tuple[datetime, Incoming] | None:
    """The reply to a question sent `at`, with the time of its receipt; None without a reply.

    Whether a reply comes, and what it says, depends on seed, order, contact and purpose only; `at` moves its time.
    """
    rng = Random(f"{seed}:{story.order_id}:{person.id}:{request.purpose}")
    disputes = story.customer.disputes
    chance = 0.92 if disputes else _REPLY_SHARES.get(person.role, 0.3) * (_LATE_FACTOR if story.late else 1)
    if rng.random() >= chance:
        return None
    impatient = rng.random() < 0.2
    sent, waited = at + _delay(rng), _delay(rng)
    arrived = story.arrived
    if arrived is not None and sent < arrived and not impatient:
        sent = arrived + waited  # asked after an early scan: most wait for the goods before they reply
    arrival = _arrival(rng, story, arrived=arrived is not None and arrived <= sent)
    mood = _mood(story, arrival)
    data: dict[str, Any] = {
        "order_id": story.order_id,
        "contact_id": person.id,
        "channel": request.channel,
        "answered_at": sent,
        "arrival": arrival,
        "arrived_at": _stated(rng, story, arrival, sent),
        **_condition(rng, story, arrival),
        "score": _score(rng, mood, disputes),
        "comment": _comment(rng, person.language, mood),
        "opt_out": rng.random() < 0.006,
    }
    name = f"{story.order_id}:{person.id}:{request.purpose}"
    return sent, incoming_event("feedback", "feedback.received", SOURCE, name, sent, data)


def _delay(rng: Random) -> timedelta:
    """Time from question to reply: mostly minutes, sometimes hours, rarely days."""
    chance = rng.random()
    if chance < 0.68:
        return timedelta(seconds=rng.randint(90, 5_400))
    if chance < 0.92:
        return timedelta(seconds=rng.randint(5_400, 72_000))
    return timedelta(seconds=rng.randint(72_000, 172_800 if chance < 0.985 else 500_000))


def _arrival(rng: Random, story: Story, arrived: bool) -> Arrival:
    chance = rng.random()
    if story.customer.disputes:
        return "late"
    if not arrived:
        return "not_received"
    if story.late:
        return "late" if chance < (0.86 if story.move else 0.94) else "on_time"
    return "late" if chance < _MISREMEMBERED_SHARE else "on_time"


def _mood(story: Story, arrival: Arrival) -> Mood:
    if arrival == "not_received":
        return "missing"
    if story.defect is not None:
        return story.defect
    return "late" if arrival == "late" else "content"


def _stated(rng: Random, story: Story, arrival: Arrival, sent: datetime) -> datetime | None:
    """The time of arrival as the customer states it: to the quarter hour, one in a hundred wrong by four hours."""
    states, wrong = rng.random(), rng.random() < 0.01
    arrived = story.arrived
    remembers = arrived is not None and arrival == ("late" if story.late else "on_time")
    if arrived is None or not remembers or states >= (0.85 if story.late else 0.35):
        return None
    stated = arrived.replace(minute=arrived.minute // 15 * 15, second=0) + timedelta(hours=4 if wrong else 0)
    return min(stated, sent)


def _condition(rng: Random, story: Story, arrival: Arrival) -> dict[str, Any]:
    """Whether the delivery was complete, and its condition; many leave this out."""
    says, names = rng.random() < 0.75, rng.random() < 0.92
    if arrival == "not_received":
        return {"complete": None, "condition": []}
    if story.defect is None or not names:
        return {"complete": True if says else None, "condition": []}
    return {"complete": False, "condition": [story.defect]}


def _score(rng: Random, mood: Mood, disputes: bool) -> dict[str, int] | None:
    value, gives = rng.choice((0, 1, 1, 2, 3) if disputes else _SCORES[mood]), rng.random() < 0.88
    return {"value": value, "scale": 10} if gives else None


def _comment(rng: Random, language: str, mood: Mood) -> str | None:
    words, writes = rng.choice(COMMENTS[language][mood]), rng.random() < (0.2 if mood == "content" else 0.55)
    return words if writes else None
