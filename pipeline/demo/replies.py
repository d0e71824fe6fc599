"""What a simulated customer answers when asked about an order: sometimes nothing, mostly what was lived."""

from datetime import datetime, timedelta
from random import Random
from typing import Any

import msgspec

from pipeline.demo.people import Person
from pipeline.demo.story import Story
from pipeline.demo.words import COMMENTS, Mood
from pipeline.domain.events.contract import Arrival, FeedbackRequested
from pipeline.sources import Incoming

SOURCE = "sms/simulated"

# Share of questions that are answered. Who waited answers 1.4 times as often.
_ANSWERS = {"receiver": 0.46, "user": 0.43, "purchaser": 0.39}
_WAITED = 1.4
_MISREMEMBERS = 0.035  # on-time orders that an honest customer recalls as late
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
    """The answer to a question sent `at`, and when it comes; None for silence.

    Whether and what is answered depends on seed, order, contact and purpose only; `at` moves its time.
    """
    rng = Random(f"{seed}:{story.order_id}:{person.id}:{request.purpose}")
    disputes = story.customer.disputes
    chance = 0.92 if disputes else _ANSWERS.get(person.role, 0.3) * (_WAITED if story.late else 1)
    if rng.random() >= chance:
        return None
    impatient = rng.random() < 0.2
    sent, waited = at + _delay(rng), _delay(rng)
    arrived = story.arrived
    if arrived is not None and sent < arrived and not impatient:
        sent = arrived + waited  # asked on an early scan: most wait for the goods before they answer
    felt = _felt(rng, story, came=arrived is not None and arrived <= sent)
    mood = _mood(story, felt)
    data: dict[str, Any] = {
        "order_id": story.order_id,
        "contact_id": person.id,
        "channel": request.channel,
        "answered_at": sent,
        "arrival": felt,
        "arrived_at": _stated(rng, story, felt, sent),
        **_condition(rng, story, felt),
        "score": _score(rng, mood, disputes),
        "comment": _comment(rng, person.language, mood),
        "opt_out": rng.random() < 0.006,
    }
    name = f"{story.order_id}:{person.id}:{request.purpose}"
    event = {
        "specversion": "1.0",
        "id": name,
        "source": SOURCE,
        "type": "feedback.received",
        "subject": story.order_id,
        "time": sent,
        "data": data,
    }
    return sent, Incoming(msgspec.json.encode(event), "feedback", f"reply {name}")


def _delay(rng: Random) -> timedelta:
    """From reading to answering: mostly minutes, some hours, a few days."""
    chance = rng.random()
    if chance < 0.68:
        return timedelta(seconds=rng.randint(90, 5_400))
    if chance < 0.92:
        return timedelta(seconds=rng.randint(5_400, 72_000))
    return timedelta(seconds=rng.randint(72_000, 172_800 if chance < 0.985 else 500_000))


def _felt(rng: Random, story: Story, came: bool) -> Arrival:
    chance = rng.random()
    if story.customer.disputes:
        return "late"
    if not came:
        return "not_received"
    if story.late:
        return "late" if chance < (0.86 if story.move else 0.94) else "on_time"
    return "late" if chance < _MISREMEMBERS else "on_time"


def _mood(story: Story, felt: Arrival) -> Mood:
    if felt == "not_received":
        return "missing"
    if story.trouble is not None:
        return story.trouble
    return "late" if felt == "late" else "content"


def _stated(rng: Random, story: Story, felt: Arrival, sent: datetime) -> datetime | None:
    """When the goods came, as the customer tells it: to the quarter hour, one in a hundred wrong by hours."""
    states, wrong = rng.random(), rng.random() < 0.01
    arrived = story.arrived
    remembers = arrived is not None and felt == ("late" if story.late else "on_time")
    if arrived is None or not remembers or states >= (0.85 if story.late else 0.35):
        return None
    told = arrived.replace(minute=arrived.minute // 15 * 15, second=0) + timedelta(hours=4 if wrong else 0)
    return min(told, sent)


def _condition(rng: Random, story: Story, felt: Arrival) -> dict[str, Any]:
    """Whether all came, and in what state; many do not say."""
    says, names = rng.random() < 0.75, rng.random() < 0.92
    if felt == "not_received":
        return {"complete": None, "condition": []}
    if story.trouble is None or not names:
        return {"complete": True if says else None, "condition": []}
    return {"complete": False, "condition": [story.trouble]}


def _score(rng: Random, mood: Mood, disputes: bool) -> dict[str, int] | None:
    value, gives = rng.choice((0, 1, 1, 2, 3) if disputes else _SCORES[mood]), rng.random() < 0.88
    return {"value": value, "scale": 10} if gives else None


def _comment(rng: Random, language: str, mood: Mood) -> str | None:
    words, writes = rng.choice(COMMENTS[language][mood]), rng.random() < (0.2 if mood == "content" else 0.55)
    return words if writes else None
