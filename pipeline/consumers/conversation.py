"""The conversation by text: arrival, then a score, then a word. A text comes in, events and the next text go out.

Everything that follows from a text is written in one transaction with it: the opt-out, the answer in the journal, what
we say next. So a text that was kept has had its effect, and one that comes twice has it once.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

import msgspec
from sqlalchemy import Connection

from pipeline.consumers import intake
from pipeline.consumers.intake import Incoming
from pipeline.domain.answers.replies import NOTHING, Control, Question, Reader, Reading
from pipeline.domain.events.contract import Score
from pipeline.notifiers.wording.languages import marked, spoken, translations
from pipeline.store.asks import conversations as store
from pipeline.store.asks.conversations import Asked, Conversation, Said
from pipeline.store.people.vault import Vault

SOURCE = "unvarnished/text"
DONE = "done"
MAX_COMMENT = 8_000  # characters of one person's words on one order that travel on; every text is kept whole besides
_TRIES = 1  # how often a question that was not answered is put again
_OPEN = timedelta(days=14)  # how long the newest question comes before older ones that are still unanswered

Outcome = Literal["answered", "unclear", "control", "ignored", "quarantined"]


class Inbound(NamedTuple):
    """A text from outside. `sender` is the digest of its number: a number is a hint, and no identity."""

    source: str  # twilio, phone
    message_id: str
    sender: str | None
    text: str
    received_at: datetime
    provider_did: Control | None = None  # what the provider has already seen to, and replied to itself
    answerable: bool = True  # False: it was acknowledged before it was read, and no reply goes with it any more


class Heard(NamedTuple):
    """What became of a text. `new` False: it was heard before, and nothing was done.

    `events` are in the journal already; whoever called hands them to the runner, so that they are processed now.
    """

    new: bool
    outcome: Outcome | None = None
    reply: str | None = None
    events: Sequence[Incoming] = ()


HEARD_BEFORE = Heard(False)

# One segment each, in the GSM alphabet, in every language: a test counts.
_HELP = marked("We ask how your deliveries went. Answer as our question says, or reply STOP to get no more messages.")
_STOPPED = marked("You will get no more messages from us. To get them again, reply START.")
_STARTED = marked("You will get our messages again. To end them, reply STOP.")
_SCORE = marked("Thank you. Going by this delivery, would you recommend us? Reply 0 (not at all) to 10 (very likely).")
_SCORE_AFTER_TROUBLE = marked(
    "We are sorry; somebody will look into it. Going by this delivery, would you recommend us? "
    "Reply 0 (not at all) to 10 (very likely)."
)
_SCORE_AGAIN = marked("Sorry, one number from 0 (not at all) to 10 (very likely): would you recommend us?")
_WORD = marked("Thank you. Is there anything we should know? A word is enough, or reply NO.")
_DONE = marked("Thank you, your answer is recorded. To change it, open the link in our first message.")
_PERSON = marked("Thank you, a person will read what you wrote.")
_ARRIVAL_AGAIN = marked(
    "Sorry, did your order arrive on time and complete? Reply 1 yes, 2 late, 3 incomplete or damaged, 4 not received."
)
_ARRIVAL_NOTED = marked(
    "Thank you, noted. And did it arrive on time and complete? "
    "Reply 1 yes, 2 late, 3 incomplete or damaged, 4 not received."
)
_CONTROL: dict[Control, str] = {"help": _HELP, "stop": _STOPPED, "start": _STARTED}
TEXTS = (
    *(_HELP, _STOPPED, _STARTED, _SCORE, _SCORE_AFTER_TROUBLE, _SCORE_AGAIN, _WORD, _DONE, _PERSON),
    *(_ARRIVAL_AGAIN, _ARRIVAL_NOTED),
)


def hear(connection: Connection, vault: Vault, inbound: Inbound, reader: Reader, now: datetime) -> Heard:
    """Take in one text, in the caller's transaction. What it says counts even if the question is long over."""
    row = {
        "source": inbound.source,
        "message_id": inbound.message_id,
        "received_at": inbound.received_at,
        "sender": inbound.sender,
        "text": vault.seal_letter(inbound.text.encode("utf-8", "replace")),
        "outcome": "quarantined",
    }
    if not store.receive(connection, row):
        return HEARD_BEFORE
    control = inbound.provider_did or reader.read(inbound.text, "arrival", None).control
    asked = _match(connection, inbound)
    heard = _answer(connection, vault, inbound, asked, reader, now) if asked else _stranger(inbound, control)
    if not inbound.answerable:
        heard = heard._replace(reply=None)
    # Last: the runner takes the journal's head before it writes opt-outs, and so do we.
    if inbound.sender is not None and control == "stop":
        store.opt_out(connection, inbound.sender, now, SOURCE)
    elif inbound.sender is not None and control == "start":
        store.opt_in(connection, inbound.sender)
    named = {"order_id": asked.order_id, "contact_id": asked.contact_id} if asked else {}
    store.conclude(connection, inbound.source, inbound.message_id, outcome=heard.outcome, reply=heard.reply, **named)
    return heard


def _match(connection: Connection, inbound: Inbound) -> Asked | None:
    """The question a text answers: the newest to that phone that is still open, else the newest.

    What was asked after a text was written comes last; but when exactly a question went out is not always known.
    """
    if inbound.sender is None:
        return None
    found = store.asked_of(connection, inbound.sender)
    standing = store.questions(connection, found)
    for asked in found:
        done = standing.get((asked.order_id, asked.contact_id), asked.state == "answered" and DONE) == DONE
        if not done and timedelta() <= inbound.received_at - asked.asked_at <= _OPEN:
            return asked
    return next((asked for asked in found if asked.asked_at <= inbound.received_at), found[0] if found else None)


def _stranger(inbound: Inbound, control: Control | None) -> Heard:
    """A number we never wrote to: kept aside for a person to look at. Words of control hold all the same."""
    reply = None if control is None or inbound.provider_did else translations("en").gettext(_CONTROL[control])
    return Heard(True, "quarantined", reply)


def _answer(
    connection: Connection, vault: Vault, inbound: Inbound, asked: Asked, reader: Reader, now: datetime
) -> Heard:
    before = _so_far(connection, asked, now)
    language, _ = store.contact(connection, asked.order_id, asked.contact_id)
    reading = reader.read(inbound.text, _asking(before.question), language)
    control = inbound.provider_did or reading.control
    if control is None and reading == NOTHING and before.question == "arrival":
        return Heard(True, "ignored")  # a machine answered
    said = _merge(before.said, reading)
    after, text = _next(before, said, reading, now)
    if control is not None:
        # Whoever wants help or silence is asked nothing on top of it; what else the text said still counts.
        after = before._replace(said=said, changed_at=now)
        text = _CONTROL[control]
    store.keep(connection, asked.order_id, asked.contact_id, after)
    events = [_event(inbound, asked, said, now)] if said != before.said else []
    intake.take(connection, vault, events, now)
    outcome: Outcome = "control" if control else "unclear" if reading.unclear else "answered"
    if text is None or inbound.provider_did is not None:
        return Heard(True, outcome, None, events)
    return Heard(True, outcome, translations(spoken(language)).gettext(text), events)


def _so_far(connection: Connection, asked: Asked, now: datetime) -> Conversation:
    """The conversation, and what was said meanwhile in another way: by the form, nothing is left to ask."""
    conversation = store.resume(connection, asked.order_id, asked.contact_id, now)
    standing = store.standing(connection, asked.order_id, asked.contact_id)
    if standing is None:
        return conversation
    if conversation.said == Said():
        return conversation._replace(said=standing.said, question=DONE)
    if standing.answered_at is not None and standing.answered_at > conversation.changed_at:
        return conversation._replace(said=standing.said)
    return conversation


def _asking(question: str) -> Question:
    """What a text answers; behind the last question whatever comes is words."""
    return "arrival" if question == "arrival" else "score" if question == "score" else "comment"


def _merge(said: Said, reading: Reading) -> Said:
    """What was said so far with what is new: the last statement of each thing stands, words are added to words."""
    arrival = reading.arrival or said.arrival
    complete, conditions = said.complete, said.conditions
    if reading.complete is not None or reading.conditions:
        complete, conditions = reading.complete, reading.conditions
    elif reading.arrival == "not_received":
        complete, conditions = None, ()
    comment = said.comment
    if reading.comment is not None and reading.comment not in (comment or "").split("\n\n"):
        comment = "\n\n".join(filter(None, [comment, reading.comment]))[:MAX_COMMENT]
    score = said.score if reading.score is None else Score(reading.score)
    return Said(arrival, complete, conditions, score, comment, said.arrived_at)


def _next(before: Conversation, said: Said, reading: Reading, now: datetime) -> tuple[Conversation, str | None]:
    """The question that stands now, and the text that puts it; None: nothing is said."""
    missing = _missing(before, said)
    if before.question == DONE:
        return before._replace(said=said, changed_at=now), None
    if missing == before.question:
        if before.tries < _TRIES:
            again = before._replace(tries=before.tries + 1, said=said, changed_at=now)
            noted = reading.comment is not None
            return again, _SCORE_AGAIN if missing == "score" else _ARRIVAL_NOTED if noted else _ARRIVAL_AGAIN
        return Conversation(DONE, 0, now, said), _PERSON
    after = Conversation(missing, 0, now, said)
    if missing == "score":
        trouble = said.arrival in ("late", "not_received") or said.complete is False
        return after, _SCORE_AFTER_TROUBLE if trouble else _SCORE
    return after, {"arrival": _ARRIVAL_AGAIN, "comment": _WORD, DONE: _DONE}[missing]


def _missing(before: Conversation, said: Said) -> str:
    """The first thing that was not said: arrival, score, a word, or nothing more."""
    if said.arrival is None and said.complete is None:
        return "arrival"
    if said.score is None:
        return "score"
    if said.comment is None and before.question != "comment":
        return "comment"
    return DONE


def _event(inbound: Inbound, asked: Asked, said: Said, now: datetime) -> Incoming:
    """The whole answer as it stands with this text: an answer replaces the one before, and both are kept."""
    data = {
        "order_id": asked.order_id,
        "contact_id": asked.contact_id,
        "channel": "sms",
        "answered_at": inbound.received_at,
        "arrived_at": said.arrived_at,
        "arrival": said.arrival,
        "complete": said.complete,
        "condition": said.conditions,
        "score": said.score,
        "comment": said.comment,
    }
    event = {
        "specversion": "1.0",
        "id": f"{inbound.source}:{inbound.message_id}",
        "source": SOURCE,
        "type": "feedback.received",
        "time": inbound.received_at,
        "data": data,
    }
    return Incoming(msgspec.json.encode(event), "feedback", f"{inbound.source}:{inbound.message_id}", None, now)
