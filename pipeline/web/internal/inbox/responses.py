"""A fixed response to a contact, sent from the page of a reply, from the page of a case, or by API."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any, get_args

from litestar import Request
from sqlalchemy import Connection

from pipeline.consumers.inbox import responding
from pipeline.consumers.inbox.responding import Unreachable
from pipeline.domain.asking.ask_states import AskState
from pipeline.domain.events.contract import QR_CONTACT, FixedResponse
from pipeline.domain.incidents.lifecycle import Refused
from pipeline.store.cases import reads as cases
from pipeline.store.reads import inbox
from pipeline.web.auth.access import principal_of
from pipeline.web.http.problems import Problem
from pipeline.web.http.services import Services
from pipeline.web.internal.inbox.views import UtteranceView
from pipeline.web.internal.incidents.acts import problem_of, work_on
from pipeline.web.internal.words import response_in_words, response_state, why_not

RESPONSES: tuple[FixedResponse, ...] = get_args(FixedResponse)
_NOT_SENT = response_state(AskState.NOT_ASKED)
CHOICES: Mapping[FixedResponse, str] = {response: response_in_words(response) for response in RESPONSES}


def may_respond(contact_id: str | None, conversation: Sequence[UtteranceView]) -> bool:
    """Whether a response is still to be chosen: there is a contact, and none has left, or may leave."""
    given = [step.state for step in conversation if step.response is not None]
    return contact_id not in (None, QR_CONTACT) and all(state == _NOT_SENT for state in given)


def respond_to_reply(services: Services, request: Request[Any, Any, Any], item_id: str, response: str) -> datetime:
    """Send a fixed response to the author of a reply. Returns when it is sent at the earliest.

    Raises Problem 404, 409 if nothing can be sent to them, or 422.
    """
    with services.store.engine.begin() as connection:
        item = inbox.read_item(connection, principal_of(request), item_id)
        if item is None:
            raise Problem(HTTPStatus.NOT_FOUND, "no such reply in the inbox")
        if item.order_id is None or item.contact_id is None:
            raise Problem(HTTPStatus.CONFLICT, "this reply belongs to no order, so it is not known whose it is")
        return _respond(services, connection, request, (item.order_id, item.contact_id), response)


def respond_in_case(services: Services, request: Request[Any, Any, Any], case_id: str, response: str) -> datetime:
    """Send a fixed response to the contact of a case, likewise."""
    with services.store.engine.begin() as connection:
        case = cases.find(connection, principal_of(request), case_id)
        if case is None:
            raise Problem(HTTPStatus.NOT_FOUND, f"no case {case_id[:40]!r}")
        if case.order_id is None or case.contact_id is None:
            raise Problem(HTTPStatus.CONFLICT, "this is the case of an incident, which has no customer")
        return _respond(services, connection, request, (case.order_id, case.contact_id), response)


def _respond(
    services: Services, connection: Connection, request: Request[Any, Any, Any], to: tuple[str, str], response: str
) -> datetime:
    chosen = next((one for one in RESPONSES if one == response), None)
    if chosen is None:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"must be one of {', '.join(RESPONSES)}", "response")
    by, origin = principal_of(request).name, request.client.host if request.client else ""
    work = work_on(connection, services)
    try:
        send_at = responding.respond(*to, chosen, by, origin, work, services.now())
    except Unreachable as unreachable:
        raise Problem(HTTPStatus.CONFLICT, f"not sent, because {why_not(unreachable.reason)}") from None
    except Refused as refused:
        raise problem_of(refused) from None
    work.flush()
    return send_at
