"""The inbox page, and the page of one reply with its conversation, where a person confirms or corrects its reading."""

from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from anyio import to_thread
from litestar import MediaType, Request, Response, get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from pipeline.domain.access.permissions import Permission
from pipeline.domain.events.contract import Reading, Score
from pipeline.domain.reports.cases import case_out
from pipeline.store.cases import reads as cases
from pipeline.store.db.engine import reading as reading_database
from pipeline.store.reads import inbox
from pipeline.store.reads.inbox import Position
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.auth.guard import csrf_of
from pipeline.web.http.forms import read_form
from pipeline.web.http.problems import Problem
from pipeline.web.http.services import Services
from pipeline.web.internal.api.corrections import confirm_waiting
from pipeline.web.internal.api.inbox import submit
from pipeline.web.internal.inbox.corrections import corrections_for
from pipeline.web.internal.inbox.responses import CHOICES, may_respond, respond_to_reply
from pipeline.web.internal.inbox.views import WHY, conversation_of, entries_of, reading_in_words
from pipeline.web.internal.layout import Page, error_page, html, page_environment
from pipeline.web.public.inbound import READER

MAX_BODY = 16 << 10  # bytes
_A_PAGE = 50  # replies
_CASES = 10  # that are due first
_MAX_FIELDS = 20
_ARRIVALS = {"on_time": "on time", "late": "late", "not_received": "not received"}
_CONDITIONS = {
    "damaged": "damaged",
    "incomplete": "incomplete",
    "wrong": "wrong goods",
    "papers_missing": "papers missing",
}
_COMPLETE = {"true": True, "false": False}
_READ, _DECIDE, _SETTLE = needs(Permission.WORDS), needs(Permission.CORRECT), needs(Permission.SETTLE)
_Request = Request[Any, Any, Any]
_environment = page_environment("pipeline.web.internal.inbox")
_environment.filters["reading"] = reading_in_words


def routes(services: Services) -> list[Any]:
    """`GET /inbox`, `GET` and `POST /inbox/{item_id}`, `POST /inbox/{item_id}/response` and
    `POST /corrections/{correction_id}/confirm`.
    """
    store = services.store

    @get("/inbox", opt=_READ, media_type=MediaType.HTML, sync_to_thread=True, include_in_schema=False)
    def inbox_page(request: _Request, after: FromQuery[str] = "") -> Page:
        return _inbox_page(request, after)

    def _inbox_page(request: _Request, after: str, problem: str = "", status: HTTPStatus = HTTPStatus.OK) -> Page:
        viewer = principal_of(request)
        with reading_database(store.engine) as connection:
            last = inbox.read_item(connection, viewer, after) if after else None
            position = None if last is None else Position(last.received_at, last.item_id)
            found = inbox.waiting(connection, viewer, _A_PAGE + 1, position)
            entries = entries_of(connection, store, viewer, READER, found[:_A_PAGE])
            corrections = corrections_for(connection, store, viewer)
            due = cases.still_open(connection, viewer, _CASES) if viewer.may(Permission.CASES) and not after else []
            number, reviewed = inbox.number_waiting(connection, viewer), inbox.reviewed(connection, viewer)
        more = entries[-1].id if len(found) > _A_PAGE else None
        template = _environment.get_template("inbox.html.j2")
        shown = {"entries": entries, "number": number, "reviewed": reviewed, "more": more, "why": WHY}
        shown |= {"corrections": corrections, "problem": problem, "cases": [case_out(case) for case in due]}
        return html(template.render(viewer=viewer, csrf=csrf_of(request), **shown), status)

    def _reply_page(request: _Request, item_id: str, problem: str = "", status: HTTPStatus = HTTPStatus.OK) -> Page:
        viewer = principal_of(request)
        with reading_database(store.engine) as connection:
            item = inbox.read_item(connection, viewer, item_id)
            if item is None:
                return error_page(viewer, HTTPStatus.NOT_FOUND, "Not in the inbox", _UNKNOWN)
            found = conversation_of(connection, store, viewer, READER, item)
            waiting = corrections_for(connection, store, viewer, item.order_id).shown if item.proposed_by else []
        correction = next((one for one in waiting if one.item_id == item.item_id), None)
        template = _environment.get_template("reply.html.j2")
        shown = {"item": found.entry, "conversation": found.conversation, "problem": problem, **_CHOICES}
        shown |= {"correction": correction, "may_respond": may_respond(item.contact_id, found.conversation)}
        return html(template.render(viewer=viewer, csrf=csrf_of(request), **shown), status)

    @get("/inbox/{item_id:str}", opt=_READ, media_type=MediaType.HTML, include_in_schema=False)
    async def reply_page(request: _Request, item_id: FromPath[str]) -> Page:
        return await to_thread.run_sync(_reply_page, request, item_id)

    @post("/inbox/{item_id:str}", opt=_DECIDE, request_max_body_size=MAX_BODY, include_in_schema=False)
    async def decide(request: _Request, item_id: FromPath[str]) -> Response[Any]:
        fields = await read_form(request, _MAX_FIELDS)
        try:
            given = None if dict(fields).get("decision") == "confirm" else reading_of(fields)
            await to_thread.run_sync(submit, services, request, item_id, given)
        except Problem as problem:
            status = HTTPStatus(problem.status_code)
            return await to_thread.run_sync(_reply_page, request, item_id, problem.detail, status)
        return Redirect("/inbox", status_code=303)

    @post("/inbox/{item_id:str}/response", opt=_SETTLE, request_max_body_size=MAX_BODY, include_in_schema=False)
    async def respond(request: _Request, item_id: FromPath[str]) -> Response[Any]:
        response = dict(await read_form(request, _MAX_FIELDS)).get("response", "")
        try:
            await to_thread.run_sync(respond_to_reply, services, request, item_id, response)
        except Problem as problem:
            status = HTTPStatus(problem.status_code)
            return await to_thread.run_sync(_reply_page, request, item_id, problem.detail, status)
        return Redirect(f"/inbox/{quote(item_id, safe='')}", status_code=303)

    @post("/corrections/{correction_id:str}/confirm", opt=_DECIDE, include_in_schema=False)
    async def confirm(request: _Request, correction_id: FromPath[str]) -> Response[Any]:
        try:
            await to_thread.run_sync(confirm_waiting, services, request, correction_id)
        except Problem as problem:
            status = HTTPStatus(problem.status_code)
            return await to_thread.run_sync(_inbox_page, request, "", problem.detail, status)
        return Redirect("/inbox", status_code=303)

    return [inbox_page, reply_page, decide, respond, confirm]


_UNKNOWN = "There is no such reply in the inbox."
_CHOICES = {
    "arrivals": _ARRIVALS,
    "conditions": _CONDITIONS,
    "why": WHY,
    "responses": CHOICES,
}


def reading_of(fields: list[tuple[str, str]]) -> Reading:
    """The reading in these form fields. Raises Problem 400 naming the field."""
    last = dict(fields)
    arrival, complete, score = (last.get(name, "") for name in ("arrival", "complete", "score"))
    if arrival and arrival not in _ARRIVALS:
        raise Problem(400, "not one of the choices", "arrival")
    if complete and complete not in _COMPLETE:
        raise Problem(400, "not one of the choices", "complete")
    if score and not (score.isascii() and score.isdecimal() and int(score) <= 10):
        raise Problem(400, "not a number from 0 to 10", "score")
    conditions = list(dict.fromkeys(value for name, value in fields if name == "condition"))
    if any(condition not in _CONDITIONS for condition in conditions):
        raise Problem(400, "not one of the choices", "condition")
    return Reading(
        arrival or None,  # type: ignore[arg-type]
        _COMPLETE.get(complete),
        conditions,  # type: ignore[arg-type]
        Score(int(score)) if score else None,
    )
