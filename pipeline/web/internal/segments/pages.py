"""The pages of segments: a level with the worst first, and one segment over time."""

from datetime import date
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode

from litestar import MediaType, Request, get
from litestar.exceptions import ValidationException
from litestar.params import FromQuery, QueryParameter
from sqlalchemy import Connection

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.domain.access.scopes import Scope
from pipeline.domain.detection.segments import Segment
from pipeline.domain.reports.figures import ENOUGH_PAIRS, figures_of
from pipeline.domain.reports.periods import trends
from pipeline.domain.reports.periods.spans import Span, newest
from pipeline.domain.setup import Setup
from pipeline.notifiers.wording import sentences
from pipeline.store.db.engine import reading
from pipeline.store.journal.state import clock_of
from pipeline.store.reads import reports
from pipeline.store.reads.alerts import alerts_of
from pipeline.store.reads.answers import opened
from pipeline.store.reads.order_record import read_orders
from pipeline.store.reads.segments import segment as read
from pipeline.store.reads.version import version_of
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.http.services import Services
from pipeline.web.internal.dashboard import panels
from pipeline.web.internal.filters import LONGEST, ReportFilter, default_level, levels, parse_filter, presets
from pipeline.web.internal.layout import Page, error_page, html, page_environment
from pipeline.web.internal.segments import views
from pipeline.web.internal.segments.addresses import orders_address, segment_address

MOST = 500  # rows of "show all"
_MONTHS, _WEEKS = 13, 26  # points of a segment's chart
_COMMENTS, _ACCOUNTS, _ALERTS = 6, 20, 20
_Request = Request[Any, Any, Any]
_READ = needs(Permission.FIGURES)
_First = Annotated[str | None, QueryParameter(name="from")]
_Last = Annotated[str | None, QueryParameter(name="to")]
_environment = page_environment("pipeline.web.internal.segments")
_environment.globals |= {"ENOUGH": ENOUGH_PAIRS, "TOP": views.TOP, "SORTINGS": views.SORTINGS}


def routes(services: Services) -> list[Any]:
    """`GET /segments` and `GET /segment`."""

    @get("/segments", opt=_READ, media_type=MediaType.HTML, sync_to_thread=True, include_in_schema=False)
    def segment_list(
        request: _Request,
        by: FromQuery[str | None] = None,
        first: _First = None,
        last: _Last = None,
        find: FromQuery[str] = "",
        sort: FromQuery[str] = "impact",
        show: FromQuery[str] = "",
    ) -> Page:
        viewer = principal_of(request)
        with reading(services.store.engine) as connection:
            setup = services.current_setup(connection)
            try:
                shown = parse_filter(setup, by or default_level(setup), first, last)
            except ValidationException as error:
                return _refused(viewer, error)
            listed = _Listed(shown, find.strip()[:LONGEST], _sorting(sort), show == "all")
            return html(_list(services, setup, viewer, connection, listed))

    @get("/segment", opt=_READ, media_type=MediaType.HTML, sync_to_thread=True, include_in_schema=False)
    def segment_page(
        request: _Request,
        segment: FromQuery[str] = "",
        first: _First = None,
        last: _Last = None,
        unit: FromQuery[str] = "",
    ) -> Page:
        viewer = principal_of(request)
        with reading(services.store.engine) as connection:
            setup = services.current_setup(connection)
            named = parse_segment(setup, segment)
            try:
                shown = parse_filter(setup, named.dimension if named else None, first, last)
            except ValidationException as error:
                return _refused(viewer, error)
            text = None if named is None else _one(services, viewer, connection, named, shown, unit)
        if text is None:
            message = f"No segment “{segment[:LONGEST]}” found. A segment is named as in depot:Lyon."
            return error_page(viewer, HTTPStatus.NOT_FOUND, "Segment not found", message)
        return html(text)

    return [segment_list, segment_page]


def parse_segment(setup: Setup, text: str) -> Segment | None:
    """The segment that a query parameter names, as in depot:Lyon; None: there is no such level."""
    for level in sorted(levels(setup), key=len, reverse=True):  # the name of a level may contain a colon
        if text.startswith(f"{level}:"):
            return Segment(level, text.removeprefix(f"{level}:"))
    return None


class _Listed:
    """What a list of segments shows, as its address says."""

    def __init__(self, shown: ReportFilter, find: str, sorting: views.Sorting, everything: bool) -> None:
        self.filter = shown
        self.find = find
        self.sorting = sorting
        self.everything = everything

    def address(self, **changed: object) -> str:
        """The address of this list with other parameters."""
        given: dict[str, object] = {
            "by": self.filter.by,
            "from": self.filter.first,
            "to": self.filter.last,
            "find": self.find,
            "sort": self.sorting.name,
            "show": "all" if self.everything else "",
        }
        return "/segments?" + urlencode({name: value for name, value in (given | changed).items() if value})


def _list(services: Services, setup: Setup, viewer: Principal, connection: Connection, listed: _Listed) -> str:
    shown, today = listed.filter, clock_of(connection).date()
    level = shown.by or ""
    known = views.known(shown.segments(connection, viewer, views.COUNTERS))
    wanted = listed.find.casefold()
    found = views.ranked([one for one in known if wanted in one.name.casefold()], listed.sorting)
    notices = read.notices(connection, viewer, level)
    rows = [
        views.row(one, shown, notices.get(one.name, read.Notice()))
        for one in found[: MOST if listed.everything else views.TOP]
    ]
    weeks = newest("week", today.toordinal(), views.SPARK_WEEKS + views.POOLED_WEEKS - 1)
    names = [row.name for row in rows]
    series = reports.series(connection, viewer, level, names, "week", weeks, trends.COUNTERS)
    rows = [
        row._replace(spark=views.spark(trends.smoothed(series.get(row.name, {}), weeks, views.POOLED_WEEKS)))
        for row in rows
    ]
    return _environment.get_template("segments.html.j2").render(
        viewer=viewer,
        version=version_of(connection, viewer, services.store),
        today=today,
        listed=listed,
        filter=shown,
        levels=levels(setup),
        rows=rows,
        total=len(known),
        found=len(found),
        presets=[(name, listed.address(**preset), current) for name, preset, current in presets(shown, today)],
        file="/export/segments" + _query(shown.parameters(), "?"),
        weeks=views.SPARK_WEEKS,
        pooled=views.POOLED_WEEKS,
    )


def _one(
    services: Services, viewer: Principal, connection: Connection, segment: Segment, shown: ReportFilter, unit: str
) -> str | None:
    """The page of a segment; None if it has no orders that the viewer sees."""
    ever = reports.by_segment(connection, viewer, *segment[:1], value=segment.value).get(segment.value)
    if ever is None:
        return None
    counts = shown.segment(connection, viewer, segment) if shown.first or shown.last else ever
    today, figures = clock_of(connection).date(), figures_of(counts)
    chosen: Span = "week" if unit == "week" else "month"
    alerts = alerts_of(connection, viewer, today, segment, _ALERTS)
    notice = read.notices(connection, viewer, segment.dimension).get(segment.value, read.Notice())
    comments = opened(connection, services.store.vault, read.comments_of(connection, viewer, segment, _COMMENTS))
    comments = [answer for answer in comments if answer.comment is not None]
    orders = read_orders(connection, viewer, [answer.order_id for answer in comments])
    return _environment.get_template("segment.html.j2").render(
        viewer=viewer,
        version=version_of(connection, viewer, services.store),
        today=today,
        segment=segment,
        name=_capitalized(sentences.segment_name(*segment)),
        filter=shown,
        presets=[
            (name, segment_address(*segment) + _query(preset | {"unit": unit}), current)
            for name, preset, current in presets(shown, today)
        ],
        figures=figures,
        headline=panels.headline(figures, Scope()),
        experienced=panels.experienced(figures.compared),
        gap=panels.gap(figures.compared),
        badges=views.badges(views.Known(segment.value, counts, figures.compared), notice),
        trend=views.trend(
            _points(connection, viewer, segment, chosen, today),
            chosen,
            [alert.opened_at.date() for alert in alerts if alert.notifies],
            partial(orders_address, segment),
        ),
        unit=chosen,
        other_unit=segment_address(*segment) + _query({"from": shown.first, "to": shown.last}),
        alerts=alerts,
        causes=views.causes(figures, counts),
        signs=views.signs(figures),
        accounts=read.accounts_of(connection, viewer, segment, _ACCOUNTS),
        comments=[panels.comment_card(answer, orders.get(answer.order_id)) for answer in comments],
        orders_of=lambda **more: orders_address(segment, shown.first, shown.last, **more),
    )


def _points(connection: Connection, viewer: Principal, segment: Segment, unit: Span, today: date) -> list[trends.Point]:
    span: Span = "week" if unit == "week" else "month"
    days = newest("week", today.toordinal(), _WEEKS) if span == "week" else newest("month", today.toordinal(), _MONTHS)
    found = reports.series(connection, viewer, segment.dimension, [segment.value], span, days, trends.COUNTERS)
    points = trends.trend(found.get(segment.value, {}), days)
    begun = next((index for index, point in enumerate(points) if point.claimed is not None), 0)
    return points[begun:]


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def _query(parameters: dict[str, Any], begin: str = "&") -> str:
    written = urlencode({name: value for name, value in parameters.items() if value})
    return begin + written if written else ""


def _sorting(name: str) -> views.Sorting:
    by_name = {sorting.name: sorting for sorting in views.SORTINGS}
    return by_name.get(name, by_name["impact"])


def _refused(viewer: Principal, error: ValidationException) -> Page:
    extra = error.extra
    first = extra[0] if isinstance(extra, list) and extra else {}
    message = f"{first.get('key', '')}: {first.get('message', error.detail)}"
    return error_page(viewer, HTTPStatus.BAD_REQUEST, "Invalid parameter", message)
