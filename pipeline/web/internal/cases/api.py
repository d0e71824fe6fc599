"""Cases as JSON: the list, one with its acts and conversation, and acts as POST."""

from typing import Annotated, Any

from litestar import Request, Router, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct
from sqlalchemy import Connection

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.domain.reports.cases import CaseActOut, CaseOut, case_out
from pipeline.store.cases import reads
from pipeline.store.db.engine import reading
from pipeline.store.store import Store
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.http.openapi import problems
from pipeline.web.http.services import Services
from pipeline.web.internal.cases import acts
from pipeline.web.internal.filters import reject
from pipeline.web.internal.inbox.views import UtteranceView, view_of

_Request = Request[Any, Any, Any]
_READ = needs(Permission.CASES)
MOST = 200  # cases of one answer
Limit = Annotated[int, QueryParameter(ge=1, le=MOST, description="most cases to return")]
After = Annotated[str | None, QueryParameter(description="id of the last case of the page before")]
Owner = Annotated[str | None, QueryParameter(description="cases of this owner only")]
Closed = Annotated[bool, QueryParameter(description="closed cases, the newest first, instead of the open ones")]


class CasesOut(Struct, frozen=True):
    """The cases of a page; how many are open in all, and overdue. `next`: the value for `after`; null: no more."""

    open: int
    overdue: int
    cases: list[CaseOut]
    next: str | None


class CaseDetail(Struct, frozen=True):
    """One case with its acts, and the conversation with the contact for those who may read words."""

    case: CaseOut
    acts: list[CaseActOut]
    conversation: list[UtteranceView]


class CaseActIn(Struct, frozen=True):
    """The fields of an act; which are needed depends on the act."""

    owner: str | None = None
    kind: str | None = None
    outcome: str | None = None
    words: str | None = None


class RequestIn(Struct, frozen=True):
    """What a reply asks for."""

    request: str


def routes(services: Services) -> list[Router]:
    """`GET /v1/cases`, `GET /v1/cases/{id}`, `POST /v1/cases/{id}/{act}` and `POST /v1/inbox/{item_id}/case`."""

    @get("/cases", opt=_READ, sync_to_thread=True, summary="Cases, those that are due first at the front")
    def list_cases(
        request: _Request, closed: Closed = False, owner: Owner = None, limit: Limit = MOST, after: After = None
    ) -> CasesOut:
        viewer = principal_of(request)
        with reading(services.store.engine) as connection:
            if after is not None and reads.find(connection, viewer, after) is None:
                reject("after", "is not the id of a case")
            listed = reads.closed if closed else reads.still_open
            found = listed(connection, viewer, limit + 1, after, owner)
            counted = reads.number_open(connection, viewer)
        more = found[limit - 1].case_id if len(found) > limit else None
        return CasesOut(*counted, [case_out(case) for case in found[:limit]], more)

    @get("/cases/{case_id:str}", opt=_READ, sync_to_thread=True, summary="One case", responses=problems(404))
    def get_case(request: _Request, case_id: FromPath[str]) -> CaseDetail:
        with reading(services.store.engine) as connection:
            found = detail_of(connection, services.store, principal_of(request), case_id)
        if found is None:
            raise NotFoundException(f"no case {case_id[:40]!r}")
        return found

    @post(
        "/cases/{case_id:str}/{act:str}",
        opt=needs(Permission.SETTLE),
        status_code=200,
        sync_to_thread=True,
        summary="Assign (owner), note (kind: note or call, words), close (outcome, words) or reopen (words) a case",
        responses=problems(404, 409, 422),
    )
    def act_on_case(
        request: _Request, case_id: FromPath[str], act: FromPath[str], data: JSONBody[CaseActIn]
    ) -> CaseOut:
        given = {name: getattr(data, name) for name in CaseActIn.__struct_fields__}
        fields = {name: value for name, value in given.items() if value is not None}
        return case_out(acts.perform(services, principal_of(request), case_id, act, fields))

    @post(
        "/inbox/{item_id:str}/case",
        opt=needs(Permission.SETTLE),
        status_code=200,
        sync_to_thread=True,
        summary="Open a case for a reply that asks for something (request: call or question)",
        responses=problems(404, 409, 422),
    )
    def open_case(request: _Request, item_id: FromPath[str], data: JSONBody[RequestIn]) -> CaseOut:
        return case_out(acts.open_for_reply(services, principal_of(request), item_id, data.request))

    return [Router("/v1", route_handlers=[list_cases, get_case, act_on_case, open_case], tags=["cases"])]


def detail_of(connection: Connection, store: Store, viewer: Principal, case_id: str) -> CaseDetail | None:
    """One case with everything about it that the viewer sees; None if there is none for them."""
    case = reads.find(connection, viewer, case_id)
    if case is None:
        return None
    done = reads.acts(connection, viewer, case_id, store.vault)
    steps = reads.conversation(connection, viewer, case, store.vault)
    return CaseDetail(case_out(case), done, [view_of(step) for step in steps])
