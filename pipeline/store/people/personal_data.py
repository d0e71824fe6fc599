"""What is done about the data of a person: found, exported, erased. Each is an act, with ids only.

An erasure needs two users; the second is not interested in any order of the person (`domain.access.two_people`). Where
there is no such second user, it takes effect after seven days and stands in the report meanwhile.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, Engine

from pipeline.domain.access.acts import Act, ActKind
from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.domain.access.two_people import DAYS_WITHOUT_A_SECOND, Membership, may_be_second
from pipeline.domain.detection.segments import Level
from pipeline.errors import UserError
from pipeline.store.acts import acts
from pipeline.store.db.engine import reading, scrub
from pipeline.store.people import erasure, persons
from pipeline.store.people.erasure import SCRUBBED, Erasure
from pipeline.store.people.persons import PersonData, PersonKey, PersonSummary
from pipeline.store.store import Store
from pipeline.store.users import users


class PersonUnknown(UserError):
    """Nobody is known by that number, address or id."""


class NotASecondUser(UserError):
    """This principal may not confirm the erasure."""


def find(store: Store, principal: Principal, address: str) -> list[PersonSummary]:
    """Everybody who shares a number or an e-mail address, as far as the principal sees an order of theirs.

    Raises PersonUnknown.
    """
    with reading(store.engine) as connection:
        found = [
            persons.summary(connection, store.vault, person)
            for person in persons.at_address(connection, store.vault, address)
            if sees(connection, principal, person)
        ]
    if not found:
        raise PersonUnknown("nobody is known by that number or e-mail address")
    return found


def sees(connection: Connection, principal: Principal, person: PersonKey) -> bool:
    """Whether the person exists for the principal: all of their orders are within the scope."""
    if not persons.exists(connection, person):
        return False
    return all(principal.scope.sees_order(*order) for order in _memberships(connection, person))


def export(store: Store, principal: Principal, person: PersonKey, origin: str, now: datetime) -> PersonData:
    """Everything known about a person, recorded as an act. Raises PersonUnknown."""
    with store.engine.begin() as connection:
        if not sees(connection, principal, person):
            raise PersonUnknown(f"no person {person} is known")
        _record(connection, principal, ActKind.PERSONAL_DATA_READ, str(person), origin, now)
        return persons.export(connection, store.vault, person)


def request_erasure(
    engine: Engine, principal: Principal, chosen: Sequence[PersonKey], origin: str, now: datetime
) -> list[Erasure]:
    """Ask for the erasure of these persons. Raises PersonUnknown before anything is stored."""
    with engine.begin() as connection:
        for person in chosen:
            if not sees(connection, principal, person):
                raise PersonUnknown(f"no person {person} is known")
        return [_request(connection, principal, person, origin, now) for person in chosen]


def _request(connection: Connection, principal: Principal, person: PersonKey, origin: str, now: datetime) -> Erasure:
    memberships = _memberships(connection, person)
    others = users.enabled_principals(connection)
    has_second = any(_may_confirm(user, principal.name, memberships) for user in others)
    due_at = None if has_second else now + DAYS_WITHOUT_A_SECOND
    found = erasure.request(connection, person, principal.name, due_at, now)
    _record(connection, principal, ActKind.ERASURE_PROPOSED, f"{person} {found.id}", origin, now)
    return found


def may_confirm(connection: Connection, principal: Principal, waiting: Erasure) -> bool:
    """Whether the principal may be the second user of an erasure."""
    return _may_confirm(principal, waiting.requested_by, _memberships(connection, waiting.person))


def confirm_erasure(
    store: Store, levels: tuple[Level, ...], principal: Principal, erasure_id: str, origin: str, now: datetime
) -> Erasure:
    """Confirm an erasure as the second user: it is carried out. Raises NotASecondUser, PersonUnknown."""
    with store.engine.begin() as connection:
        try:
            waiting = erasure.get(connection, erasure_id)
        except LookupError as error:
            raise PersonUnknown(str(error)) from None
        if waiting.done_at is None:
            if not may_confirm(connection, principal, waiting):
                raise NotASecondUser("another user has to confirm it, whom no scope ties to an order of the person")
            erasure.carry_out(connection, store, levels, waiting, principal.name, now)
            subject = f"{waiting.person} {waiting.id}"
            _record(connection, principal, ActKind.ERASURE_CONFIRMED, subject, origin, now)
        found = erasure.get(connection, erasure_id)
    scrub(store.engine, SCRUBBED)
    return found


def _may_confirm(user: Principal, first: str, memberships: Sequence[Membership]) -> bool:
    return all(may_be_second(user, Permission.ERASE, first, order) for order in memberships)


def _memberships(connection: Connection, person: PersonKey) -> list[Membership]:
    """What decides who is interested: the person's orders; without any, the account alone."""
    known = persons.memberships_of(connection, persons.orders_of(connection, person)).values()
    return [Membership(*order) for order in known] or [Membership(person.account_id, {})]


def _record(
    connection: Connection, principal: Principal, what: ActKind, subject: str, origin: str, now: datetime
) -> None:
    acts.append(connection, Act(now, principal.name, what, subject, origin))
