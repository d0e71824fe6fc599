"""Today, the start page: the problems that go on, one line each, those first that need somebody."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from litestar import MediaType, Request, get
from markupsafe import Markup
from sqlalchemy import Connection

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.domain.detection.alert_ids import series_of
from pipeline.domain.events.incidents import Rate
from pipeline.domain.incidents.incident import Incident
from pipeline.domain.incidents.triage import NEEDS, need_of
from pipeline.domain.reports.periods import trends
from pipeline.domain.reports.periods.spans import newest
from pipeline.notifiers.wording import sentences
from pipeline.store.acts.corrections import number_waiting
from pipeline.store.cases.reads import number_open
from pipeline.store.db.engine import reading
from pipeline.store.journal.state import clock_of
from pipeline.store.reads import incidents as read
from pipeline.store.reads import reports
from pipeline.store.reads.version import version_of
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.auth.guard import csrf_of
from pipeline.web.http.services import Services
from pipeline.web.internal.dashboard import panels
from pipeline.web.internal.filters import levels
from pipeline.web.internal.layout import Page, html, page_environment
from pipeline.web.internal.segments import views

MOST = 50  # problems on the page; the list of incidents has all
_TITLES = {
    "overdue": ("Overdue", "Nobody has acknowledged these in time."),
    "new": ("New", "Opened within a day."),
    "unowned": ("Without an owner", "Acknowledged or older, and nobody has taken them."),
    "in_hand": ("In hand", "Somebody is working on these."),
    "snoozed": ("Snoozed", "They return by themselves."),
}
_environment = page_environment("pipeline.web.internal.today")
_environment.globals["segment_name"] = sentences.segment_name


def _range(rate: Rate | None) -> str:
    """ "40.0% (30.0% to 50.0%)"."""
    if rate is None:
        return "no figures"
    return f"{sentences.percent(rate.value)} ({sentences.percent(rate.low)} to {sentences.percent(rate.high)})"


_environment.filters |= {"range": _range, "signal": sentences.signal_name}


def _echo(alert_id: str) -> str:
    """An alert by its id, in words: "depot Lyon: on time"."""
    series = series_of(alert_id)
    return f"{sentences.segment_name(series.dimension, series.value)}: {sentences.signal_name(series.signal)}"


_environment.filters["echo"] = _echo


class _Cases(NamedTuple):
    """The open cases, and how many of them are overdue."""

    open: int
    overdue: int


def _sparks(connection: Connection, viewer: Principal, found: Sequence[Incident]) -> dict[int, Markup]:
    """Claimed and experienced on time over 13 weeks, of the segment of each incident, by its number.

    One query a level.
    """
    weeks = newest("week", clock_of(connection).date().toordinal(), views.SPARK_WEEKS + views.POOLED_WEEKS - 1)
    by_level: dict[str, list[Incident]] = {}
    for one in found:
        by_level.setdefault(one.cause.dimension, []).append(one)
    sparks: dict[int, Markup] = {}
    for level, its in by_level.items():
        values = {one.cause.value for one in its}
        series = reports.series(connection, viewer, level, values, "week", weeks, trends.COUNTERS)
        for one in its:
            if one.cause.value in series:
                shares = trends.smoothed(series[one.cause.value], weeks, views.POOLED_WEEKS)
                sparks[one.number] = views.spark(shares)
    return sparks


def routes(services: Services) -> list[Any]:
    """`GET /`."""

    @get(
        "/",
        opt=needs(Permission.FIGURES),
        media_type=MediaType.HTML,
        sync_to_thread=True,
        include_in_schema=False,
    )
    def today_page(request: Request[Any, Any, Any]) -> Page:
        viewer, now = principal_of(request), services.now()
        with reading(services.store.engine) as connection:
            found = read.going_on(connection, viewer, MOST + 1)
            accounts = read.numbers_of_accounts(connection, viewer, found[:MOST])
            sparks = _sparks(connection, viewer, found[:MOST])
            cases = _Cases(*number_open(connection, viewer)) if viewer.may(Permission.CASES) else _Cases(0, 0)
            corrections = number_waiting(connection, viewer) if viewer.may(Permission.CORRECT) else 0
            setup = services.current_setup(connection)
            version = version_of(connection, viewer, services.store)
        shown = [(need_of(one, now), one) for one in found[:MOST]]
        groups = [(need, *_TITLES[need], [one for its, one in shown if its == need]) for need in NEEDS]
        page = _environment.get_template("today.html.j2").render(
            viewer=viewer,
            groups=[group for group in groups if group[-1]],
            accounts=accounts,
            sparks=sparks,
            cases=cases,
            corrections=corrections,
            no_figures=panels.why_no_figures(viewer.scope, levels(setup)),
            more=len(found) > MOST,
            csrf=csrf_of(request),
            version=version,
        )
        return html(page)

    return [today_page]
