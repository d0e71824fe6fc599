"""The pages of cases: the list by due time, and one case with its conversation and its acts as forms."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from anyio import to_thread
from litestar import MediaType, Request, Response, get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from pipeline.domain.access.permissions import Permission
from pipeline.domain.cases.lifecycle import NOTE_KINDS, OUTCOMES
from pipeline.domain.reports.cases import case_out
from pipeline.store.cases import reads
from pipeline.store.db.engine import reading
from pipeline.store.reads.version import version_of
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.auth.guard import csrf_of
from pipeline.web.http.forms import read_form
from pipeline.web.http.problems import Problem
from pipeline.web.http.services import Services
from pipeline.web.internal.cases import acts
from pipeline.web.internal.cases.api import detail_of
from pipeline.web.internal.inbox.responses import CHOICES, may_respond, respond_in_case
from pipeline.web.internal.layout import Page, error_page, html, page_environment

PAGE = 50  # rows of a list
_CLOSED = 20  # closed cases below the open ones
_MAX_FIELDS = 10
_ENTERED = ("owner", "kind", "outcome", "words")
_FOLLOW_UPS = {
    "waiting": "The customer will be asked whether it is settled, as soon as the rest between two questions is over.",
    "due": "The customer will be asked whether it is settled.",
    "asked": "The customer was asked whether it is settled.",
    "not_asked": "The customer cannot be asked whether it is settled.",
    "yes": "The customer says that it is settled.",
    "no": "The customer says that it is not settled.",
}
_RESPONSE = "response"  # an act that is none of the case's
_Request = Request[Any, Any, Any]
_READ = needs(Permission.CASES)


_environment = page_environment("pipeline.web.internal.cases")


def routes(services: Services) -> list[Any]:
    """`GET /cases`, `GET /cases/{id}`, `POST /cases/{id}/{act}` and `POST /inbox/{item_id}/case`."""

    @get("/cases", opt=_READ, media_type=MediaType.HTML, sync_to_thread=True, include_in_schema=False)
    def case_list(request: _Request, after: FromQuery[str] = "", owner: FromQuery[str] = "") -> Page:
        viewer = principal_of(request)
        with reading(services.store.engine) as connection:
            found = reads.still_open(connection, viewer, PAGE + 1, after or None, owner or None)
            closed = [] if after else reads.closed(connection, viewer, _CLOSED, owner=owner or None)
            number, overdue = reads.number_open(connection, viewer)
            version = version_of(connection, viewer, services.store)
        more = found[PAGE - 1].case_id if len(found) > PAGE else None
        shown = _environment.get_template("cases.html.j2").render(
            viewer=viewer,
            version=version,
            cases=[case_out(case) for case in found[:PAGE]],
            closed=[case_out(case) for case in closed],
            number=number,
            overdue=overdue,
            more=more,
            after=after,
            owner=owner,
        )
        return html(shown)

    @get("/cases/{case_id:str}", opt=_READ, media_type=MediaType.HTML, sync_to_thread=True, include_in_schema=False)
    def case_page(request: _Request, case_id: FromPath[str]) -> Page:
        return _page(services, request, case_id)

    @post("/cases/{case_id:str}/{act:str}", opt=needs(Permission.SETTLE), include_in_schema=False)
    async def act_on_case(request: _Request, case_id: FromPath[str], act: FromPath[str]) -> Response[Any]:
        fields = dict(await read_form(request, _MAX_FIELDS))
        try:
            if act == _RESPONSE:
                await to_thread.run_sync(respond_in_case, services, request, case_id, fields.get("response", ""))
            else:
                await to_thread.run_sync(acts.perform, services, principal_of(request), case_id, act, fields)
        except Problem as problem:
            return await to_thread.run_sync(_page, services, request, case_id, act, problem, fields)
        return Redirect(f"/cases/{quote(case_id, safe='')}", status_code=303)

    @post("/inbox/{item_id:str}/case", opt=needs(Permission.SETTLE), include_in_schema=False)
    async def open_case(request: _Request, item_id: FromPath[str]) -> Response[Any]:
        wish = dict(await read_form(request, _MAX_FIELDS)).get("request", "")
        viewer = principal_of(request)
        try:
            case = await to_thread.run_sync(acts.open_for_reply, services, viewer, item_id, wish)
        except Problem as problem:
            return error_page(viewer, HTTPStatus(problem.status_code), "No case was opened", problem.detail)
        return Redirect(f"/cases/{case.case_id}", status_code=303)

    return [case_list, case_page, act_on_case, open_case]


def _page(
    services: Services,
    request: _Request,
    case_id: str,
    act: str = "",
    problem: Problem | None = None,
    entered: Mapping[str, str] = MappingProxyType({}),
) -> Page:
    """The page of a case. After a refused act it has the problem and what was entered, and does not update itself: its
    address is that of the act.
    """
    viewer = principal_of(request)
    with reading(services.store.engine) as connection:
        found = detail_of(connection, services.store, viewer, case_id)
        version = version_of(connection, viewer, services.store)
    if found is None:
        return error_page(viewer, HTTPStatus.NOT_FOUND, "Case not found", f"No case “{case_id[:40]}” found.")
    values = {"case": found.case, "acts": found.acts, "conversation": found.conversation}
    if problem is None:
        values["version"] = version
    shown = _environment.get_template("case.html.j2").render(
        **values,
        viewer=viewer,
        outcomes=OUTCOMES,
        kinds=NOTE_KINDS,
        responses=CHOICES,
        may_respond=may_respond(found.case.contact_id, found.conversation),
        follow_ups=_FOLLOW_UPS,
        csrf=csrf_of(request),
        problem="" if problem is None else problem.detail,
        refused=act,
        entered={name: entered.get(name, "") for name in _ENTERED},
    )
    return html(shown, HTTPStatus.OK if problem is None else HTTPStatus(problem.status_code))
