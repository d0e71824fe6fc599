"""What a customer enters in the form: validation, the statement it makes, and the event that records it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

from pipeline.consumers.intake import Incoming
from pipeline.domain.answers.reading.requests import request_of
from pipeline.domain.answers.replies import MAX_TEXT
from pipeline.domain.answers.statement import Statement
from pipeline.domain.events.cloudevents import envelope
from pipeline.domain.events.contract import QR, Arrival, Condition, Score
from pipeline.web.http.forms import printable
from pipeline.web.public.form.links import SOURCE, Link

ARRIVALS: tuple[Arrival, ...] = ("on_time", "late", "not_received")
CONDITIONS: tuple[Condition, ...] = ("incomplete", "damaged", "wrong", "papers_missing")
FINE = "fine"  # on time and complete, in one tap
FIRST_CHOICES = (FINE, *ARRIVALS)
# What the links in messages choose: the options of a text message, or their names.
_ONE_TAP = dict(zip("1234", (FINE, "late", "on_time", "not_received"), strict=True)) | {
    name: name for name in FIRST_CHOICES
}


class Submission(NamedTuple):
    """The fields of the form as sent, or as first shown, with an error message by field."""

    arrival: str | None = None
    goods: tuple[str, ...] = ()
    score: str | None = None
    comment: str = ""
    errors: Mapping[str, str] = {}

    @property
    def first_choice(self) -> str | None:
        """The option of the first question that is selected."""
        return FINE if self.arrival == "on_time" and self.goods == ("complete",) else self.arrival


def validate(fields: Sequence[tuple[str, str]], gettext: Callable[[str], str]) -> Submission:
    """The submission in these form fields, with its errors in the reader's language (`gettext` translates)."""
    arrival, goods, score, comment, _ = entered(fields)
    errors: dict[str, str] = {}
    if arrival not in ARRIVALS:
        errors["arrival"] = gettext("Please tell us whether it arrived.")
    if not set(goods) <= {"complete", *CONDITIONS}:
        errors["goods"] = gettext("Please select from the list.")
    elif "complete" in goods and len(goods) > 1 and arrival != "not_received":
        errors["goods"] = gettext("Please select either “All complete and in order” or what was wrong.")
    if score is not None and score not in {str(n) for n in range(11)}:
        errors["score"] = gettext("Please select a number from 0 to 10.")
    if len(comment) > MAX_TEXT:
        too_long = gettext("Please use at most %(most)d characters. Your comment has %(n)d.")
        errors["comment"] = too_long % {"most": MAX_TEXT, "n": len(comment)}
    return Submission(arrival, goods, score, comment, errors)


def entered(fields: Sequence[tuple[str, str]]) -> Submission:
    """What these form fields contain, unchecked. Of a field that is sent twice, the last value counts."""
    last = dict(fields)
    arrival, score = last.get("arrival") or None, last.get("score") or None
    goods = tuple(dict.fromkeys(value for name, value in fields if name == "goods"))
    if arrival == FINE:  # the question about the goods is hidden then: what it may still hold does not count
        arrival, goods = "on_time", ("complete",)
    return Submission(arrival, goods, score, printable(last.get("comment", "")))


def one_tap(option: str, current: Statement | None) -> Submission | None:
    """The form with an option of a message selected, to be checked and sent; None: there is no such option."""
    choice = _ONE_TAP.get(option)
    if choice is None:
        return None
    shown = prefilled(current)
    if choice == FINE:
        return shown._replace(arrival="on_time", goods=("complete",))
    return shown._replace(arrival=choice, goods=tuple(name for name in shown.goods if name != "complete"))


def prefilled(current: Statement | None) -> Submission:
    """The form as first shown: the current answer is selected. Comments are left out, because links are forwarded."""
    if current is None:
        return Submission()
    goods = current.conditions or (("complete",) if current.complete else ())
    score = str(current.score.value) if current.score is not None and current.score.scale == 10 else None
    return Submission(current.arrival, tuple(goods), score)


def statement_of(submission: Submission, current: Statement | None) -> Statement:
    """What a valid submission states. An empty comment repeats the current one, which the form does not show."""
    arrived = submission.arrival != "not_received"
    conditions = tuple(name for name in CONDITIONS if arrived and name in submission.goods)
    complete = False if conditions else True if arrived and "complete" in submission.goods else None
    score = None if submission.score is None else Score(int(submission.score))
    comment = submission.comment or (current.comment if current else None)
    arrival = next((name for name in ARRIVALS if name == submission.arrival), None)
    return Statement(arrival, complete, conditions, score, comment)


class SubmittedEvent(NamedTuple):
    """The event of a submission, and its id."""

    id: str
    event: Incoming


def event_of(link: Link, form_id: str, submission: Submission, stated: Statement, now: datetime) -> SubmittedEvent:
    """The `feedback.received` event of a submission.

    A submission that is sent again, also after an upgrade, has the same id and is a duplicate.
    """
    data: dict[str, object] = {
        "order_id": link.order_id,
        "contact_id": link.contact_id,
        "channel": QR if link.by_anyone else "form",
        "answered_at": now,
        "arrival": stated.arrival,
        "complete": stated.complete,
        "condition": stated.conditions,
        "score": stated.score,
        "comment": stated.comment,
    }
    request = request_of(submission.comment)
    if request is not None:  # not stated otherwise: events of earlier versions lack it, and have the same ids
        data["request"] = request
    event_id = _event_id(link.token_hash, form_id, submission)
    raw = envelope(SOURCE, event_id, "feedback.received", now, data)
    return SubmittedEvent(event_id, Incoming(raw, "feedback", "form", None, now))


def _event_id(token_hash: str, form_id: str, submission: Submission) -> str:
    """A hash of the link, the form as it was shown (`form_id`) and what was entered.

    Events with these ids are stored, so the text that is hashed must never change: it is that of the first version.
    """
    arrival, goods, score, comment, _ = map(repr, submission)
    entered = f"Filled(arrival={arrival}, goods={goods}, score={score}, comment={comment}, errors={{}})"
    content = "\n".join([token_hash, form_id, entered])
    return sha256(content.encode("utf-8", "replace")).hexdigest()[:32]
