"""Corrections of how an answer was read: propose, confirm, and list those that wait."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Any, TypeVar

from anyio import to_thread
from litestar import Request, Router, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct
from sqlalchemy import Connection

from pipeline.consumers import corrections
from pipeline.consumers.corrections import Refused, Unknown, Wish
from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.domain.access.two_people import Outcome
from pipeline.domain.events.contract import Id, Reading
from pipeline.store.acts.corrections import StoredCorrection
from pipeline.store.db.engine import reading
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.http.openapi import problems
from pipeline.web.http.problems import Problem
from pipeline.web.http.services import Services

_NEEDS = needs(Permission.CORRECT)
_Request = Request[Any, Any, Any]
_T = TypeVar("_T")


class CorrectionIn(Struct, frozen=True):
    """What somebody reads in the newest answer of a contact. What `reading` does not mention stays as it was."""

    order_id: Id
    contact_id: Id
    reading: Reading


class ProposedOut(Struct, frozen=True):
    """What became of a proposal: `counts`, `waits_for_second` (another user without a stake in the order has to confirm
    it), or `waits_seven_days` (there is no such user; it counts at `due_at`).
    """

    id: str
    outcome: Outcome
    due_at: datetime | None


class WaitingOut(Struct, frozen=True):
    """A correction that waits. `may_confirm`: whether you may. `counts_at`: when it counts although nobody confirms it;
    null: a user who may confirm it exists.
    """

    id: str
    order_id: str
    contact_id: str
    reading: Reading
    by: str
    proposed_at: datetime
    may_confirm: bool
    counts_at: datetime | None


def routes(services: Services) -> list[Router]:
    """`GET` and `POST /v1/corrections`, `POST /v1/corrections/{id}/confirm`."""

    @get("/", opt=_NEEDS, sync_to_thread=True, summary="Corrections that wait for a second user")
    def list_corrections(request: _Request) -> list[WaitingOut]:
        with reading(services.store.engine) as connection:
            found = corrections.waiting_for(connection, principal_of(request))
        return [_out(*one) for one in found]

    @post(
        "/",
        opt=_NEEDS,
        status_code=200,
        summary="Propose how the newest answer of a contact is to be read",
        responses=problems(404, 409, 422),
    )
    async def propose_correction(request: _Request, data: JSONBody[CorrectionIn]) -> ProposedOut:
        wish = Wish(data.order_id, data.contact_id, data.reading)
        proposed = await to_thread.run_sync(partial(_propose, services, principal_of(request), wish, _origin(request)))
        return ProposedOut(*proposed)

    @post(
        "/{correction_id:str}/confirm",
        opt=_NEEDS,
        status_code=204,
        summary="Confirm a correction of somebody else",
        responses=problems(404, 409, 422),
    )
    async def confirm_correction(
        request: _Request, correction_id: FromPath[Annotated[str, Meta(max_length=64)]]
    ) -> None:
        await to_thread.run_sync(confirm_waiting, services, request, correction_id)

    handlers: list[Any] = [list_corrections, propose_correction, confirm_correction]
    return [Router("/v1/corrections", route_handlers=handlers, tags=["corrections"])]


def _out(one: StoredCorrection, _: object, may_confirm: bool, counts_at: datetime | None) -> WaitingOut:
    shown = one.correction_id, one.order_id, one.contact_id, one.reading, one.by, one.proposed_at
    return WaitingOut(*shown, may_confirm, counts_at)


def _propose(services: Services, author: Principal, wish: Wish, origin: str) -> corrections.Proposed:
    def _do(connection: Connection) -> corrections.Proposed:
        return corrections.propose(connection, services.store, author, wish, origin, services.now())

    return _in_transaction(services, _do)


def confirm_waiting(services: Services, request: _Request, correction_id: str) -> None:
    """Confirm a correction as who sends the request. Raises NotFoundException, and Problem 409 if they may not."""
    second, origin = principal_of(request), _origin(request)
    _in_transaction(
        services,
        lambda connection: corrections.confirm(
            connection, services.store, second, correction_id, origin, services.now()
        ),
    )


def _in_transaction(services: Services, do: Callable[[Connection], _T]) -> _T:
    try:
        with services.store.engine.begin() as connection:
            return do(connection)
    except Unknown:
        raise NotFoundException("there is no such order or correction") from None
    except Refused as refused:
        raise Problem(409, str(refused), refused.field) from None


def _origin(request: _Request) -> str:
    return request.client.host if request.client else ""
