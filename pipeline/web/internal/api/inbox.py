"""The read API of the inbox: what waits for a person, one reply with its conversation, and a decision about it."""

from typing import Annotated, Any, Literal

from anyio import to_thread
from litestar import Request, Router, get, post
from litestar.exceptions import NotFoundException
from litestar.params import JSONBody, PathParameter, QueryParameter
from msgspec import Struct

from pipeline.consumers import inbox as decisions
from pipeline.consumers.corrections import Outcome
from pipeline.domain.answers.review import Reading
from pipeline.store.db.engine import reading as reading_database
from pipeline.store.reads import inbox
from pipeline.store.reads.inbox import Position
from pipeline.web.http.problems import Problem
from pipeline.web.http.services import Services
from pipeline.web.internal.filters import reject
from pipeline.web.internal.inbox.views import InboxConversation, InboxEntry, conversation_of, entries_of
from pipeline.web.public.inbound import READER

MOST = 100  # entries of one response
ItemId = Annotated[str, PathParameter(description="id of a reply in the list")]
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
    """Whether the reading counts, or waits for a second person."""

    outcome: Outcome


def routes(services: Services) -> list[Router]:
    """`GET /v1/inbox`, `GET /v1/inbox/{item_id}` and `POST /v1/inbox/{item_id}`."""
    store = services.store

    @get("/inbox", sync_to_thread=True, summary="Replies that a person has to read, the oldest first")
    def waiting(
        limit: Annotated[int, QueryParameter(description=f"entries to return, 1 to {MOST}")] = MOST,
        after: Annotated[str | None, QueryParameter(description="id of the last entry seen")] = None,
    ) -> InboxOut:
        if not 1 <= limit <= MOST:
            reject("limit", f"is not between 1 and {MOST}")
        with reading_database(store.engine) as connection:
            found = inbox.waiting(connection, limit + 1, _position(connection, after))
            entries = entries_of(connection, store, READER, found[:limit])
            more = entries[-1].id if len(found) > limit else None
            return InboxOut(inbox.number_waiting(connection), entries, more)

    def _one(item_id: str) -> InboxConversation:
        with reading_database(store.engine) as connection:
            item = inbox.read_item(connection, item_id)
            if item is None:
                raise NotFoundException("no such reply in the inbox")
            return conversation_of(connection, store, READER, item)

    @get("/inbox/{item_id:str}", summary="One reply with its conversation")
    async def one(item_id: ItemId) -> InboxConversation:
        return await to_thread.run_sync(_one, item_id)

    @post("/inbox/{item_id:str}", status_code=200, summary="Confirm or correct a reading")
    async def decide(request: _Request, item_id: ItemId, data: JSONBody[DecisionIn]) -> DecisionOut:
        if (data.decision == "correct") != (data.reading is not None):
            raise Problem(400, "is given with the decision `correct`, and only with it", "reading")
        by = request.user.name
        return DecisionOut(await to_thread.run_sync(submit, services, item_id, data.reading, by))

    return [Router("/v1", route_handlers=[waiting, one, decide], tags=["inbox"])]


def submit(services: Services, item_id: str, reading: Reading | None, by: str) -> Outcome:
    """Decide about a reply. Raises Problem 404 or 409, or 400 for a reading of a reply without an order."""
    with services.store.engine.begin() as connection:
        if inbox.read_item(connection, item_id) is None:
            raise Problem(404, "no such reply in the inbox")
        try:
            return decisions.decide(connection, services.store, READER, item_id, reading, by, services.now())
        except decisions.NotWaiting:
            raise Problem(409, "somebody has decided about this reply already") from None
        except decisions.NoOrder:
            raise Problem(400, "this reply belongs to no order, so it can only be confirmed", "reading") from None


def _position(connection: Any, after: str | None) -> Position | None:
    if after is None:
        return None
    item = inbox.read_item(connection, after)
    if item is None:
        reject("after", "is not the id of a reply in the inbox")
    return Position(item.received_at, item.item_id)
