"""What others read by HTTP: report and alerts as the command line prints them, segments, one order, the version."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Router, get
from litestar.exceptions import NotFoundException
from litestar.params import PathParameter, QueryParameter
from msgspec import Struct

from pipeline.consumers.runtime.embedded import clock_of
from pipeline.domain.detection.alerting import Kind, Severity
from pipeline.store.db.engine import reading
from pipeline.store.reads import pages, reports
from pipeline.web.http.services import Services
from pipeline.web.internal.api.filters import LONGEST, choose, complain
from pipeline.web.internal.orders.order import OrderView, view_of

By = Annotated[str | None, QueryParameter(name="by", description="level whose segments are wanted, as in `depot`")]
First = Annotated[
    str | None,
    QueryParameter(name="from", description="first day of completion, as in 2026-11-20"),
]
Last = Annotated[str | None, QueryParameter(name="to", description="last day of completion, as in 2026-11-30")]


class FigureOut(Struct, frozen=True):
    """A figure, the interval (95 %) that holds at every look, and the answers behind it."""

    value: float
    low: float
    high: float
    n: int


class RowOut(Struct, frozen=True):
    """One segment, or the fleet. Counts are orders; a figure is null where there is nothing."""

    delivered: int
    claimed_on_time: int
    answered: int
    answered_claimed_on_time: int
    claimed_on_time_but_detractor: int
    mean_score: FigureOut | None
    nps: FigureOut | None
    experienced_on_time: FigureOut | None


class ReportOut(Struct, frozen=True):
    """The fleet, and the segments of the level in `by`."""

    total: RowOut
    segments: dict[str, RowOut]


class AlertOut(Struct, frozen=True):
    """An alert as it stands. Rates and the null lie between 0 and 1."""

    signal: str
    dimension: str
    value: str
    kind: Kind
    state: Literal["open", "unverified", "resolved"]
    severity: Severity | None
    opened_at: str
    pairs_before: int
    since: str
    run_n: int
    run_rate: float
    null: float
    log10_e: float


class LevelOut(Struct, frozen=True):
    """A level that is counted: what may stand in `by`, and the segments seen on it."""

    dimension: str
    capacity: int
    segments: list[str]


class VersionOut(Struct, frozen=True):
    """`version`: events known so far, in and out. `processed`: the last of them processed, `clock` its time.

    No figure changes while the first two stand still.
    """

    version: int
    processed: int
    clock: datetime


def routes(services: Services) -> list[Router]:
    """The handlers below /v1 that only read."""

    @get("/report", sync_to_thread=True, summary="Claimed beside experienced")
    def report(by: By = None, first: First = None, last: Last = None) -> ReportOut:
        choice = choose(services.setup, by, first, last)
        with reading(services.engine) as connection:
            found = reports.report_json(choice.fleet(connection), choice.segments(connection))
        return msgspec.convert(found, ReportOut)

    @get("/alerts", sync_to_thread=True, summary="Where the claim is shown no longer to hold, oldest first")
    def alerts() -> list[AlertOut]:
        with reading(services.engine) as connection:
            found = reports.alerts(connection, clock_of(connection).date())
        return msgspec.convert(reports.alerts_json(found), list[AlertOut])

    @get("/segments", sync_to_thread=True, summary="The levels that are counted, and their segments")
    def segments() -> list[LevelOut]:
        with reading(services.engine) as connection:
            return [
                LevelOut(level.name, level.capacity, pages.segment_names(connection, level.name))
                for level in services.setup.levels
            ]

    @get("/orders/{order_id:path}", sync_to_thread=True, summary="Everything about one order, in time order")
    def order(order_id: Annotated[str, PathParameter(description="the order's id")]) -> OrderView:
        return _order(services, order_id.removeprefix("/"))

    @get("/orders", sync_to_thread=True, summary="The same for an id that cannot stand in a path")
    def order_by_id(
        order_id: Annotated[str | None, QueryParameter(name="id", description="the order's id")] = None,
    ) -> OrderView:
        if not order_id:
            complain("id", "is needed")
        return _order(services, order_id)

    @get("/version", sync_to_thread=True, summary="Whether anything happened; costs next to nothing to ask")
    def version() -> VersionOut:
        with reading(services.engine) as connection:
            return VersionOut(*pages.version(connection), clock_of(connection))

    handlers: list[Any] = [report, alerts, segments, order, order_by_id, version]
    return [Router("/v1", route_handlers=handlers, tags=["read"])]


def find_order(services: Services, order_id: str) -> OrderView | None:
    """One order as the page and the API show it; None if nothing was ever heard of it."""
    with reading(services.engine) as connection:
        record = pages.record(connection, order_id)
        if record is None:
            return None
        alerts = reports.alerts(connection, clock_of(connection).date()) if record.order.dialogue.placed else []
    return view_of(record, alerts, services.setup.levels)


def _order(services: Services, order_id: str) -> OrderView:
    found = find_order(services, order_id)
    if found is None:
        raise NotFoundException(f"no order {order_id[:LONGEST]!r} is known here")
    return found
