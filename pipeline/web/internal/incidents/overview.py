"""What an incident's page begins with: one plain sentence, and claimed and experienced performance by week."""

from datetime import date, timedelta
from functools import partial

from sqlalchemy import Connection

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.domain.detection.pairs import IN_FULL, ON_TIME
from pipeline.domain.detection.segments import TOTAL, Segment
from pipeline.domain.events.incidents import Rate, Trend
from pipeline.domain.incidents.incident import Incident
from pipeline.domain.reports.periods import trends
from pipeline.domain.reports.periods.spans import WEEK, newest
from pipeline.notifiers.wording import sentences
from pipeline.store.reads import reports
from pipeline.store.reads.listing.order_list import OrderFilter
from pipeline.web.internal.orders import list_filter
from pipeline.web.internal.segments import views

WEEKS = 26
_BEFORE = timedelta(weeks=8)  # the time before the fault that the chart shows at least
_TRENDS: dict[Trend, str] = {
    "better": "it gets better",
    "unchanged": "no change is proven",
    "worse": "it gets worse",
    "too_few": "too few answers to say more",
}


def sentence(incident: Incident, scoped: bool) -> str:
    """What is wrong, then and now. `scoped`: the reader sees a part of the fleet."""
    cause = incident.cause
    name = sentences.segment_name(cause.dimension, cause.value)
    begin = f"{name[:1].upper()}{name[1:]} {sentences.contradiction(cause.signal, scoped)}"
    then = f"{_share(incident.then.rate)} when it opened"
    if incident.now is None or incident.now.last_30_days is None:
        return f"{begin}: {then}."
    return f"{begin}: {then}, {_share(incident.now.last_30_days)} in the last 30 days; {_TRENDS[incident.now.trend]}."


def _share(rate: Rate | None) -> str:
    return "an unknown share of the cases" if rate is None else f"{sentences.percent(rate.value)} of {rate.n:,} cases"


def claim_of(incident: Incident) -> str:
    """The claim whose course the page shows."""
    return IN_FULL if incident.cause.signal == IN_FULL else ON_TIME


def weeks(connection: Connection, viewer: Principal, incident: Incident, today: date) -> views.Trend | None:
    """The weeks from before the fault to now, at most 26, with the opening marked; None: it has no such figures."""
    segment, claim = incident.segment, claim_of(incident)
    many = (today - (incident.then.since - _BEFORE)).days // WEEK + 1
    days = newest("week", today.toordinal(), min(max(many, 2), WEEKS))
    wanted = trends.counters_of(claim)
    found = reports.series(connection, viewer, *segment[:1], [segment.value], "week", days, wanted)
    points = trends.trend(found.get(segment.value, {}), days, claim)
    begun = next((index for index, point in enumerate(points) if point.claimed is not None), 0)
    orders = partial(_orders, viewer, segment)
    return views.trend(points[begun:], "week", [incident.opened_at.date()], orders)


def _orders(viewer: Principal, segment: Segment, first: date, last: date) -> str:
    segments = () if segment == TOTAL else (segment,)
    wanted = OrderFilter(segments=segments, first=first, last=last)
    return list_filter.address(wanted) if viewer.may(Permission.ORDERS) else ""
