"""Erasure of a person: asked for by one user, confirmed by another, carried out in one transaction.

The key of the person is destroyed, and with it everything that was sealed with it, in the journal, on topics and in
backups. Scores and codes stay, without the person. What is left of an erasure is a tombstone with ids only.
"""

import secrets
from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec import structs
from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select

from pipeline.domain.answers.statement import Statement
from pipeline.domain.asking.ask_states import AskState, SendOutcome
from pipeline.domain.detection.segments import Level
from pipeline.domain.events.cloudevents import envelope
from pipeline.domain.events.contract import OWN_SOURCE
from pipeline.domain.orders.facts import Facts
from pipeline.store.asks.outcomes import AskKey, end
from pipeline.store.db import locks
from pipeline.store.db.bulk import among
from pipeline.store.journal import state
from pipeline.store.journal.journal import Entry
from pipeline.store.orders.orders import OrderStore
from pipeline.store.orders.timers import REMINDER
from pipeline.store.people import keys, persons, word_index
from pipeline.store.people.keys import Owner
from pipeline.store.people.persons import PersonKey
from pipeline.store.schema.answers import answers
from pipeline.store.schema.asks import asks
from pipeline.store.schema.conversations import conversations, inbound_messages
from pipeline.store.schema.demo_phone import phone_messages
from pipeline.store.schema.inbox import WAITING, inbox
from pipeline.store.schema.journal import journal
from pipeline.store.schema.orders import orders, timers
from pipeline.store.schema.people import erasures, people, sealing_keys, undeliverable_addresses
from pipeline.store.store import Store

RETENTION = "retention"  # who asks for the erasure of persons whom no event names any more
SCRUBBED = ("people", "sealing_keys", "conversations", "phone_messages", "answer_words", "inbox")
"""The tables of which an erasure leaves deleted rows behind, on PostgreSQL until they are vacuumed."""
_facts = msgspec.json.Decoder(Facts)
_statement = msgspec.json.Decoder(Statement)
_encode = msgspec.json.Encoder().encode
_IN_FLIGHT = (AskState.SENDING, AskState.UNKNOWN)


class Erasure(NamedTuple):
    """An erasure that was asked for, or carried out. `due_at`: when it takes effect without a second user."""

    id: str
    account_id: str
    contact_id: str
    requested_at: datetime
    requested_by: str
    due_at: datetime | None
    confirmed_at: datetime | None
    confirmed_by: str | None
    done_at: datetime | None
    orders: int | None
    withdrawn_at: datetime | None

    @property
    def person(self) -> PersonKey:
        """Who is erased."""
        return PersonKey(self.account_id, self.contact_id)


def request(connection: Connection, person: PersonKey, by: str, due_at: datetime | None, now: datetime) -> Erasure:
    """Ask for an erasure. One that is already waiting for this person is returned instead."""
    locks.lock(connection, "erasure", [str(person)])
    waiting = next((one for one in pending(connection) if one.person == person), None)
    if waiting is not None:
        return waiting
    row = {
        "id": secrets.token_hex(8),
        **person._asdict(),
        "requested_at": now,
        "requested_by": by,
        "due_at": due_at,
    }
    connection.execute(erasures.insert(), row)
    return get(connection, str(row["id"]))


def request_forgotten(connection: Connection, before: datetime, limit: int, now: datetime) -> None:
    """Make the erasure due of persons whom no event has named since then, at most `limit` at once."""
    waiting = {one.person for one in pending(connection)}
    old = people.c.said_at < before, people.c.account_id != ""
    query = select(people.c.account_id, people.c.contact_id).where(*old).order_by(people.c.said_at).limit(limit)
    for person in (PersonKey(*row) for row in connection.execute(query)):
        if person not in waiting:
            request(connection, person, RETENTION, now, now)


def forget_strangers(connection: Connection, before: datetime, limit: int) -> int:
    """Destroy the keys of at most `limit` addresses that were never asked and wrote last before that time."""
    keyed = and_(sealing_keys.c.kind == "address", sealing_keys.c.owner == inbound_messages.c.sender)
    query = (
        select(inbound_messages.c.sender)
        .join(sealing_keys, keyed)
        .where(inbound_messages.c.order_id.is_(None))
        .group_by(inbound_messages.c.sender)
        .having(func.max(inbound_messages.c.received_at, type_=inbound_messages.c.received_at.type) < before)
        .limit(limit)
    )
    found = [Owner("address", digest) for digest in connection.execute(query).scalars()]
    destroy(connection, found)
    _leave_inbox(connection, _of_strangers(connection, [owner.id for owner in found]))
    return len(found)


def get(connection: Connection, erasure_id: str) -> Erasure:
    """The erasure with this id. Raises LookupError."""
    row = connection.execute(select(erasures).where(erasures.c.id == erasure_id)).first()
    if row is None:
        raise LookupError(f"there is no erasure {erasure_id}")
    return Erasure(**row._mapping)


def pending(connection: Connection) -> list[Erasure]:
    """The erasures that wait for a second user, or for their time, oldest first."""
    waits = erasures.c.done_at.is_(None), erasures.c.withdrawn_at.is_(None)
    return [Erasure(**row._mapping) for row in connection.execute(select(erasures).where(*waits).order_by(*_OLDEST))]


def done(connection: Connection, limit: int) -> list[Erasure]:
    """The tombstones of the newest erasures, newest first."""
    query = select(erasures).where(erasures.c.done_at.is_not(None)).order_by(erasures.c.done_at.desc(), erasures.c.id)
    return [Erasure(**row._mapping) for row in connection.execute(query.limit(limit))]


def due(connection: Connection, now: datetime) -> list[Erasure]:
    """The erasures that take effect without a second user by now."""
    return [one for one in pending(connection) if one.due_at is not None and one.due_at <= now]


def erased_at(connection: Connection, accounts: Collection[str]) -> dict[tuple[str, str], datetime]:
    """When persons of these accounts were erased last: nothing of before is joined to who has their ids now."""
    query = (
        select(
            erasures.c.account_id, erasures.c.contact_id, func.max(erasures.c.done_at, type_=erasures.c.done_at.type)
        )
        .where(among(connection, erasures.c.account_id, list(accounts)), erasures.c.done_at.is_not(None))
        .group_by(erasures.c.account_id, erasures.c.contact_id)
    )
    return {(account, contact): at for account, contact, at in connection.execute(query)}


_OLDEST = (erasures.c.requested_at, erasures.c.id)


def carry_out(
    connection: Connection,
    store: Store,
    levels: tuple[Level, ...],
    erasure: Erasure,
    confirmed_by: str | None,
    now: datetime,
) -> int:
    """Erase the person in the caller's transaction. Returns the number of orders that named them.

    Waits for everybody who is sealing or processing just now.
    """
    state.get(connection, state.POSITION, lock=True)  # in embedded mode: not while a batch is processed
    keys.stop_sealing(connection)
    person = erasure.person
    order_ids = persons.orders_of(connection, person)
    locks.lock(connection, "order", order_ids)
    _destroy_words(connection, store, person, order_ids)
    _forget_addresses(connection, store, person)
    _end_questions(connection, person, order_ids, now)
    connection.execute(delete(people).where(_is(people, person)))
    connection.execute(delete(phone_messages).where(_is(phone_messages, person)))
    if erasure.requested_by != RETENTION:
        _count(connection, levels, person, order_ids)
    here = erasures.update().where(erasures.c.id == erasure.id)
    confirmed = {} if confirmed_by is None else {"confirmed_at": now, "confirmed_by": confirmed_by}
    connection.execute(here.values(done_at=now, orders=len(order_ids), **confirmed))
    _append(connection, store, erasure, now)
    return len(order_ids)


def _is(table: Any, person: PersonKey) -> Any:
    return and_(table.c.account_id == person.account_id, table.c.contact_id == person.contact_id)


def _destroy_words(connection: Connection, store: Store, person: PersonKey, order_ids: list[str]) -> None:
    """Destroy the keys of what they said, their words in the index, and the words of orders that name nobody else."""
    alone = [order_id for order_id in order_ids if order_id not in persons.shared_orders(connection, person, order_ids)]
    owners = [keys.person(*person), *(keys.order(order_id, person.contact_id) for order_id in order_ids)]
    owners += [keys.order(order_id) for order_id in alone]
    owners += [Owner("parcel", number) for number in _parcels(connection, alone)]
    owners += [keys.person("", order_id) for order_id in alone]  # who signed, as earlier versions stored it
    destroy(connection, owners)
    connection.execute(delete(people).where(people.c.account_id == "", among(connection, people.c.contact_id, alone)))
    seqs = _answers_in_journal(connection, person, order_ids)
    word_index.remove(connection, seqs)
    theirs = and_(
        among(connection, conversations.c.order_id, order_ids), conversations.c.contact_id == person.contact_id
    )
    for row in connection.execute(select(conversations).where(theirs)).all():
        said = _encode(structs.replace(_statement.decode(row.said), comment=None)).decode()
        one = conversations.c.order_id == row.order_id, conversations.c.contact_id == row.contact_id
        connection.execute(conversations.update().where(*one).values(said=said))
    _leave_inbox(
        connection, and_(among(connection, inbox.c.order_id, order_ids), inbox.c.contact_id == person.contact_id)
    )


def _of_strangers(connection: Connection, digests: list[str]) -> ColumnElement[bool]:
    """What is in the inbox of these addresses without belonging to an order."""
    return and_(inbox.c.order_id.is_(None), among(connection, inbox.c.sender, digests))


def _leave_inbox(connection: Connection, theirs: ColumnElement[bool]) -> None:
    """Nobody can read the words that wait any more. What was read keeps its codes, without the address."""
    connection.execute(delete(inbox).where(theirs, WAITING))
    connection.execute(inbox.update().where(theirs).values(sender=None))


def destroy(connection: Connection, owners: Collection[Owner]) -> None:
    """Overwrite these keys, then delete them."""
    for kind in sorted({owner.kind for owner in owners}):
        ids = [owner.id for owner in owners if owner.kind == kind]
        these = sealing_keys.c.kind == kind, among(connection, sealing_keys.c.owner, ids)
        connection.execute(sealing_keys.update().where(*these).values(wrapped_key=bytes(60)))  # as long as a key
        connection.execute(delete(sealing_keys).where(*these))


def _parcels(connection: Connection, order_ids: list[str]) -> set[str]:
    """The tracking numbers that only these orders have."""
    query = select(orders.c.facts).where(among(connection, orders.c.order_id, order_ids))
    found = [_facts.decode(facts) for facts in connection.execute(query).scalars()]
    used = {use.number for facts in found for use in facts.number_uses}
    return {scan.tracking for facts in found for scan in facts.scans if scan.tracking is not None} - used


def _answers_in_journal(connection: Connection, person: PersonKey, order_ids: list[str]) -> list[int]:
    theirs = among(connection, answers.c.order_id, order_ids), answers.c.contact_id == person.contact_id
    same = and_(journal.c.id == answers.c.event_id, journal.c.source == answers.c.source)
    return list(connection.execute(select(journal.c.seq).join_from(answers, journal, same).where(*theirs)).scalars())


def _forget_addresses(connection: Connection, store: Store, person: PersonKey) -> None:
    """Forget where questions to them went, unless somebody else has that address, too. Opt-outs always stay."""
    digests = persons.digests_of(connection, store.vault, person)
    own = sorted(digests - persons.shared_digests(connection, person, digests))
    destroy(connection, [Owner("address", digest) for digest in own])
    _leave_inbox(connection, _of_strangers(connection, own))
    addresses = undeliverable_addresses.c.digest
    connection.execute(delete(undeliverable_addresses).where(among(connection, addresses, own)))
    theirs = asks.update().where(_is(asks, person))
    connection.execute(theirs.where(asks.c.state.not_in(_IN_FLIGHT)).values(recipient=None, form_token_hash=None))
    connection.execute(theirs.where(among(connection, asks.c.address, own)).values(address=None))


def _end_questions(connection: Connection, person: PersonKey, order_ids: list[str], now: datetime) -> None:
    """Questions that are decided and not sent yet are not sent, and none is repeated."""
    waiting = select(asks.c.order_id, asks.c.contact_id, asks.c.purpose)
    for row in connection.execute(waiting.where(_is(asks, person), asks.c.state == AskState.DUE)).all():
        end(connection, AskKey(*row), AskState.NOT_ASKED, {"outcome": SendOutcome.NO_CHANNEL}, now)
    reminders = and_(
        timers.c.kind == REMINDER,
        among(connection, timers.c.order_id, order_ids),
        or_(timers.c.subject == person.contact_id, timers.c.subject.endswith(f":{person.contact_id}", autoescape=True)),
    )
    connection.execute(delete(timers).where(reminders))


def _count(connection: Connection, levels: tuple[Level, ...], person: PersonKey, order_ids: list[str]) -> None:
    """Count the erasure in the figures of every segment of the orders."""
    known = OrderStore(connection, levels)
    known.load(order_ids)
    for order_id in order_ids:
        dialogue = known.get(order_id).dialogue
        dialogue.erased = [*dialogue.erased, person.contact_id]
    known.flush()
    known.flush_shared()


def _append(connection: Connection, store: Store, erasure: Erasure, now: datetime) -> None:
    """The erasure in the journal: pages notice that something has changed."""
    event_id, kind = f"erased:{erasure.id}", "person.erased"
    payload = envelope(OWN_SOURCE, event_id, kind, now, erasure.person._asdict()).decode()
    entry = Entry(OWN_SOURCE, event_id, kind, True, now, payload, str(erasure.person))
    store.journal.append(connection, [entry], publish=False)
