"""Seals the words that earlier versions stored readable: once, by `unvarnished migrate`, while nothing else runs.

Every step is one transaction that also stores how far it is. A run that was killed goes on where it stopped.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct, structs
from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, Table, func, select, tuple_

from pipeline.domain.answers.statement import Statement
from pipeline.domain.events.contract import BadEvent, Event
from pipeline.domain.events.decoding import decode_stored
from pipeline.domain.events.received import encode, parse
from pipeline.domain.events.words import SHAPES
from pipeline.domain.orders.facts import Facts
from pipeline.store.db.bulk import Row as Values
from pipeline.store.db.bulk import insert_new
from pipeline.store.db.engine import compact, reading
from pipeline.store.journal import state
from pipeline.store.orders.accounts import accounts_of
from pipeline.store.people import keys, word_index
from pipeline.store.people.keys import Owner
from pipeline.store.people.sealing import SealedEvent, seal_stored, seal_unreadable
from pipeline.store.people.vault import SealingKey, Vault
from pipeline.store.schema.answers import answers
from pipeline.store.schema.conversations import conversations, inbound_messages
from pipeline.store.schema.demo_phone import phone_messages
from pipeline.store.schema.journal import dead_letters, journal
from pipeline.store.schema.orders import orders
from pipeline.store.schema.people import person_orders
from pipeline.store.schema.tracking import tracked_events
from pipeline.store.schema.triggers import lifted

_ROWS = 1_000  # a transaction
_facts = msgspec.json.Decoder(Facts)
_encode_facts = msgspec.json.Encoder(decimal_format="number").encode
_statement = msgspec.json.Decoder(Statement)
_encode = msgspec.json.Encoder().encode
# From the first quote to the last of its kind: what the reasons of earlier versions quote may itself contain quotes.
_QUOTED = re.compile(r"'.*'|\".*\"", re.DOTALL)


class _Work(NamedTuple):
    """One transaction of a step."""

    connection: Connection
    vault: Vault

    def keys(self, owners: Sequence[Owner]) -> Sequence[SealingKey]:
        """The key of each owner."""
        found = keys.keys_for(self.connection, self.vault, set(owners))
        return [found[owner] for owner in owners]

    def contacts(self, rows: Sequence[Row[Any]]) -> list[Owner]:
        """Whose each row is, by its order and contact."""
        accounts = accounts_of(self.connection, {row.order_id for row in rows})
        return [keys.contact(accounts.get(row.order_id), row.order_id, row.contact_id) for row in rows]

    def update(self, table: Table, rows: Sequence[Row[Any]], values: Sequence[Values]) -> None:
        """Change these rows, each by its values."""
        for row, changed in zip(rows, values, strict=True):
            if changed:
                here = [column == getattr(row, column.name) for column in table.primary_key]
                self.connection.execute(table.update().where(*here).values(changed))


class _Step(NamedTuple):
    """The rows of one table, and what seals them. `only`: the rows that can hold words."""

    table: Table
    seal: Callable[[_Work, Sequence[Row[Any]]], None]
    only: ColumnElement[bool] | None = None

    def rows(self, after: Sequence[Any]) -> Select[Any]:
        """The next rows behind that key."""
        key = list(self.table.primary_key)
        query = select(self.table) if self.only is None else select(self.table).where(self.only)
        if after:
            query = query.where(key[0] > after[0] if len(key) == 1 else tuple_(*key) > tuple_(*after))
        return query.order_by(*key).limit(_ROWS)

    def count(self, connection: Connection) -> int:
        """How many rows it has."""
        query = select(func.count()).select_from(self.table)
        return connection.execute(query if self.only is None else query.where(self.only)).scalar_one()


class _Progress(Struct):
    """How far sealing is, as it is stored: the step, the key of the last row sealed in it, and the number of rows."""

    step: int = 0
    after: list[Any] = []
    done: int = 0


def is_pending(connection: Connection) -> bool:
    """Whether words of an earlier version are still to be sealed."""
    return state.get(connection, state.SEALING) is not None


def seal_existing(engine: Engine, vault: Vault, report: Callable[[int, int], None]) -> None:
    """Seal everything that is pending, then remove what is left of it in the database's files.

    `report` gets the number of rows that are done and of all rows.
    """
    with reading(engine) as connection:
        if not is_pending(connection):
            return
        total = sum(step.count(connection) for step in _STEPS)
    while (done := _advance(engine, vault)) is not None:
        report(done, total)
    compact(engine, [step.table.name for step in _STEPS])
    with engine.begin() as connection:
        state.remove(connection, state.SEALING)
    report(total, total)


def _advance(engine: Engine, vault: Vault) -> int | None:
    """Seal the next rows. Returns the number of rows done so far; None: there are no more."""
    with engine.begin() as connection:
        progress = _read(connection)
        if progress.step == len(_STEPS):
            return None
        step = _STEPS[progress.step]
        rows = connection.execute(step.rows(progress.after)).all()
        if rows:
            with lifted(connection, step.table.name):
                step.seal(_Work(connection, vault), rows)
            key = [getattr(rows[-1], column.name) for column in step.table.primary_key]
            progress = _Progress(progress.step, key, progress.done + len(rows))
        else:
            progress = _Progress(progress.step + 1, [], progress.done)
        state.put(connection, state.SEALING, _encode(progress).decode())
    return progress.done


def _read(connection: Connection) -> _Progress:
    text = state.get(connection, state.SEALING)
    return msgspec.json.decode(text, type=_Progress) if text else _Progress()


def _seal_journal(work: _Work, rows: Sequence[Row[Any]]) -> None:
    read = [(row, _event(row)) for row in rows]
    whole = [(row, event) for row, event in read if event is not None]
    sealed = seal_stored(work.connection, work.vault, [(event, row.payload.encode()) for row, event in whole])
    texts = [one.text for one in sealed]
    unreadable = [row for row, event in read if event is None]
    texts += seal_unreadable(work.connection, work.vault, [(row.type, row.payload.encode()) for row in unreadable])
    changed = [*(row for row, _ in whole), *unreadable]
    update = [{"payload": text} if text != row.payload else {} for row, text in zip(changed, texts, strict=True)]
    work.update(journal, changed, update)
    _store_parts(work.connection, [(row.seq, one) for (row, _), one in zip(whole, sealed, strict=True)])


def _store_parts(connection: Connection, sealed: Sequence[tuple[int, SealedEvent]]) -> None:
    named = {tuple(row.values()): row for _, one in sealed for row in one.person_orders}
    insert_new(connection, person_orders, [named[key] for key in sorted(named)])
    word_index.save(connection, [row for seq, one in sealed for row in word_index.rows_of(seq, one.words)])


def _event(row: Row[Any]) -> Event | None:
    """The event; None: this version cannot read it."""
    try:
        return decode_stored(row.payload.encode(), row.received_at)
    except BadEvent:
        return None


def _seal_answers(work: _Work, rows: Sequence[Row[Any]]) -> None:
    found = work.keys(work.contacts(rows))
    work.update(answers, rows, [{"comment": key.seal(row.comment)} for row, key in zip(rows, found, strict=True)])


def _seal_orders(work: _Work, rows: Sequence[Row[Any]]) -> None:
    read = [(row, _facts.decode(row.facts)) for row in rows]
    worded = [(row, facts) for row, facts in read if any(_words_of(facts))]
    found = work.keys([keys.order(row.order_id) for row, _ in worded])
    for (_, facts), key in zip(worded, found, strict=True):
        facts.promises = [_sealed(promise, key, "by", "reason") for promise in facts.promises]
        facts.scans = [_sealed(scan, key, "note") for scan in facts.scans]
        facts.cancellations = [_sealed(one, key, "reason") for one in facts.cancellations]
    values = [{"facts": _encode_facts(facts).decode()} for _, facts in worded]
    work.update(orders, [row for row, _ in worded], values)


def _words_of(facts: Facts) -> Iterator[str | None]:
    for promise in facts.promises:
        yield from (promise.by, promise.reason)
    yield from (scan.note for scan in facts.scans)
    yield from (one.reason for one in facts.cancellations)


def _sealed(fact: Any, key: SealingKey, *fields: str) -> Any:
    words = {name: getattr(fact, name) for name in fields if getattr(fact, name)}
    return structs.replace(fact, **{name: key.seal(text) for name, text in words.items()}) if words else fact


def _seal_conversations(work: _Work, rows: Sequence[Row[Any]]) -> None:
    found = [(row, _statement.decode(row.said)) for row in rows]
    worded = [(row, statement) for row, statement in found if statement.comment]
    made = work.keys(work.contacts([row for row, _ in worded]))
    values = [
        {"said": _encode(structs.replace(statement, comment=key.seal(statement.comment or ""))).decode()}
        for (_, statement), key in zip(worded, made, strict=True)
    ]
    work.update(conversations, [row for row, _ in worded], values)


def _seal_inbound(work: _Work, rows: Sequence[Row[Any]]) -> None:
    """Until now they were sealed with one key for all."""
    accounts = accounts_of(work.connection, {row.order_id for row in rows if row.order_id is not None})
    owners = [
        Owner("address", row.sender or "")
        if row.order_id is None or row.contact_id is None
        else keys.contact(accounts.get(row.order_id), row.order_id, row.contact_id)
        for row in rows
    ]
    texts = [work.vault.open_bytes(row.text).decode("utf-8", "replace") for row in rows]
    sealed = [key.seal(text) for key, text in zip(work.keys(owners), texts, strict=True)]
    work.update(inbound_messages, rows, [{"text": token.encode()} for token in sealed])


def _seal_phones(work: _Work, rows: Sequence[Row[Any]]) -> None:
    found = work.keys([keys.contact(row.account_id, row.order_id, row.contact_id) for row in rows])
    values = [
        {"number": key.seal(row.number), "digest": work.vault.phone_digest(row.number), "body": key.seal(row.body)}
        for row, key in zip(rows, found, strict=True)
    ]
    work.update(phone_messages, rows, values)


def _seal_tracked(work: _Work, rows: Sequence[Row[Any]]) -> None:
    found = work.keys([Owner("parcel", row.number) for row in rows])
    values = []
    for row, key in zip(rows, found, strict=True):
        event = parse(row.event.encode())  # orders.tracking: type, time, historic, data
        data = event[-1]
        words = [name for name in SHAPES[event[0]].words if data.get(name)]
        data.update({name: key.seal(data[name]) for name in words})
        values.append({"event": encode(event).decode()} if words else {})
    work.update(tracked_events, rows, values)


def _redact_dead_letters(work: _Work, rows: Sequence[Row[Any]]) -> None:
    work.update(dead_letters, rows, [{"reason": _QUOTED.sub("…", row.reason)} for row in rows])


_STEPS = (
    _Step(journal, _seal_journal, journal.c.outgoing.is_(False)),
    _Step(answers, _seal_answers, answers.c.comment.is_not(None)),
    _Step(orders, _seal_orders),
    _Step(conversations, _seal_conversations),
    _Step(inbound_messages, _seal_inbound),
    _Step(phone_messages, _seal_phones),
    _Step(tracked_events, _seal_tracked),
    _Step(dead_letters, _redact_dead_letters),
)
