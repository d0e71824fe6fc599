"""Personal data on pages: who has a number or address, an export, and erasures with their second user.

Numbers and addresses are sent in forms, never in the address of a page.
"""

from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

import msgspec
from anyio import to_thread
from litestar import Request, Response, get, post
from litestar.types import ControllerRouterHandler

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.store.db.engine import reading
from pipeline.store.people import erasure, personal_data, persons
from pipeline.store.people.personal_data import NotASecondUser, PersonUnknown
from pipeline.store.people.persons import PersonKey, PersonSummary
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.auth.guard import csrf_of
from pipeline.web.http.forms import read_form
from pipeline.web.http.services import Services
from pipeline.web.internal.layout import html, page_environment
from pipeline.web.internal.persons.history import histories_of

_MAX_FIELDS = 10
_MAX_LENGTH = 500  # characters of an address or an id
_MOST_DONE = 50  # erasures listed
_ERASE, _EXPORT = needs(Permission.ERASE), needs(Permission.ADDRESSES)
_LISTS = ("addresses", "orders", "questions", "answers", "texts", "conversations", "messages", "cases")
_Request = Request[Any, Any, Any]
_environment = page_environment("pipeline.web.internal.persons")


def routes(services: Services) -> list[ControllerRouterHandler]:
    """`GET` and `POST /persons`, `POST /persons/export`, `POST /persons/erase`, `POST /persons/confirm`."""

    async def _show(
        request: _Request, found: Sequence[PersonSummary] = (), problem: str = "", status: str = ""
    ) -> Response[str]:
        viewer = principal_of(request)
        waiting, done = await to_thread.run_sync(_erasures, services, viewer)
        page = _environment.get_template("persons.html.j2").render(
            viewer=viewer,
            csrf=csrf_of(request),
            found=found,
            waiting=waiting,
            done=done,
            problem=problem,
            status=status,
        )
        return html(page, HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK)

    @get("/persons", opt=_ERASE, include_in_schema=False)
    async def persons_page(request: _Request) -> Response[str]:
        """The form, and the erasures that wait."""
        return await _show(request)

    @post("/persons", opt=_ERASE, status_code=200, include_in_schema=False)
    async def find_person(request: _Request) -> Response[str]:
        """Who has a number or an address, or these ids."""
        fields = dict(await read_form(request, _MAX_FIELDS))
        try:
            found = await to_thread.run_sync(_find, services, principal_of(request), fields.get("who", "").strip())
        except PersonUnknown as unknown:
            return await _show(request, problem=str(unknown))
        return await _show(request, found)

    @post("/persons/export", opt=_EXPORT, status_code=200, include_in_schema=False)
    async def export_person(request: _Request) -> Response[Any]:
        """Everything known about a person, as a page or as JSON. It is recorded as an act."""
        fields = dict(await read_form(request, _MAX_FIELDS))
        viewer = principal_of(request)
        read = partial(personal_data.export, services.store, viewer, _key(fields), _origin(request), services.now())
        try:
            data = await to_thread.run_sync(read)
        except PersonUnknown as unknown:
            return await _show(request, problem=str(unknown))
        if fields.get("as") == "json":
            return Response(
                msgspec.json.encode(data),
                media_type="application/json",
                headers={"content-disposition": 'attachment; filename="personal-data.json"'},
            )
        shown = {"data": data, "histories": histories_of(data), "stored": msgspec.to_builtins(data), "lists": _LISTS}
        template = _environment.get_template("export.html.j2")
        return html(template.render(viewer=viewer, csrf=csrf_of(request), **shown))

    @post("/persons/erase", opt=_ERASE, status_code=200, include_in_schema=False)
    async def ask_for_erasure(request: _Request) -> Response[str]:
        """Ask for the erasure of a person."""
        fields = dict(await read_form(request, _MAX_FIELDS))
        ask = partial(
            personal_data.request_erasure,
            services.store.engine,
            principal_of(request),
            [_key(fields)],
            _origin(request),
            services.now(),
        )
        try:
            await to_thread.run_sync(ask)
        except PersonUnknown as unknown:
            return await _show(request, problem=str(unknown))
        return await _show(request, status="The erasure is asked for. It stands below until it is carried out.")

    @post("/persons/confirm", opt=_ERASE, status_code=200, include_in_schema=False)
    async def confirm(request: _Request) -> Response[str]:
        """Confirm an erasure as its second user."""
        fields = dict(await read_form(request, _MAX_FIELDS))
        carry_out = partial(
            personal_data.confirm_erasure,
            services.store,
            services.setup.levels,
            principal_of(request),
            fields.get("id", ""),
            _origin(request),
            services.now(),
        )
        try:
            await to_thread.run_sync(carry_out)
        except (PersonUnknown, NotASecondUser) as refused:
            return await _show(request, problem=str(refused))
        return await _show(request, status="The person is erased.")

    return [persons_page, find_person, export_person, ask_for_erasure, confirm]


def _find(services: Services, viewer: Principal, who: str) -> Sequence[PersonSummary]:
    account, separator, contact = who[:_MAX_LENGTH].partition("/")
    person = PersonKey(account.strip(), contact.strip())
    if separator and contact:
        with reading(services.store.engine) as connection:
            if personal_data.sees(connection, viewer, person):
                return [persons.summary(connection, services.store.vault, person)]
    return personal_data.find(services.store, viewer, who[:_MAX_LENGTH])


def _erasures(
    services: Services, viewer: Principal
) -> tuple[list[tuple[erasure.Erasure, bool]], list[erasure.Erasure]]:
    """The erasures that wait, each with whether the viewer may confirm it, and the newest that were carried out."""
    with reading(services.store.engine) as connection:
        waiting = [one for one in erasure.pending(connection) if personal_data.sees(connection, viewer, one.person)]
        done = [
            one
            for one in erasure.done(connection, _MOST_DONE)
            if viewer.scope.is_everything or personal_data.sees(connection, viewer, one.person)
        ]
        return [(one, personal_data.may_confirm(connection, viewer, one)) for one in waiting], done


def _key(fields: dict[str, str]) -> PersonKey:
    return PersonKey(fields.get("account", "")[:_MAX_LENGTH], fields.get("contact", "")[:_MAX_LENGTH])


def _origin(request: _Request) -> str:
    return request.client.host if request.client else ""
