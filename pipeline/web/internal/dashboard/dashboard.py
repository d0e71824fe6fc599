"""The dashboard: plain HTML that is complete without a script."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from http import HTTPStatus
from threading import Lock
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode

from litestar import MediaType, Request, get
from litestar.exceptions import ValidationException
from litestar.params import FromQuery, QueryParameter
from sqlalchemy import Connection

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.domain.orders.order import Order
from pipeline.domain.reports.counts import Counts
from pipeline.domain.reports.diagnosis import diagnose
from pipeline.domain.reports.figures import ENOUGH_PAIRS, Figures, figures_of
from pipeline.domain.setup import Setup
from pipeline.notifiers.wording import sentences
from pipeline.store.acts.corrections import number_waiting
from pipeline.store.db.engine import reading
from pipeline.store.journal.journal import Version
from pipeline.store.journal.state import clock_of
from pipeline.store.reads.alerts import newest_alerts
from pipeline.store.reads.answers import StoredAnswer, opened, verbatims
from pipeline.store.reads.baselines import newest_baselines
from pipeline.store.reads.levels import level_uses
from pipeline.store.reads.listing.order_list import OrderFilter
from pipeline.store.reads.order_record import read_orders
from pipeline.store.reads.unresolved import Unresolved, unresolved_questions
from pipeline.store.reads.version import version_of
from pipeline.store.store import Store
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.http.services import Services
from pipeline.web.internal.dashboard import panels
from pipeline.web.internal.filters import ReportFilter, default_level, explain, levels, parse_filter, presets
from pipeline.web.internal.layout import Page, error_page, html, page_environment
from pipeline.web.internal.orders.behind import PAIRS, Behind
from pipeline.web.internal.segments.addresses import segment_address

COMMENTS = 12
UNRESOLVED_DAYS = 7  # how long an unresolved question is shown
_MOST_ORDERS = 10  # with unresolved questions, listed by id
_MOST_ALERTS = 20  # of each group; the page of alerts lists all
_CACHED_PAGES = 32  # rendered dashboards: one per filter in use

_environment = page_environment("pipeline.web.internal.dashboard")
_environment.globals |= {"ENOUGH": ENOUGH_PAIRS, "segment_address": segment_address}


def routes(services: Services) -> list[Any]:
    """`GET /dashboard`."""
    cache = _PageCache()

    @get(
        "/dashboard",
        opt=needs(Permission.FIGURES),
        media_type=MediaType.HTML,
        sync_to_thread=True,
        include_in_schema=False,
    )
    def dashboard_page(
        request: Request[Any, Any, Any],
        by: FromQuery[str | None] = None,
        first: Annotated[str | None, QueryParameter(name="from")] = None,
        last: Annotated[str | None, QueryParameter(name="to")] = None,
    ) -> Page:
        viewer = principal_of(request)
        with reading(services.store.engine) as connection:
            setup = services.current_setup(connection)
            try:
                report_filter = parse_filter(setup, by or default_level(setup), first, last)
            except ValidationException as error:
                return error_page(viewer, HTTPStatus.BAD_REQUEST, "Invalid parameter", explain(error))
            return html(_dashboard(services.store, setup, viewer, report_filter, connection, cache))

    return [dashboard_page]


class _PageCache:
    """The dashboards rendered last. Readers with the same scope and permissions share a page."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._pages: OrderedDict[tuple[object, ...], str] = OrderedDict()

    def get(self, key: tuple[object, ...], make: Callable[[], str]) -> str:
        """The page of `key`, rendered by `make` if it is not cached. One page is rendered at a time."""
        with self._lock:  # a reader who comes meanwhile waits instead of rendering the same page again
            page = self._pages.get(key)
            if page is None:
                page = self._pages[key] = make()
                while len(self._pages) > _CACHED_PAGES:
                    self._pages.popitem(last=False)
            return page


def _dashboard(
    store: Store,
    setup: Setup,
    viewer: Principal,
    report_filter: ReportFilter,
    connection: Connection,
    cache: _PageCache,
) -> str:
    state = _state(connection, viewer, store)
    key = (report_filter, setup.level_changes, state, viewer.scope, viewer.permissions)
    return cache.get(key, lambda: _render(store, setup, viewer, report_filter, connection, state))


class _State(NamedTuple):
    """Everything a page depends on besides its filter; read by key on every request."""

    version: Version
    today: date
    unresolved: Unresolved
    corrections: int
    """How many corrections wait; 0 for those who may not confirm any."""


def _state(connection: Connection, viewer: Principal, store: Store) -> _State:
    clock = clock_of(connection)
    since = datetime.combine(clock.date(), time.min, UTC) - timedelta(days=UNRESOLVED_DAYS)
    unresolved = unresolved_questions(connection, viewer, since, _MOST_ORDERS)
    corrections = number_waiting(connection, viewer) if viewer.may(Permission.CORRECT) else 0
    return _State(version_of(connection, viewer, store), clock.date(), unresolved, corrections)


def _render(
    store: Store,
    setup: Setup,
    viewer: Principal,
    report_filter: ReportFilter,
    connection: Connection,
    state: _State,
) -> str:
    no_figures = panels.why_no_figures(viewer.scope, levels(setup))
    comments, orders = _comments(store, viewer, connection)
    cards = [panels.comment_card(answer, orders.get(answer.order_id)) for answer in comments]
    if no_figures is not None:
        shown = {"no_figures": no_figures, "comments": cards, "unresolved_days": UNRESOLVED_DAYS, **state._asdict()}
        return _environment.get_template("no_figures.html.j2").render(viewer=viewer, **shown)
    level, today, scoped = report_filter.by or "", state.today, not viewer.scope.is_everything
    segments = report_filter.segments(connection, viewer)
    alerts = newest_alerts(connection, viewer, today, _MOST_ALERTS)
    fleet = _figures(report_filter.fleet(connection, viewer))
    findings = diagnose(level, segments, alerts, report_filter.last)
    wanted = OrderFilter(first=report_filter.first, last=report_filter.last)
    behind = Behind(wanted, viewer.may(Permission.ORDERS))
    alerted = [alert.value for alert in alerts if alert.dimension == level and alert.notifies]
    return _environment.get_template("dashboard.html.j2").render(
        **state._asdict(),
        viewer=viewer,
        scoped=scoped,
        unresolved_days=UNRESOLVED_DAYS,
        filter=report_filter,
        levels=levels(setup),
        exceeded=[] if scoped else _exceeded(connection, setup),
        presets=[
            (name, _address({"by": report_filter.by, **preset}), current)
            for name, preset, current in presets(report_filter, today)
        ],
        segments_file=_address(report_filter.parameters(), "/export/segments"),
        fleet=fleet,
        headline=panels.headline(fleet, viewer.scope),
        experienced=panels.experienced(fleet.compared),
        gap=panels.gap(fleet.compared),
        facts=panels.facts(fleet, behind),
        behind=behind,
        pairs=PAIRS,
        table=panels.segment_table(
            level, {value: _figures(counts) for value, counts in segments.items()}, alerted, behind
        ),
        groups=panels.alert_groups(alerts),
        most_alerts=_MOST_ALERTS,
        opening=sentences.conclude(level, findings),
        findings=[(finding, sentences.explain(finding, scoped)) for finding in findings],
        funnel=panels.funnel(fleet, behind),
        comments=cards,
        tolerances=[(null.signal, panels.tolerance(null)) for null in newest_baselines(connection, viewer)],
    )


def _comments(
    store: Store, viewer: Principal, connection: Connection
) -> tuple[list[StoredAnswer], Mapping[str, Order]]:
    """The newest comments that the viewer may read, opened, and their orders by id."""
    found = opened(connection, store.vault, verbatims(connection, viewer, COMMENTS))
    found = [answer for answer in found if answer.comment is not None]  # of nobody who was erased
    return found, read_orders(connection, viewer, [answer.order_id for answer in found])


def _exceeded(connection: Connection, setup: Setup) -> list[str]:
    return [panels.exceeded(use, setup) for use in level_uses(connection, setup.levels) if use.exceeded]


def _figures(counts: Counts) -> Figures:
    return _figures_of(frozenset(counts.items()))


@lru_cache(maxsize=1_024)
def _figures_of(counts: frozenset[tuple[str, int]]) -> Figures:
    """Cached: intervals are half of a page's cost, and one answer changes those of a few segments only."""
    return figures_of(dict(counts))


def _address(parameters: Mapping[str, object], path: str = "/dashboard") -> str:
    return f"{path}?" + urlencode({name: value for name, value in parameters.items() if value})
