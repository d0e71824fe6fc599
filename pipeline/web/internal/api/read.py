"""The read API: report and alerts as the command line prints them, segments, and the version."""

from datetime import datetime
from typing import Annotated, Any

from litestar import Request, Router, get
from litestar.params import QueryParameter
from msgspec import Struct

from pipeline.domain.access.permissions import Permission
from pipeline.domain.reports.contract import AlertOut, ReportOut, alert_of, report_of
from pipeline.store.db.engine import reading
from pipeline.store.journal.state import clock_of
from pipeline.store.reads import reports
from pipeline.store.reads.alerts import alerts_as_of
from pipeline.store.reads.version import version_of
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.http.services import Services
from pipeline.web.internal.filters import parse_filter

By = Annotated[str | None, QueryParameter(name="by", description="level to list the segments of, such as `depot`")]
First = Annotated[
    str | None,
    QueryParameter(name="from", description="first day of completion, such as 2026-11-20"),
]
Last = Annotated[str | None, QueryParameter(name="to", description="last day of completion, such as 2026-11-30")]
_FIGURES = needs(Permission.FIGURES)
_Request = Request[Any, Any, Any]


class LevelOut(Struct, frozen=True):
    """A level that is counted: the value for `by`, the most segments it can have, and the segments seen so far."""

    dimension: str
    capacity: int
    segments: list[str]


class VersionOut(Struct, frozen=True):
    """`version`: events stored so far, in and out; `processed`: the last one processed; `clock`: its time.

    While the first two stay the same, so do all figures. For those who see a part of the orders they count nothing.
    """

    version: int
    processed: int
    clock: datetime


def routes(services: Services) -> list[Router]:
    """`GET /v1/report`, `/v1/alerts`, `/v1/segments` and `/v1/version`."""

    @get("/report", opt=_FIGURES, sync_to_thread=True, summary="Compare claimed and experienced performance")
    def get_report(request: _Request, by: By = None, first: First = None, last: Last = None) -> ReportOut:
        principal = principal_of(request)
        with reading(services.store.engine) as connection:
            report_filter = parse_filter(services.current_setup(connection), by, first, last)
            fleet, segments = report_filter.fleet(connection, principal), report_filter.segments(connection, principal)
        return report_of(fleet, segments)

    @get(
        "/alerts",
        opt=_FIGURES,
        sync_to_thread=True,
        summary="Alerts: segments whose customers contradict the claim, oldest first",
    )
    def list_alerts(request: _Request) -> list[AlertOut]:
        with reading(services.store.engine) as connection:
            found = alerts_as_of(connection, principal_of(request), clock_of(connection).date())
        return [alert_of(alert) for alert in found]

    @get("/segments", opt=_FIGURES, sync_to_thread=True, summary="Levels and their segments")
    def list_segments(request: _Request) -> list[LevelOut]:
        principal = principal_of(request)
        with reading(services.store.engine) as connection:
            return [
                LevelOut(level.name, level.capacity, reports.segment_names(connection, principal, level.name))
                for level in services.current_setup(connection).levels
            ]

    @get(
        "/version",
        opt=needs(Permission.FIGURES, passive=True),
        sync_to_thread=True,
        summary="Version of the data, to detect changes cheaply",
    )
    def get_version(request: _Request) -> VersionOut:
        with reading(services.store.engine) as connection:
            return VersionOut(*version_of(connection, principal_of(request), services.store), clock_of(connection))

    handlers: list[Any] = [get_report, list_alerts, list_segments, get_version]
    return [Router("/v1", route_handlers=handlers, tags=["read"])]
