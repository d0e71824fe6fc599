"""Texts from outside, each kept once as it came, and where the conversation about a question stands."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    Column,
    Connection,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    and_,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from pipeline.domain.events.contract import Condition, Score
from pipeline.domain.orders.facts import Facts, contact_of
from pipeline.store.db.bulk import Row, insert_new, upsert
from pipeline.store.schema.tables import Utc, answers, asks, metadata, opt_outs, orders, people

_MOST_ASKS = 50  # of one phone: whoever was asked more often answers the newest

# Every text that came, whoever sent it. What it said stays; what became of it is added in the same transaction.
inbound_messages = Table(
    "inbound_messages",
    metadata,
    Column("source", String(40), nullable=False),  # twilio, phone
    Column("message_id", String(200), nullable=False),  # the provider's
    Column("received_at", Utc, nullable=False),
    Column("sender", String(64)),  # the phone's digest; null: not a number anybody could be reached at
    Column("text", LargeBinary, nullable=False),  # sealed: it may hold anything
    Column("outcome", String(20), nullable=False),  # consumers.conversation.Outcome
    Column("order_id", String(200)),
    Column("contact_id", String(200)),
    Column("reply", Text),  # what we sent back; null: nothing
    PrimaryKeyConstraint("source", "message_id"),
    Index("inbound_by_sender", "sender", "received_at"),
    Index("inbound_by_order", "order_id"),
)

conversations = Table(
    "conversations",
    metadata,
    Column("order_id", String(200), nullable=False),
    Column("contact_id", String(200), nullable=False),
    Column("question", String(20), nullable=False),  # the one that stands: arrival, score, comment, done
    Column("tries", SmallInteger, nullable=False),  # how often it was put again
    Column("changed_at", Utc, nullable=False),
    Column("said", Text, nullable=False),  # what was said so far, as JSON
    PrimaryKeyConstraint("order_id", "contact_id"),
)

# What the provider told of a message we sent: each word of it counts once.
provider_callbacks = Table(
    "provider_callbacks",
    metadata,
    Column("message_id", String(100), nullable=False),
    Column("status", String(40), nullable=False),
    Column("received_at", Utc, nullable=False),
    Column("error_code", String(20)),
    PrimaryKeyConstraint("message_id", "status"),
)


# When a question reached somebody, as near as we know.
ASKED_AT = func.coalesce(asks.c.sent_at, asks.c.sending_at, asks.c.decided_at, type_=Utc())


class Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one person has said of one order so far, however many messages and forms it took."""

    arrival: str | None = None
    complete: bool | None = None
    conditions: tuple[Condition, ...] = ()
    score: Score | None = None
    comment: str | None = None
    arrived_at: datetime | None = None


class Standing(NamedTuple):
    """The answer that stands, when it was given, and how many there were in all."""

    said: Said
    answered_at: datetime | None
    number: int


class Asked(NamedTuple):
    """A question that went to a phone."""

    order_id: str
    contact_id: str
    purpose: str
    asked_at: datetime
    state: str


class Conversation(NamedTuple):
    """Where it stands."""

    question: str
    tries: int
    changed_at: datetime
    said: Said


def _insert_once(connection: Connection, table: Table, row: Row) -> bool:
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    first = next(iter(table.primary_key))
    statement = dialect.insert(table).values(row).on_conflict_do_nothing().returning(first)
    return connection.execute(statement).first() is not None


def receive(connection: Connection, row: Row) -> bool:
    """Keep a text. False: it was kept before, and nothing is to be done about it."""
    return _insert_once(connection, inbound_messages, row)


def heard(connection: Connection, source: str, message_id: str) -> bool:
    """Whether a text was kept."""
    query = select(inbound_messages.c.message_id)
    named = and_(inbound_messages.c.source == source, inbound_messages.c.message_id == message_id)
    return connection.execute(query.where(named)).first() is not None


def note_callback(connection: Connection, row: Row) -> bool:
    """Keep what the provider told. False: that was told before."""
    return _insert_once(connection, provider_callbacks, row)


def conclude(connection: Connection, source: str, message_id: str, **became: str | None) -> None:
    """Add what became of a text: `outcome`, `order_id`, `contact_id`, `reply`."""
    named = and_(inbound_messages.c.source == source, inbound_messages.c.message_id == message_id)
    connection.execute(inbound_messages.update().where(named).values(**became))


def asked_of(connection: Connection, sender: str) -> list[Asked]:
    """The questions that went to a phone, or may have, newest first."""
    columns = asks.c.order_id, asks.c.contact_id, asks.c.purpose, ASKED_AT.label("asked_at"), asks.c.state
    put = asks.c.reason.is_(None), asks.c.state.not_in(["due", "not_asked"])
    named = and_(people.c.account_id == asks.c.account_id, people.c.contact_id == asks.c.contact_id)
    ours = select(*columns).where(asks.c.recipient == sender, *put)
    # Questions that somebody else sent: to whatever number the person has now.
    theirs = people.c.phone_digest == sender, asks.c.recipient.is_(None)
    others = select(*columns).join(people, named).where(*theirs, *put)
    both = ours.union_all(others).subquery()
    newest_first = both.c.asked_at.desc(), both.c.order_id, both.c.contact_id, both.c.purpose
    return [Asked(*row) for row in connection.execute(select(both).order_by(*newest_first).limit(_MOST_ASKS))]


def questions(connection: Connection, found: Sequence[Asked]) -> dict[tuple[str, str], str]:
    """The question that stands about each of these, where a conversation was begun."""
    if not found:
        return {}
    query = select(conversations.c.order_id, conversations.c.contact_id, conversations.c.question)
    rows = connection.execute(query.where(conversations.c.order_id.in_({asked.order_id for asked in found})))
    return {(order_id, contact_id): question for order_id, contact_id, question in rows}


def resume(connection: Connection, order_id: str, contact_id: str, now: datetime) -> Conversation:
    """The conversation with one person about one order; nobody else has it until the transaction ends."""
    key = {"order_id": order_id, "contact_id": contact_id}
    fresh = {"question": "arrival", "tries": 0, "changed_at": now, "said": "{}"}
    insert_new(connection, conversations, [key | fresh])
    columns = [conversations.c[name] for name in Conversation._fields]
    named = and_(conversations.c.order_id == order_id, conversations.c.contact_id == contact_id)
    question, tries, changed_at, said = connection.execute(select(*columns).where(named).with_for_update()).one()
    return Conversation(question, tries, changed_at, msgspec.json.decode(said, type=Said))


def keep(connection: Connection, order_id: str, contact_id: str, conversation: Conversation) -> None:
    """Write where it stands."""
    row = {"order_id": order_id, "contact_id": contact_id} | conversation._asdict()
    upsert(connection, conversations, [row | {"said": msgspec.json.encode(conversation.said).decode()}])


def standing(connection: Connection, order_id: str, contact_id: str) -> Standing | None:
    """The answer of one person to one order that stands; None if there is none."""
    named = and_(answers.c.order_id == order_id, answers.c.contact_id == contact_id)
    rows = connection.execute(select(answers).where(named)).all()
    if not rows:
        return None
    first = datetime.min.replace(tzinfo=rows[0].received_at.tzinfo)
    row = max(rows, key=lambda row: (row.answered_at or first, row.source, row.event_id))
    said = Said(
        row.arrival,
        row.complete,
        tuple(filter(None, row.condition.split(","))),
        None if row.score is None else Score(row.score, row.scale),
        row.comment,
        row.arrived_at,
    )
    return Standing(said, row.answered_at, len(rows))


def contact(connection: Connection, order_id: str, contact_id: str) -> tuple[str | None, str | None]:
    """The language and the time zone of a contact, as the order names them now."""
    text = connection.execute(select(orders.c.facts).where(orders.c.order_id == order_id)).scalar()
    found = None if text is None else contact_of(msgspec.json.decode(text, type=Facts), contact_id)
    return (None, None) if found is None else (found.language, found.timezone)


def opt_out(connection: Connection, digest: str, now: datetime, source: str) -> None:
    """This phone wants no messages, from this transaction on."""
    insert_new(connection, opt_outs, [{"digest": digest, "at": now, "source": source}])


def opt_in(connection: Connection, digest: str) -> None:
    """This phone wants messages again. That it once did not stays among the texts."""
    connection.execute(opt_outs.delete().where(opt_outs.c.digest == digest))


class Heard(NamedTuple):
    """One text, and what was sent back, as the demo's phone shows them."""

    message_id: str
    received_at: datetime
    sender: str
    text: bytes  # sealed
    reply: str | None


def newest(connection: Connection, source: str, limit: int) -> list[Heard]:
    """The newest texts of a source, newest first."""
    columns = [inbound_messages.c[name] for name in Heard._fields]
    query = select(*columns).where(inbound_messages.c.source == source, inbound_messages.c.sender.is_not(None))
    order = inbound_messages.c.received_at.desc(), inbound_messages.c.message_id
    return [Heard(*row) for row in connection.execute(query.order_by(*order).limit(limit))]
