"""The acts that people do about an incident, from the fields of a form or a JSON body."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus

from sqlalchemy import Connection

from pipeline.consumers import incidents as acting
from pipeline.domain.access.principal import Principal
from pipeline.domain.incidents import lifecycle
from pipeline.domain.incidents.incident import Act, Incident
from pipeline.domain.incidents.lifecycle import Refused
from pipeline.store.orders.timers import TimerStore
from pipeline.store.reads import incidents as read
from pipeline.store.unit_of_work import UnitOfWork
from pipeline.web.http.forms import printable
from pipeline.web.http.problems import Problem
from pipeline.web.http.services import Services

Fields = Mapping[str, str]
_DAYS = re.compile(r"\d{1,3}")
_NEVER = datetime.min.replace(tzinfo=UTC)  # timers fire elsewhere


def perform(services: Services, principal: Principal, incident_id: str, act: str, fields: Fields) -> Incident:
    """Record an act of the principal about an incident that they see, and return the incident after it.

    Raises Problem 404, 409 or 422.
    """
    number = acting.number_of(incident_id)
    make = _ACTS.get(act)
    if number is None or make is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"no incident {incident_id[:40]!r}, or no act {act[:40]!r}")
    now = services.now()
    clean = {name: printable(value) for name, value in fields.items()}
    try:
        with services.store.engine.begin() as connection:
            if read.find(connection, principal, number) is None:
                raise Problem(HTTPStatus.NOT_FOUND, f"no incident {incident_id[:40]!r}")
            work = work_on(connection, services)
            by_principal = partial(make, fields=clean, by=principal.name, now=now)
            found = acting.perform(number, by_principal, services.store.vault, work, now)
            work.flush()
    except Refused as refused:
        raise problem_of(refused) from None
    if found is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"no incident {incident_id[:40]!r}")
    return read.visible_part(found, principal)


def work_on(connection: Connection, services: Services) -> UnitOfWork:
    """The work of an act in the caller's transaction, which flushes it."""
    setup = services.current_setup(connection)
    return UnitOfWork(connection, services.store.journal, setup, TimerStore(connection, (), _NEVER))


def problem_of(refused: Refused) -> Problem:
    """A refused act as an answer: 422 names the field, 409 says what the state does not allow."""
    status = HTTPStatus.UNPROCESSABLE_ENTITY if refused.field else HTTPStatus.CONFLICT
    return Problem(status, str(refused), refused.field or None)


def _acknowledge(incident: Incident, *, fields: Fields, by: str, now: datetime) -> Act:
    return lifecycle.acknowledge(incident, by, now)


def _assign(incident: Incident, *, fields: Fields, by: str, now: datetime) -> Act:
    return lifecycle.assign(incident, fields.get("owner", ""), by, now)


def _snooze(incident: Incident, *, fields: Fields, by: str, now: datetime) -> Act:
    return lifecycle.snooze(incident, _until(fields, now), fields.get("reason", ""), by, now)


def _close(incident: Incident, *, fields: Fields, by: str, now: datetime) -> Act:
    return lifecycle.close(incident, fields.get("cause", ""), fields.get("words", ""), by, now)


def _reopen(incident: Incident, *, fields: Fields, by: str, now: datetime) -> Act:
    return lifecycle.reopen(incident, fields.get("words", ""), by, now)


_ACTS: Mapping[str, Callable[..., Act]] = {
    "acknowledge": _acknowledge,
    "assign": _assign,
    "snooze": _snooze,
    "close": _close,
    "reopen": _reopen,
}


def _until(fields: Fields, now: datetime) -> datetime:
    """The end of a snooze: `until`, an instant with its offset, or `days` from now, as the page's form has it."""
    days, until = fields.get("days", ""), fields.get("until", "")
    if days:
        if not _DAYS.fullmatch(days):
            raise Refused("must be a number of days", "days")
        return now + timedelta(days=int(days))
    try:
        moment = datetime.fromisoformat(until)
    except ValueError:
        raise Refused("must be a time with offset, as in 2026-11-20T09:00:00Z", "until") from None
    if moment.tzinfo is None:
        raise Refused("needs an offset, as in 2026-11-20T09:00:00Z", "until")
    return moment.astimezone(UTC)
