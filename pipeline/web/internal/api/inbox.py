"""The read API of the inbox: what waits for a person, one reply with its conversation, and a decision about it."""

from datetime import datetime
from typing import Annotated, Any, Literal

from anyio import to_thread
from litestar import Request, Router, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, JSONBody, PathParameter, QueryParameter
from msgspec import Struct
from sqlalchemy import Connection

from pipeline.consumers.corrections import Refused, Unknown
from pipeline.consumers.inbox import decisions
from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.domain.access.two_people import Outcome
from pipeline.domain.events.contract import FixedResponse, Reading
from pipeline.store.db.engine import reading as reading_database
from pipeline.store.reads import inbox
from pipeline.store.reads.inbox import Position
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.http.openapi import problems
from pipeline.web.http.problems import Problem
from pipeline.web.http.services import Services
from pipeline.web.internal.filters import reject
from pipeline.web.internal.inbox.responses import respond_in_case, respond_to_reply
from pipeline.web.internal.inbox.views import InboxConversation, InboxEntry, conversation_of, entries_of
from pipeline.web.public.inbound import READER

MOST = 100  # entries of one response
ItemId = Annotated[str, PathParameter(description="id of a reply in the list")]
_READ, _DECIDE, _SETTLE = needs(Permission.WORDS), needs(Permission.CORRECT), needs(Permission.SETTLE)
_Request = Request[Any, Any, Any]


class InboxOut(Struct, frozen=True):
    """The replies that wait, the oldest first. `next`: the value for `after` to go on with; null: there are no more."""

    waiting: int
    entries: list[InboxEntry]
    next: str | None


class DecisionIn(Struct, frozen=True, forbid_unknown_fields=True):
    """`confirm` the suggested reading, or `correct` it with `reading`."""

    decision: Literal["confirm", "correct"]
    reading: Reading | None = None


class DecisionOut(Struct, frozen=True):
    """What became of a reading: `counts`, `waits_for_second` (another user without a stake in the order has to confirm
    it), or `waits_seven_days` (there is no such user, so it counts then).
    """

    outcome: Outcome


class ResponseIn(Struct, frozen=True, forbid_unknown_fields=True):
    """The fixed text to send, by name."""

    response: FixedResponse


class ResponseOut(Struct, frozen=True):
    """When the response is sent at the earliest: at once, or after quiet hours."""

    sent_from: datetime


def routes(services: Services) -> list[Router]:
    """`GET /v1/inbox`, `GET` and `POST /v1/inbox/{item_id}`, and `POST /v1/inbox/{item_id}/response` and
    `/v1/cases/{case_id}/response`.
    """
    store = services.store

    @get("/inbox", opt=_READ, sync_to_thread=True, summary="Replies that a person has to read, the oldest first")
    def list_inbox(
        request: _Request,
        limit: Annotated[int, QueryParameter(description=f"entries to return, 1 to {MOST}")] = MOST,
        after: Annotated[str | None, QueryParameter(description="id of the last entry seen")] = None,
    ) -> InboxOut:
        if not 1 <= limit <= MOST:
            reject("limit", f"is not between 1 and {MOST}")
        viewer = principal_of(request)
        with reading_database(store.engine) as connection:
            found = inbox.waiting(connection, viewer, limit + 1, _position(connection, viewer, after))
            entries = entries_of(connection, store, viewer, READER, found[:limit])
            more = entries[-1].id if len(found) > limit else None
            return InboxOut(inbox.number_waiting(connection, viewer), entries, more)

    def _one(viewer: Principal, item_id: str) -> InboxConversation:
        with reading_database(store.engine) as connection:
            item = inbox.read_item(connection, viewer, item_id)
            if item is None:
                raise NotFoundException("no such reply in the inbox")
            return conversation_of(connection, store, viewer, READER, item)

    @get("/inbox/{item_id:str}", opt=_READ, summary="One reply with its conversation", responses=problems(404))
    async def get_inbox_item(request: _Request, item_id: ItemId) -> InboxConversation:
        return await to_thread.run_sync(_one, principal_of(request), item_id)

    @post(
        "/inbox/{item_id:str}",
        opt=_DECIDE,
        status_code=200,
        summary="Confirm or correct a reading",
        responses=problems(404, 409, 422),
    )
    async def decide_inbox_item(request: _Request, item_id: ItemId, data: JSONBody[DecisionIn]) -> DecisionOut:
        if (data.decision == "correct") != (data.reading is not None):
            raise Problem(400, "is given with the decision `correct`, and only with it", "reading")
        return DecisionOut(await to_thread.run_sync(submit, services, request, item_id, data.reading))

    @post(
        "/inbox/{item_id:str}/response",
        opt=_SETTLE,
        status_code=200,
        sync_to_thread=True,
        summary="Send a fixed response to the author of a reply",
        responses=problems(404, 409, 422),
    )
    def respond_to_inbox_item(request: _Request, item_id: ItemId, data: JSONBody[ResponseIn]) -> ResponseOut:
        return ResponseOut(respond_to_reply(services, request, item_id, data.response))

    @post(
        "/cases/{case_id:str}/response",
        opt=_SETTLE,
        status_code=200,
        sync_to_thread=True,
        summary="Send a fixed response to the contact of a case",
        responses=problems(404, 409, 422),
    )
    def respond_to_case(request: _Request, case_id: FromPath[str], data: JSONBody[ResponseIn]) -> ResponseOut:
        return ResponseOut(respond_in_case(services, request, case_id, data.response))

    handlers = [list_inbox, get_inbox_item, decide_inbox_item, respond_to_inbox_item, respond_to_case]
    return [Router("/v1", route_handlers=handlers, tags=["inbox"])]


def submit(services: Services, request: _Request, item_id: str, given: Reading | None) -> Outcome:
    """Decide about a reply. Raises Problem 404 or 409, or 400 for a reading of a reply without an order."""
    author, origin = principal_of(request), request.client.host if request.client else ""
    store, now = services.store, services.now()
    try:
        with store.engine.begin() as connection:
            return decisions.decide(connection, store, author, READER, item_id, given, origin, now)
    except decisions.NotInInbox:
        raise Problem(404, "no such reply in the inbox") from None
    except decisions.NotWaiting:
        raise Problem(409, "somebody has decided about this reply already") from None
    except decisions.NoOrder:
        raise Problem(400, "this reply belongs to no order, so it can only be confirmed", "reading") from None
    except Unknown:
        raise Problem(409, "its order is not known yet", "order_id") from None
    except Refused as refused:
        raise Problem(409, str(refused), refused.field) from None


def _position(connection: Connection, viewer: Principal, after: str | None) -> Position | None:
    if after is None:
        return None
    item = inbox.read_item(connection, viewer, after)
    if item is None:
        reject("after", "is not the id of a reply in the inbox")
    return Position(item.received_at, item.item_id)
