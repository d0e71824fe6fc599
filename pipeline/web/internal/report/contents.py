"""What the report says: one value that the page and the e-mail show. Its reads cost what the period has, no history."""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from typing import NamedTuple

from sqlalchemy import Connection

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.domain.detection.segments import Segment
from pipeline.domain.incidents.incident import Incident
from pipeline.domain.reports import diagnosis
from pipeline.domain.reports.alerts import Alert
from pipeline.domain.reports.counts import Counts
from pipeline.domain.reports.figures import ENOUGH_PAIRS, figures_of
from pipeline.domain.reports.periods import improvements, trends
from pipeline.domain.reports.periods.calendar import Period
from pipeline.domain.reports.periods.changes import Change, changes
from pipeline.domain.reports.periods.spans import newest
from pipeline.domain.setup import Setup
from pipeline.notifiers.wording import sentences
from pipeline.store.people.vault import Vault
from pipeline.store.reads import reports
from pipeline.store.reads.alerts import newest_alerts
from pipeline.store.reads.listing.order_list import OrderFilter
from pipeline.store.reads.management import period as read
from pipeline.store.reads.order_record import read_orders
from pipeline.web.internal.accounts import account_list
from pipeline.web.internal.accounts.account_list import AccountFigures
from pipeline.web.internal.dashboard import panels
from pipeline.web.internal.dashboard.panels import Cell, CommentCard
from pipeline.web.internal.filters import levels
from pipeline.web.internal.orders import list_filter
from pipeline.web.internal.report import figures
from pipeline.web.internal.segments import views

WEEKS = 13
WORDS = 10
_IMPROVEMENTS, _FINDINGS, _ACCOUNTS, _CLOSED, _ALERTS = 5, 5, 5, 6, 50
_COUNTERS = (*improvements.COUNTERS, *diagnosis.COUNTERS)


class ToImprove(NamedTuple):
    """A cause of a segment: what it costs. `effect`: points of the NPS; `orders`: the address of the orders."""

    segment: str
    cause: str
    answers: str
    effect: Cell
    verdict: str
    orders: str


class Report(NamedTuple):
    """The report of one period for one reader. `no_figures`: why there are none in the reader's scope."""

    period: Period
    level: str
    no_figures: str | None
    headline: str
    changes: Sequence[figures.ChangeRow]
    points: Sequence[trends.Point]
    trend: views.Trend | None
    improve: Sequence[ToImprove]
    compared: int
    too_few: int
    opening: str
    findings: Sequence[str]
    findings_more: int
    """How many more findings there are than are listed."""
    accounts: Sequence[AccountFigures]
    accounts_of: str
    """Address of the list of accounts that these are the first of."""
    words: Sequence[CommentCard]
    drawn_from: int
    closed: read.Closed
    closed_more: int
    """How many more incidents ended than are listed."""


def report_of(
    connection: Connection, setup: Setup, viewer: Principal, vault: Vault, period: Period, level: str, today: date
) -> Report:
    """The report of a period, by the segments of a level. `today`: the day as of which alerts are read."""
    weeks = newest("week", period.last.toordinal(), WEEKS)
    now = reports.total(connection, viewer, *period.days)
    before = reports.total(connection, viewer, *period.before.days)
    quarter = reports.by_segment(connection, viewer, level, weeks[0], period.last.toordinal(), counters=_COUNTERS)
    series = reports.total_series(connection, viewer, "week", weeks, trends.COUNTERS)
    points = trends.trend(series, weeks)
    alerts = newest_alerts(connection, viewer, today, _ALERTS)
    found = diagnosis.diagnose(level, quarter, alerts, period.last if period.last < today else None)
    improve = improvements.improvements(quarter, _IMPROVEMENTS)
    closed = read.closed_in(connection, viewer, period.first, period.last)
    at_risk = account_list.Wanted(account_list.parse_a_period(None, period.last))
    words, drawn_from = _words(connection, viewer, vault, period)
    return Report(
        period=period,
        level=level,
        no_figures=panels.why_no_figures(viewer.scope, levels(setup)),
        headline=panels.headline(figures_of(now), viewer.scope),
        changes=[figures.row_of(change) for change in _told(now, before)],
        points=points,
        trend=views.trend(points, "week", _openings(alerts), partial(_orders, viewer)),
        improve=[_to_improve(viewer, level, one, date.fromordinal(weeks[0]), period.last) for one in improve.rows],
        compared=improve.compared,
        too_few=improve.too_few,
        opening=sentences.conclude(level, found),
        findings=[sentences.explain(finding, not viewer.scope.is_everything) for finding in found[:_FINDINGS]],
        findings_more=max(len(found) - _FINDINGS, 0),
        accounts=account_list.out(connection, viewer, account_list.read(connection, viewer, at_risk, _ACCOUNTS)),
        accounts_of=at_risk.address(),
        words=words,
        drawn_from=drawn_from,
        closed=closed._replace(incidents=closed.incidents[:_CLOSED]),
        closed_more=max(len(closed.incidents) - _CLOSED, 0),
    )


def account_line(account: AccountFigures) -> str:
    """What is known of an account at risk: "about 12 of 63 orders probably went badly; 5 of 24 answered ones did"."""
    cases = f"; open cases: {account.open_cases}" if account.open_cases else ""
    known = f"{account.bad:,} of {account.answered:,} answered ones did"
    return f"about {account.risk:,.0f} of {account.orders:,} orders probably went badly; {known}{cases}"


def closed_line(incident: Incident) -> str:
    """An ended incident in one line: "I-3, depot Lyon, on time: closed, cause carrier"."""
    name = sentences.segment_name(incident.cause.dimension, incident.cause.value)
    how = "resolved: the answers confirm the claims again" if incident.status == "resolved" else "closed by a person"
    cause = f", cause {incident.closing_cause.replace('_', ' ')}" if incident.closing_cause else ""
    return f"{incident.incident_id}, {name}, {sentences.signal_name(incident.cause.signal)}: {how}{cause}"


def _told(now: Counts, before: Counts) -> list[Change]:
    """Every figure that either period has."""
    return [change for change in changes(now, before) if change.now is not None or change.before is not None]


def _openings(alerts: Sequence[Alert]) -> list[date]:
    return [alert.opened_at.date() for alert in alerts if alert.kind == "divergence"]


def _orders(viewer: Principal, first: date, last: date) -> str:
    wanted = OrderFilter(first=first, last=last)
    return list_filter.address(wanted) if viewer.may(Permission.ORDERS) else ""


def _to_improve(viewer: Principal, level: str, one: improvements.Improvement, first: date, last: date) -> ToImprove:
    segment = Segment(level, one.segment)
    codes = ("late", "not_received") if one.cause == "late" else (one.cause,)
    wanted = OrderFilter(segments=(segment,), first=first, last=last, codes=codes)
    orders = list_filter.address(wanted) if viewer.may(Permission.ORDERS) else ""
    if one.effect is None:
        effect, verdict = Cell("", missing="not enough answers"), "not enough answers"
    else:
        effect = figures.points_cell(one.effect)
        verdict = "proven" if one.proven else "not proven"
    return ToImprove(
        sentences.segment_name(*segment),
        improvements.CAUSES[one.cause],
        f"{sentences.percent(one.share.value)} of {one.of:,}",
        effect,
        verdict,
        orders,
    )


def _words(connection: Connection, viewer: Principal, vault: Vault, period: Period) -> tuple[list[CommentCard], int]:
    drawn = read.drawn_words(connection, viewer, vault, period.first, period.last, WORDS)
    orders = read_orders(connection, viewer, [answer.order_id for answer in drawn.answers])
    return [panels.comment_card(answer, orders.get(answer.order_id)) for answer in drawn.answers], drawn.of


GLOBALS: Mapping[str, object] = {"ENOUGH": ENOUGH_PAIRS, "WEEKS": WEEKS, "WORDS": WORDS}
FILTERS = {"account_line": account_line, "closed_line": closed_line, "cell_text": figures.text_of}
"""What the templates of the page and of the e-mail have in common."""
