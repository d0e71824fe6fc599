"""Persons: who shares an address, which orders concern somebody, and everything that is known about them."""

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Row, and_, or_, select

from pipeline.domain.answers.statement import Statement
from pipeline.domain.events.received import parse
from pipeline.domain.events.words import SEALED
from pipeline.domain.orders.facts import Facts
from pipeline.store.db.bulk import among, among_rows
from pipeline.store.orders.accounts import accounts_of
from pipeline.store.people import contact_opt_outs, keys
from pipeline.store.people.opt_outs import opted_out
from pipeline.store.people.vault import Vault
from pipeline.store.schema.alerting.cases import case_acts, cases
from pipeline.store.schema.answers import answers, readings
from pipeline.store.schema.asks import asks
from pipeline.store.schema.conversations import conversations, inbound_messages
from pipeline.store.schema.demo_phone import phone_messages
from pipeline.store.schema.journal import journal
from pipeline.store.schema.orders import orders
from pipeline.store.schema.people import (
    contact_opt_changes,
    opt_changes,
    people,
    person_orders,
    undeliverable_addresses,
)

_facts = msgspec.json.Decoder(Facts)
_statement = msgspec.json.Decoder(Statement)


class PersonKey(NamedTuple):
    """A contact of an account."""

    account_id: str
    contact_id: str

    def __str__(self) -> str:
        return f"{self.account_id}/{self.contact_id}"


class Identity(NamedTuple):
    """Name and addresses of a person, opened, and the digests of the addresses."""

    name: str | None
    phone: str | None
    email: str | None
    digests: tuple[str, ...]


class PersonSummary(Struct, frozen=True, kw_only=True):
    """One of those who share an address."""

    account_id: str
    contact_id: str
    orders: int
    opted_out: bool

    @property
    def key(self) -> PersonKey:
        """Who it is."""
        return PersonKey(self.account_id, self.contact_id)


class PersonData(Struct, frozen=True, kw_only=True):
    """Everything known about a person, each list in order of time."""

    account_id: str
    contact_id: str
    name: str | None
    phone: str | None
    email: str | None
    opted_out: bool
    opt_changes: list[dict[str, Any]]
    addresses: list[dict[str, Any]]
    orders: list[dict[str, Any]]
    questions: list[dict[str, Any]]
    answers: list[dict[str, Any]]
    texts: list[dict[str, Any]]
    conversations: list[dict[str, Any]]
    messages: list[dict[str, Any]]
    cases: list[dict[str, Any]]


def at_address(connection: Connection, vault: Vault, address: str) -> list[PersonKey]:
    """Everybody whose phone number or e-mail address this is, or to whom a question went there. Sorted."""
    digests = {digest for digest in (vault.phone_digest(address), vault.email_digest(address)) if digest is not None}
    found = set[PersonKey]()
    if digests:
        has = or_(people.c.phone_digest.in_(digests), people.c.email_digest.in_(digests))
        went = or_(asks.c.recipient.in_(digests), asks.c.address.in_(digests))
        for query in (
            select(people.c.account_id, people.c.contact_id).where(has),
            select(asks.c.account_id, asks.c.contact_id).where(went).distinct(),
        ):
            found |= {PersonKey(*row) for row in connection.execute(query)}
    return sorted(found)


def exists(connection: Connection, person: PersonKey) -> bool:
    """Whether anything is known about that contact."""
    query = select(people.c.contact_id).where(_is(people, person))
    return connection.execute(query).first() is not None or bool(orders_of(connection, person))


def summary(connection: Connection, vault: Vault, person: PersonKey) -> PersonSummary:
    """A person without name and addresses."""
    digests = identity(connection, vault, person).digests
    return PersonSummary(
        account_id=person.account_id,
        contact_id=person.contact_id,
        orders=len(orders_of(connection, person)),
        opted_out=bool(
            contact_opt_outs.opted_out(connection, [person]) or (digests and opted_out(connection, digests))
        ),
    )


def identity(connection: Connection, vault: Vault, person: PersonKey) -> Identity:
    """Name and addresses of a person as they are now."""
    row = connection.execute(select(people).where(_is(people, person))).first()
    if row is None:
        return Identity(None, None, None, ())
    key = keys.by_id(connection, vault, [row.key_id]).get(row.key_id)
    name, phone, email = (
        None if key is None or sealed is None else key.open_value(sealed) for sealed in (row.name, row.phone, row.email)
    )
    return Identity(name, phone, email, tuple(filter(None, (row.phone_digest, row.email_digest))))


def orders_of(connection: Connection, person: PersonKey) -> list[str]:
    """The orders that name a person, that they were asked about, or about which they answered. Sorted."""
    named = select(person_orders.c.order_id).where(_is(person_orders, person))
    asked = select(asks.c.order_id).where(_is(asks, person))
    found = set(connection.execute(named.union(asked)).scalars())
    given = select(answers.c.order_id).where(answers.c.contact_id == person.contact_id).distinct()
    others = set(connection.execute(given).scalars()) - found
    of = accounts_of(connection, others)
    return sorted(found | {order_id for order_id in others if of.get(order_id) == person.account_id})


def shared_orders(connection: Connection, person: PersonKey, order_ids: Collection[str]) -> set[str]:
    """Those of these orders that name somebody else, too."""
    others = or_(person_orders.c.account_id != person.account_id, person_orders.c.contact_id != person.contact_id)
    query = select(person_orders.c.order_id).where(among(connection, person_orders.c.order_id, list(order_ids)), others)
    return set(connection.execute(query.distinct()).scalars())


def shared_digests(connection: Connection, person: PersonKey, digests: Collection[str]) -> set[str]:
    """Those of these addresses that somebody else has, too."""
    has = or_(people.c.phone_digest.in_(digests), people.c.email_digest.in_(digests))
    rows = connection.execute(select(people).where(has, ~_is(people, person)))
    return {digest for row in rows for digest in (row.phone_digest, row.email_digest)} & set(digests)


def digests_of(connection: Connection, vault: Vault, person: PersonKey) -> set[str]:
    """The addresses of a person, and those to which questions to them went."""
    query = select(asks.c.recipient, asks.c.address).where(_is(asks, person))
    went = {digest for row in connection.execute(query) for digest in row if digest is not None}
    return went | set(identity(connection, vault, person).digests)


def export(connection: Connection, vault: Vault, person: PersonKey) -> PersonData:
    """Everything that is known about a person, opened."""
    who = identity(connection, vault, person)
    order_ids = orders_of(connection, person)
    facts = _facts_of(connection, order_ids)
    return PersonData(
        **person._asdict(),
        name=who.name,
        phone=who.phone,
        email=who.email,
        opted_out=bool(contact_opt_outs.opted_out(connection, [person])),
        opt_changes=_opt_changes(connection, person),
        addresses=_addresses(connection, who.digests),
        orders=_orders(connection, vault, person, facts),
        questions=_questions(connection, person, order_ids),
        answers=_answers(connection, vault, person, order_ids),
        texts=_texts(connection, vault, person, order_ids, who.digests),
        conversations=_conversations(connection, vault, person, order_ids),
        messages=_messages(connection, vault, person),
        cases=_cases(connection, vault, person, order_ids),
    )


def _is(table: Any, person: PersonKey) -> Any:
    return and_(table.c.account_id == person.account_id, table.c.contact_id == person.contact_id)


def _facts_of(connection: Connection, order_ids: Collection[str]) -> dict[str, Facts]:
    query = select(orders.c.order_id, orders.c.facts).where(among(connection, orders.c.order_id, list(order_ids)))
    return {order_id: _facts.decode(facts) for order_id, facts in connection.execute(query.order_by(orders.c.order_id))}


def _opt_changes(connection: Connection, person: PersonKey) -> list[dict[str, Any]]:
    """Their STOPs and STARTs, which hold at every address."""
    query = select(contact_opt_changes).where(_is(contact_opt_changes, person)).order_by(contact_opt_changes.c.at)
    return [{"stops": row.stops, "at": row.at} for row in connection.execute(query)]


def _addresses(connection: Connection, digests: Collection[str]) -> list[dict[str, Any]]:
    """What is stored about each address: whether it opted out, its STOPs and STARTs, and whether it rests."""
    found = []
    for digest in digests:
        changes = select(opt_changes).where(opt_changes.c.digest == digest).order_by(opt_changes.c.at)
        rests = select(undeliverable_addresses.c.at).where(undeliverable_addresses.c.digest == digest)
        found.append(
            {
                "digest": digest,
                "opted_out": bool(opted_out(connection, [digest])),
                "changes": [{"stops": row.stops, "at": row.at} for row in connection.execute(changes)],
                "undeliverable_since": connection.execute(rests).scalar(),
            }
        )
    return found


def _orders(connection: Connection, vault: Vault, person: PersonKey, facts: dict[str, Facts]) -> list[dict[str, Any]]:
    """What each revision of an order states about the person."""
    found = []
    for order_id, known in facts.items():
        for revision in known.revisions:
            stated = next((contact for contact in revision.contacts if contact.id == person.contact_id), None)
            if stated is None or revision.account.id != person.account_id:
                continue
            about = {
                "order_id": order_id,
                "at": revision.time,
                "role": stated.role,
                "language": stated.language,
                "timezone": stated.timezone,
                "consent": None if stated.consent is None else msgspec.to_builtins(stated.consent),
            }
            found.append(about | _unknown_fields(connection, vault, revision.source, revision.id, person.contact_id))
    return found


def _unknown_fields(
    connection: Connection, vault: Vault, source: str, event_id: str, contact_id: str
) -> dict[str, Any]:
    """The fields of a contact that the contract does not know, from the event that stated them."""
    payload = connection.execute(
        select(journal.c.payload).where(journal.c.id == event_id, journal.c.source == source)
    ).scalar()
    if payload is None or SEALED not in payload:
        return {}
    contacts = parse(payload.encode())["data"].get("contacts") or []
    token = next((each.get(SEALED) for each in contacts if each.get("id") == contact_id), None)
    opened = keys.open_words(connection, vault, [token]).get(token or "")
    return {} if opened is None else {"other": msgspec.json.decode(opened)}


def _questions(connection: Connection, person: PersonKey, order_ids: Collection[str]) -> list[dict[str, Any]]:
    columns = ("order_id", "purpose", "channel", "decided_at", "reason", "state", "sent_at", "delivered_at", "response")
    query = select(*(asks.c[name] for name in columns)).where(_is(asks, person)).order_by(asks.c.decided_at)
    return [dict(row) for row in connection.execute(query).mappings()]


def _of_contact(connection: Connection, table: Any, person: PersonKey, order_ids: Collection[str]) -> Any:
    return and_(among(connection, table.c.order_id, list(order_ids)), table.c.contact_id == person.contact_id)


def _answers(
    connection: Connection, vault: Vault, person: PersonKey, order_ids: Collection[str]
) -> list[dict[str, Any]]:
    query = select(answers).where(_of_contact(connection, answers, person, order_ids))
    rows = connection.execute(query.order_by(answers.c.received_at, answers.c.event_id)).mappings().all()
    texts = keys.open_words(connection, vault, [row["comment"] for row in rows])
    read = _read_as(connection, [(row["source"], row["event_id"]) for row in rows])
    return [
        dict(row) | {"comment": texts.get(row["comment"] or ""), "read_as": read.get((row["source"], row["event_id"]))}
        for row in rows
    ]


def _read_as(connection: Connection, ids: Collection[tuple[str, str]]) -> dict[tuple[str, str], dict[str, Any]]:
    """What these answers state as people have corrected them; those that nobody corrected are missing."""
    found = connection.execute(select(readings).where(among_rows(connection, list(readings.primary_key), ids)))
    stated = [dict(row) for row in found.mappings()]
    return {(row.pop("source"), row.pop("event_id")): row for row in stated}


def _texts(
    connection: Connection, vault: Vault, person: PersonKey, order_ids: Collection[str], digests: Collection[str]
) -> list[dict[str, Any]]:
    """What they wrote, and what was written from their addresses without belonging to a question."""
    theirs = _of_contact(connection, inbound_messages, person, order_ids)
    unmatched = and_(inbound_messages.c.sender.in_(digests), inbound_messages.c.order_id.is_(None))
    query = select(inbound_messages).where(or_(theirs, unmatched)).order_by(inbound_messages.c.received_at)
    rows = connection.execute(query).all()
    texts = keys.open_words(connection, vault, [row.text.decode("latin-1") for row in rows])
    return [
        {
            "order_id": row.order_id,
            "received_at": row.received_at,
            "text": texts.get(row.text.decode("latin-1")),
            "outcome": row.outcome,
            "reply": row.reply,
        }
        for row in rows
    ]


def _conversations(
    connection: Connection, vault: Vault, person: PersonKey, order_ids: Collection[str]
) -> list[dict[str, Any]]:
    query = select(conversations).where(_of_contact(connection, conversations, person, order_ids))
    rows = connection.execute(query.order_by(conversations.c.changed_at)).all()
    said = [_statement.decode(row.said) for row in rows]
    texts = keys.open_words(connection, vault, [statement.comment for statement in said])
    return [
        {
            "order_id": row.order_id,
            "changed_at": row.changed_at,
            "open_question": row.question,
            "said": msgspec.to_builtins(statement) | {"comment": texts.get(statement.comment or "")},
        }
        for row, statement in zip(rows, said, strict=True)
    ]


def _messages(connection: Connection, vault: Vault, person: PersonKey) -> list[dict[str, Any]]:
    rows: Iterable[Row[Any]] = connection.execute(
        select(phone_messages).where(_is(phone_messages, person)).order_by(phone_messages.c.at)
    ).all()
    texts = keys.open_words(connection, vault, [row.body for row in rows])
    return [{"order_id": row.order_id, "at": row.at, "text": texts.get(row.body)} for row in rows]


def _cases(connection: Connection, vault: Vault, person: PersonKey, order_ids: Collection[str]) -> list[dict[str, Any]]:
    """The acts of the cases with this contact, and what was written about them."""
    mine = cases.c.contact_id == person.contact_id, among(connection, cases.c.order_id, list(order_ids))
    joined = select(case_acts, cases.c.order_id).join(cases, cases.c.case_id == case_acts.c.case_id).where(*mine)
    rows = connection.execute(joined.order_by(case_acts.c.at, case_acts.c.case_id, case_acts.c.act)).all()
    texts = keys.open_words(connection, vault, [row.words for row in rows])
    return [
        {
            "case_id": row.case_id,
            "order_id": row.order_id,
            "at": row.at,
            "by": row.by,
            "what": row.change or row.what,
            "words": texts.get(row.words or ""),
        }
        for row in rows
    ]


def memberships_of(connection: Connection, order_ids: Collection[str]) -> dict[str, tuple[str, dict[str, str]]]:
    """Account and dimensions of those of these orders that are known: what decides whose scope contains them."""
    known = {order_id: facts for order_id, facts in _facts_of(connection, order_ids).items() if facts.known}
    return {order_id: (facts.latest.account.id, facts.latest.dimensions) for order_id, facts in known.items()}
