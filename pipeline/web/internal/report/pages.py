"""The page of the report: one week or month on one printed page."""

from datetime import date
from http import HTTPStatus
from typing import Any, get_args
from urllib.parse import urlencode

from litestar import MediaType, Request, get
from litestar.exceptions import ValidationException
from litestar.params import FromQuery

from pipeline.domain.access.permissions import Permission
from pipeline.domain.reports.periods.calendar import CalendarUnit, Period, newest_complete, period_of
from pipeline.domain.setup import Setup
from pipeline.store.db.engine import reading
from pipeline.store.journal.state import clock_of
from pipeline.store.reads.version import version_of
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.http.services import Services
from pipeline.web.internal.accounts.addresses import account_address
from pipeline.web.internal.filters import LONGEST, default_level, explain, levels, parse_day, parse_filter, reject
from pipeline.web.internal.layout import Page, error_page, html, page_environment
from pipeline.web.internal.report import contents

UNITS: tuple[CalendarUnit, ...] = get_args(CalendarUnit)
_environment = page_environment("pipeline.web.internal.report")
_environment.globals |= {**contents.GLOBALS, "account_address": account_address}
_environment.filters |= contents.FILTERS


def routes(services: Services) -> list[Any]:
    """`GET /report`."""

    @get(
        "/report",
        opt=needs(Permission.FIGURES),
        media_type=MediaType.HTML,
        sync_to_thread=True,
        include_in_schema=False,
    )
    def report_page(
        request: Request[Any, Any, Any],
        unit: FromQuery[str] = "",
        of: FromQuery[str] = "",
        by: FromQuery[str | None] = None,
    ) -> Page:
        viewer = principal_of(request)
        with reading(services.store.engine) as connection:
            setup, today = services.current_setup(connection), clock_of(connection).date()
            try:
                level = parse_filter(setup, by or default_level(setup), None, None).by or ""
                period = parse_period(unit, of, today)
            except ValidationException as error:
                return error_page(viewer, HTTPStatus.BAD_REQUEST, "Invalid parameter", explain(error))
            report = contents.report_of(connection, setup, viewer, services.store.vault, period, level, today)
            version = version_of(connection, viewer, services.store)
        page = _environment.get_template("report.html.j2").render(
            viewer=viewer,
            version=version,
            report=report,
            today=today,
            levels=levels(setup),
            units=[(name, address(newest_complete(name, today), level, setup)) for name in UNITS],
            earlier=address(period.before, level, setup) if period.first > date.min else "",
            later=address(period.after, level, setup) if period.last < today else "",
        )
        return html(page)

    return [report_page]


def parse_period(unit: str, of: str, today: date) -> Period:
    """The period that these parameters name: the newest that is over, or the one that contains the day `of`.

    Raises ValidationException naming the parameter.
    """
    if unit and unit not in UNITS:
        reject("unit", f"unknown unit {unit[:LONGEST]!r}; it is one of: {', '.join(UNITS)}")
    chosen: CalendarUnit = "month" if unit == "month" else "week"
    day = parse_day("of", of)
    if day is None:
        return newest_complete(chosen, today)
    if not _EARLIEST <= day <= _LATEST:
        reject("of", f"{day} is outside of the calendar")
    return period_of(chosen, day)


_EARLIEST, _LATEST = date(1900, 1, 1), date(9000, 1, 1)  # a period and the one before have to exist


def address(period: Period, level: str, setup: Setup) -> str:
    """The address of the report of a period."""
    by = "" if level == default_level(setup) else level
    given = {"unit": period.unit, "of": str(period.first), "by": by}
    return "/report?" + urlencode({name: value for name, value in given.items() if value})
