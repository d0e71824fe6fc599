"""The acts that people do about a case, from the fields of a form or a JSON body."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import get_args

from pipeline.consumers.cases import acting
from pipeline.domain.access.principal import Principal
from pipeline.domain.cases import lifecycle
from pipeline.domain.cases.case import Case, CaseAct
from pipeline.domain.cases.complaints import CasePolicy
from pipeline.domain.events.contract import Request
from pipeline.domain.incidents.lifecycle import Refused
from pipeline.store.cases import reads
from pipeline.store.reads import inbox
from pipeline.web.http.forms import printable
from pipeline.web.http.problems import Problem
from pipeline.web.http.services import Services
from pipeline.web.internal.incidents.acts import problem_of, work_on

Fields = Mapping[str, str]
REQUESTS: tuple[Request, ...] = get_args(Request)


def perform(services: Services, principal: Principal, case_id: str, act: str, fields: Fields) -> Case:
    """Record an act of the principal about a case that they see, and return the case after it.

    Raises Problem 404, 409 or 422.
    """
    make = _ACTS.get(act)
    unknown = Problem(HTTPStatus.NOT_FOUND, f"no case {case_id[:40]!r}, or no act {act[:40]!r}")
    if make is None:
        raise unknown
    now = services.now()
    clean = {name: printable(value) for name, value in fields.items()}
    try:
        with services.store.engine.begin() as connection:
            if reads.find(connection, principal, case_id) is None:
                raise unknown
            work = work_on(connection, services)
            decide = partial(make, fields=clean, policy=work.setup.cases, by=principal.name, now=now)
            found = acting.perform(case_id, decide, services.store.vault, work, now)
            work.flush()
    except Refused as refused:
        raise problem_of(refused) from None
    if found is None:
        raise unknown
    return found


def open_for_reply(services: Services, principal: Principal, item_id: str, request: str) -> Case:
    """Open a case for a reply in the inbox that asks for something (`request`: call or question).

    Raises Problem 404, 409 for a reply without an order, or 422.
    """
    now = services.now()
    wish = next((one for one in REQUESTS if one == request), None)
    if wish is None:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"must be one of {', '.join(REQUESTS)}", "request")
    with services.store.engine.begin() as connection:
        item = inbox.read_item(connection, principal, item_id)
        if item is None:
            raise Problem(HTTPStatus.NOT_FOUND, "no such reply in the inbox")
        if item.order_id is None or item.contact_id is None:
            raise Problem(HTTPStatus.CONFLICT, "this reply belongs to no order, so there is nobody to settle it with")
        work = work_on(connection, services)
        case = acting.open_case(item.order_id, item.contact_id, wish, principal.name, work, now)
        work.flush()
    return case


def _assign(case: Case, *, fields: Fields, policy: CasePolicy, by: str, now: datetime) -> CaseAct:
    return lifecycle.assign(case, fields.get("owner", ""), by, now)


def _note(case: Case, *, fields: Fields, policy: CasePolicy, by: str, now: datetime) -> CaseAct:
    return lifecycle.note(case, fields.get("kind", ""), fields.get("words", ""), by, now)


def _close(case: Case, *, fields: Fields, policy: CasePolicy, by: str, now: datetime) -> CaseAct:
    return lifecycle.close(case, fields.get("outcome", ""), fields.get("words", ""), by, now)


def _reopen(case: Case, *, fields: Fields, policy: CasePolicy, by: str, now: datetime) -> CaseAct:
    return lifecycle.reopen(case, fields.get("words", ""), policy, by, now)


_ACTS: Mapping[str, Callable[..., CaseAct]] = {
    "assign": _assign,
    "note": _note,
    "close": _close,
    "reopen": _reopen,
}
