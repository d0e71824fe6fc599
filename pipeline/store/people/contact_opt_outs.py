"""Opt-outs of contacts: who wants no messages at any address, also at those that they get later.

An opt-out of an address (`opt_outs`) holds for the address, whoever has it. An opt-out of a contact holds for the
person: a later order may name another number. As for addresses, the newest STOP or START decides.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from itertools import product
from typing import NamedTuple

from sqlalchemy import Connection, or_, select

from pipeline.store.db.bulk import Row, among, among_rows, insert_new
from pipeline.store.people import opt_outs
from pipeline.store.people.opt_outs import OptChange
from pipeline.store.schema.people import contact_opt_changes, opt_changes, people

UNMATCHED = "unvarnished/unmatched-text"
"""Source of the STOPs and STARTs of addresses to which no question went: they concern whoever has or gets them."""
ContactKey = tuple[str, str]  # account, contact
_KEY = [contact_opt_changes.c.account_id, contact_opt_changes.c.contact_id]


class ContactOptChange(NamedTuple):
    """A STOP (`stops`) or a START of a contact. `source` and `id` name what it came with, so that it counts once."""

    account_id: str
    contact_id: str
    source: str
    id: str
    stops: bool
    at: datetime


def record(connection: Connection, contact: ContactKey, change: OptChange, addresses: Collection[str]) -> None:
    """Record `change`, whatever its address, for a contact, for these addresses and for those the contact has now.

    Call it late in a transaction: it locks the addresses until the end. An account "" is not known.
    """
    mine = people.c.account_id == contact[0], people.c.contact_id == contact[1]
    now = connection.execute(select(people.c.phone_digest, people.c.email_digest).where(*mine)).first()
    digests = {*addresses, *(now or ())} - {None, ""}
    opt_outs.record(connection, [change._replace(digest=digest) for digest in digests])
    record_contacts(connection, [_of(contact, change)])


def record_unmatched(connection: Connection, changes: Collection[OptChange]) -> None:
    """Record the changes of an address to which no question went, for everybody who has it now.

    `inherited` finds them for those who get it later. The source of the changes is UNMATCHED.
    """
    opt_outs.record(connection, changes)
    by_digest = {change.digest: change for change in changes}
    has = or_(*(among(connection, column, [*by_digest]) for column in (people.c.phone_digest, people.c.email_digest)))
    columns = people.c.account_id, people.c.contact_id, people.c.phone_digest, people.c.email_digest
    record_contacts(
        connection,
        [
            _of((account, contact), by_digest[digest])
            for account, contact, *theirs in connection.execute(select(*columns).where(has))
            for digest in theirs
            if digest in by_digest
        ],
    )


def inherited(connection: Connection, contacts: Mapping[ContactKey, Collection[str]]) -> list[ContactOptChange]:
    """What was written from the addresses of contacts (their digests) before they were theirs, as changes of theirs."""
    digests = {digest for theirs in contacts.values() for digest in theirs}
    if not digests:
        return []
    query = select(opt_changes).where(
        among(connection, opt_changes.c.digest, digests), opt_changes.c.source == UNMATCHED
    )
    changes = [OptChange(**row._mapping) for row in connection.execute(query)]
    return [
        _of(contact, change) for contact, theirs in contacts.items() for change in changes if change.digest in theirs
    ]


def record_contacts(connection: Connection, changes: Iterable[ContactOptChange]) -> None:
    """Store changes of contacts alone, each once: an order that is corrected states the same opt-out again, later."""
    found = dict[tuple[str, ...], Row]()
    for change in sorted(changes):
        if change.account_id:
            found.setdefault(change[:4], change._asdict())
    insert_new(connection, contact_opt_changes, [*found.values()])


def correct_times(connection: Connection, times: Mapping[str, datetime], *sources: str) -> None:
    """Replace the times of changes of these sources, by their ids, by those that the provider states."""
    changes, ids = contact_opt_changes.c, [*times]
    for source, start in product(sources, range(0, len(ids), opt_outs.IDS_OF_A_QUERY)):
        is_one = among(connection, changes.id, ids[start : start + opt_outs.IDS_OF_A_QUERY])
        query = select(changes.id, changes.at).where(changes.source == source, is_one).distinct()
        for event_id, at in connection.execute(query).all():
            if at != times[event_id]:
                one = changes.source == source, changes.id == event_id
                connection.execute(contact_opt_changes.update().where(*one).values(at=times[event_id]))


def opted_out(
    connection: Connection, contacts: Collection[ContactKey], unwritten: Iterable[ContactOptChange] = ()
) -> frozenset[ContactKey]:
    """Which of these contacts want no messages at all, by the stored changes and those that are not written yet."""
    if not contacts:
        return frozenset()
    query = select(contact_opt_changes).where(among_rows(connection, _KEY, [*contacts]))
    stored = [ContactOptChange(**row._mapping) for row in connection.execute(query)]
    newest: dict[ContactKey, OptChange] = {}
    for one in (*stored, *unwritten):
        key, change = one[:2], OptChange("", *one[2:])
        newest[key] = max(newest.get(key, change), change, key=opt_outs.rank)
    return frozenset(key for key, change in newest.items() if change.stops)


def _of(contact: ContactKey, change: OptChange) -> ContactOptChange:
    return ContactOptChange(*contact, change.source, change.id, change.stops, change.at)
