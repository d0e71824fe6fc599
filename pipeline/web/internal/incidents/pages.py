"""The pages of incidents and alerts: lists by key, one incident with its acts as forms."""

from collections.abc import Mapping
from datetime import date, datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from anyio import to_thread
from litestar import MediaType, Request, Response, get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect
from sqlalchemy import Connection

from pipeline.consumers.incidents import number_of
from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.domain.detection.segments import TOTAL
from pipeline.domain.events.incidents import Rate
from pipeline.domain.incidents.lifecycle import CLOSING_CAUSES, MAX_SNOOZE
from pipeline.domain.reports.figures import ENOUGH_PAIRS
from pipeline.notifiers.wording import sentences
from pipeline.store.db.engine import reading
from pipeline.store.journal.state import clock_of
from pipeline.store.reads import incidents as read
from pipeline.store.reads.alerts import alerts_named, alerts_page
from pipeline.store.reads.listing.order_list import OrderFilter, entries_of
from pipeline.store.reads.version import version_of
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.auth.guard import csrf_of
from pipeline.web.http.forms import read_form
from pipeline.web.http.problems import Problem
from pipeline.web.http.services import Services
from pipeline.web.internal.incidents import acts, overview
from pipeline.web.internal.layout import Page, error_page, html, page_environment
from pipeline.web.internal.orders import list_filter
from pipeline.web.internal.orders.list_rows import rows_of

PAGE = 50  # rows of a list
_ECHOES = 200  # alerts that a page lists below those of its incident
_ROWS = 15  # orders in the table of an incident; a link leads to all
_ENDED = 20  # ended incidents below those that go on
_MAX_FIELDS = 10
_ENTERED = ("owner", "days", "reason", "cause", "words")
_Request = Request[Any, Any, Any]
_READ = needs(Permission.FIGURES)
_environment = page_environment("pipeline.web.internal.incidents")
_environment.globals |= {"segment_name": sentences.segment_name, "ENOUGH": ENOUGH_PAIRS}


def _rate(rate: Rate | None) -> str:
    """ "40.0% (30.0% to 50.0%, 40 orders)"."""
    if rate is None:
        return "no figures"
    low, high = sentences.percent(rate.low), sentences.percent(rate.high)
    return f"{sentences.percent(rate.value)} ({low} to {high}, {rate.n:,} orders)"


def _day_of(text: str | date) -> str:
    return sentences.day(datetime.fromisoformat(text) if isinstance(text, str) else text)


_environment.filters |= {"rate": _rate, "day_of": _day_of, "signal": sentences.signal_name}


def routes(services: Services) -> list[Any]:
    """`GET /incidents`, `GET /incidents/{id}`, `POST /incidents/{id}/{act}` and `GET /alerts`."""

    @get("/incidents", opt=_READ, media_type=MediaType.HTML, sync_to_thread=True, include_in_schema=False)
    def incident_list(request: _Request, after: FromQuery[str] = "") -> Page:
        viewer = principal_of(request)
        with reading(services.store.engine) as connection:
            found = read.going_on(connection, viewer, PAGE + 1, number_of(after))
            ended = [] if after else read.ended(connection, viewer, _ENDED)
            version = version_of(connection, viewer, services.store)
        template = _environment.get_template("incidents.html.j2")
        more = found[PAGE - 1].incident_id if len(found) > PAGE else None
        return html(
            template.render(viewer=viewer, incidents=found[:PAGE], ended=ended, more=more, after=after, version=version)
        )

    @get(
        "/incidents/{incident_id:str}",
        opt=_READ,
        media_type=MediaType.HTML,
        sync_to_thread=True,
        include_in_schema=False,
    )
    def incident_page(request: _Request, incident_id: FromPath[str]) -> Page:
        return _page(services, request, incident_id)

    @post("/incidents/{incident_id:str}/{act:str}", opt=needs(Permission.INCIDENTS), include_in_schema=False)
    async def act_on_incident(request: _Request, incident_id: FromPath[str], act: FromPath[str]) -> Response[Any]:
        fields = dict(await read_form(request, _MAX_FIELDS))
        try:
            await to_thread.run_sync(acts.perform, services, principal_of(request), incident_id, act, fields)
        except Problem as problem:
            return await to_thread.run_sync(_page, services, request, incident_id, problem, fields)
        return Redirect(f"/incidents/{quote(incident_id, safe='')}", status_code=303)

    @get("/alerts", opt=_READ, media_type=MediaType.HTML, sync_to_thread=True, include_in_schema=False)
    def alert_list(request: _Request, before: FromQuery[str] = "") -> Page:
        viewer = principal_of(request)
        with reading(services.store.engine) as connection:
            found = alerts_page(connection, viewer, clock_of(connection).date(), PAGE + 1, before or None)
            version = version_of(connection, viewer, services.store)
        template = _environment.get_template("alerts.html.j2")
        more = quote(found[PAGE - 1].alert_id, safe="") if len(found) > PAGE else None
        return html(template.render(viewer=viewer, alerts=found[:PAGE], more=more, before=before, version=version))

    return [incident_list, incident_page, act_on_incident, alert_list]


def _page(
    services: Services,
    request: _Request,
    incident_id: str,
    problem: Problem | None = None,
    entered: Mapping[str, str] = MappingProxyType({}),
) -> Page:
    """The page of an incident. After a refused act it has the problem and what was entered, and does not update itself:
    its address is that of the act.
    """
    number, viewer = number_of(incident_id), principal_of(request)
    with reading(services.store.engine) as connection:
        values = None if number is None else _values(services, viewer, connection, number)
    if values is None:
        return error_page(
            viewer, HTTPStatus.NOT_FOUND, "Incident not found", f"No incident “{incident_id[:40]}” found."
        )
    if problem is not None:
        del values["version"]
    template = _environment.get_template("incident.html.j2")
    shown = template.render(
        **values,
        viewer=viewer,
        causes=CLOSING_CAUSES,
        max_snooze=MAX_SNOOZE.days,
        csrf=csrf_of(request),
        problem="" if problem is None else problem.detail,
        entered={name: entered.get(name, "") for name in _ENTERED},
    )
    return html(shown, HTTPStatus.OK if problem is None else HTTPStatus(problem.status_code))


def _values(services: Services, viewer: Principal, connection: Connection, number: int) -> dict[str, Any] | None:
    incident = read.find(connection, viewer, number)
    if incident is None:
        return None
    affected = read.accounts_and_orders(connection, viewer, incident)
    day = clock_of(connection).date()
    may_open, segment = viewer.may(Permission.ORDERS), incident.segment
    wanted = OrderFilter(segments=() if segment == TOTAL else (segment,), first=incident.then.since)
    listed = entries_of(connection, viewer, affected.orders[:_ROWS]) if may_open else []
    return {
        "incident": incident,
        "sentence": overview.sentence(incident, not viewer.scope.is_everything),
        "trend": overview.weeks(connection, viewer, incident, day),
        "claim": overview.claim_of(incident),
        "budget": services.setup.alerts_a_year,
        "acts": read.acts(connection, viewer, number, services.store.vault),
        "alerts": alerts_named(connection, viewer, day, incident.alerts[:PAGE]),
        "echoes": alerts_named(connection, viewer, day, incident.explains[:_ECHOES]),
        "accounts": affected.accounts[:PAGE],
        "orders": affected.orders,
        "addresses": affected.addresses,
        "rows": rows_of(connection, viewer, services.store.vault, listed),
        "most_orders": read.ORDERS_SHOWN,
        "most_rows": _ROWS,
        "all_orders": list_filter.address(wanted) if may_open else "",
        "account_orders": {
            each.account: list_filter.address(wanted._replace(account=each.account))
            for each in (affected.accounts[:PAGE] if may_open else ())
        },
        "version": version_of(connection, viewer, services.store),
    }
