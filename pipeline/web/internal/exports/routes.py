"""The addresses of files: `/export/orders?format=csv` and the like, with the parameters of the page.

A file is made from one state of the database and sent while it is read. Each is recorded as an act first.
"""

from collections.abc import Callable, Iterator
from typing import Annotated, Any
from urllib.parse import urlencode

from litestar import Request, get
from litestar.params import FromQuery, QueryParameter
from litestar.response import Stream
from sqlalchemy import Connection

from pipeline.domain.access.acts import Act, ActKind
from pipeline.domain.access.permissions import Permission
from pipeline.store.acts import acts
from pipeline.store.db.engine import snapshot
from pipeline.store.journal.state import clock_of
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.http.services import Services
from pipeline.web.internal.accounts import account_list
from pipeline.web.internal.exports import csv_file, excel_file, parquet_file, tables
from pipeline.web.internal.exports.sheet import Sheet
from pipeline.web.internal.filters import LONGEST, default_level, parse_filter, reject
from pipeline.web.internal.orders import list_filter
from pipeline.web.internal.orders.list_page import given_in
from pipeline.web.internal.verbatims.pages import given_in as verbatims_given_in

_Request = Request[Any, Any, Any]
_Write = Callable[[Sheet], Iterator[bytes]]
_CSV, _EXCEL = "text/csv; charset=utf-8", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_FORMATS: dict[str, tuple[_Write, str]] = {
    "csv": (csv_file.pieces, _CSV),
    "xlsx": (excel_file.pieces, _EXCEL),
    "parquet": (parquet_file.pieces, "application/vnd.apache.parquet"),
}
FORMATS = tuple(_FORMATS)
Format = Annotated[str, QueryParameter(name="format")]
First = Annotated[str | None, QueryParameter(name="from")]
Last = Annotated[str | None, QueryParameter(name="to")]


def routes(services: Services) -> list[Any]:
    """`GET /export/orders`, `/export/segments`, `/export/accounts`, `/export/verbatims`, `/export/alerts`,
    `/export/incidents`, `/export/cases`, `/export/inbox`, `/export/users` and `/export/acts`.
    """

    @get("/export/orders", **_of(Permission.ORDERS))
    def orders_file(request: _Request, form: Format = "csv") -> Stream:
        viewer = principal_of(request)
        wanted = list_filter.parse(viewer, given_in(request))
        # The words of a search are no part of the record: they may be those of a customer.
        filters = list_filter.address(wanted._replace(words="..." if wanted.words else ""), "")
        vault = services.store.vault
        return _file(services, request, form, "orders", filters, lambda one: tables.orders(one, viewer, vault, wanted))

    @get("/export/segments", **_of(Permission.FIGURES))
    def segments_file(
        request: _Request,
        form: Format = "csv",
        by: FromQuery[str | None] = None,
        first: First = None,
        last: Last = None,
    ) -> Stream:
        viewer = principal_of(request)
        with snapshot(services.store.engine) as connection:
            setup = services.current_setup(connection)
        wanted = parse_filter(setup, by or default_level(setup), first, last)
        filters = f"by={wanted.by} from={wanted.first or ''} to={wanted.last or ''}"
        return _file(services, request, form, "segments", filters, lambda one: tables.segments(one, viewer, wanted))

    @get("/export/accounts", **_of(Permission.FIGURES))
    def accounts_file(
        request: _Request,
        form: Format = "csv",
        period: FromQuery[str] = "",
        sort: FromQuery[str] = "",
        find: FromQuery[str] = "",
    ) -> Stream:
        viewer = principal_of(request)
        with snapshot(services.store.engine) as connection:
            wanted = account_list.parse(period, sort, find, clock_of(connection).date())
        filters = wanted.address("")
        return _file(services, request, form, "accounts", filters, lambda one: tables.accounts(one, viewer, wanted))

    @get("/export/verbatims", **_of(Permission.WORDS))
    def verbatims_file(request: _Request, form: Format = "csv") -> Stream:
        viewer, wanted, vault = principal_of(request), verbatims_given_in(request), services.store.vault
        filters = "?" + urlencode(wanted.pairs(words=False))
        return _file(
            services, request, form, "verbatims", filters, lambda one: tables.verbatims(one, viewer, vault, wanted)
        )

    @get("/export/alerts", **_of(Permission.FIGURES))
    def alerts_file(request: _Request, form: Format = "csv") -> Stream:
        viewer = principal_of(request)
        return _file(services, request, form, "alerts", "", lambda one: tables.alerts(one, viewer))

    @get("/export/incidents", **_of(Permission.FIGURES))
    def incidents_file(request: _Request, form: Format = "csv") -> Stream:
        viewer = principal_of(request)
        return _file(services, request, form, "incidents", "", lambda one: tables.all_incidents(one, viewer))

    @get("/export/cases", **_of(Permission.CASES))
    def cases_file(request: _Request, form: Format = "csv") -> Stream:
        viewer = principal_of(request)
        return _file(services, request, form, "cases", "", lambda one: tables.all_cases(one, viewer))

    @get("/export/inbox", **_of(Permission.WORDS))
    def inbox_file(request: _Request, form: Format = "csv") -> Stream:
        viewer, store = principal_of(request), services.store
        return _file(services, request, form, "inbox", "", lambda one: tables.waiting_replies(one, viewer, store))

    @get("/export/users", **_of(Permission.USERS))
    def users_file(request: _Request, form: Format = "csv") -> Stream:
        return _file(services, request, form, "users", "", tables.all_users)

    @get("/export/acts", **_of(Permission.ACTS))
    def acts_file(request: _Request, form: Format = "csv", who: FromQuery[str] = "") -> Stream:
        viewer, name = principal_of(request), who.strip()[:LONGEST]
        filters = f"who={name}" if name else ""
        return _file(services, request, form, "acts", filters, lambda one: tables.all_acts(one, viewer, name or None))

    files: list[Any] = [orders_file, segments_file, accounts_file, verbatims_file]
    return [*files, alerts_file, incidents_file, cases_file, inbox_file, users_file, acts_file]


def _of(permission: Permission) -> dict[str, Any]:
    """What the routes of all files have in common. As pages, they are no part of the API's document."""
    return {"opt": needs(permission), "sync_to_thread": True, "include_in_schema": False}


def _file(
    services: Services, request: _Request, form: str, table: str, filters: str, sheet: Callable[[Connection], Sheet]
) -> Stream:
    if form not in _FORMATS:
        reject("format", f"{form[:LONGEST]!r} is none of: {', '.join(FORMATS)}")
    _record(services, request, form, table, filters)
    write, media_type = _FORMATS[form]

    def _pieces() -> Iterator[bytes]:
        with snapshot(services.store.engine) as connection:
            yield from write(sheet(connection))

    disposition = {"content-disposition": f'attachment; filename="{table}.{form}"'}
    return Stream(_pieces(), media_type=media_type, headers=disposition)


def _record(services: Services, request: _Request, form: str, table: str, filters: str) -> None:
    origin = request.client.host if request.client else ""
    details = {"format": form, "filters": filters[:LONGEST]}
    act = Act(services.now(), principal_of(request).name, ActKind.EXPORTED, table, origin, details)
    with services.store.engine.begin() as connection:
        acts.append(connection, act)
