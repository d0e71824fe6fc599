"""The pages for people: the dashboard, and every order's own page. Plain HTML that needs no script to be read."""

from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from http import HTTPStatus
from threading import Lock
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import MediaType, Response, get
from litestar.exceptions import ValidationException
from litestar.params import FromPath, FromQuery, QueryParameter
from sqlalchemy import Connection

from pipeline.consumers.runtime.embedded import clock_of
from pipeline.domain.reports.counts import Counts
from pipeline.domain.reports.diagnosis import diagnose
from pipeline.domain.reports.figures import ENOUGH_PAIRS, Figures, figures_of
from pipeline.notifiers.wording import sentences
from pipeline.store.db.engine import reading
from pipeline.store.reads import pages, reports
from pipeline.web.http import assets
from pipeline.web.http.services import Services
from pipeline.web.internal.api.filters import LONGEST, Choice, choose, levels, usual_level
from pipeline.web.internal.api.read import find_order
from pipeline.web.internal.dashboard import panels
from pipeline.web.internal.orders import words

VERBATIMS = 12
UNRESOLVED_DAYS = 7  # how long a question that stayed unresolved is shown
_MOST_ORDERS = 10  # that are named of them
_KEPT = 32  # rendered dashboards: one per level and time that somebody looks at
_STABLE_IN_A_PATH = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")

Page = Response[str]


def routes(services: Services) -> list[Any]:
    """The handlers of the pages; what they look like comes from `assets.routes`."""
    kept = _Kept()

    @get("/", media_type=MediaType.HTML, sync_to_thread=True, include_in_schema=False)
    def dashboard(
        by: FromQuery[str | None] = None,
        first: Annotated[str | None, QueryParameter(name="from")] = None,
        last: Annotated[str | None, QueryParameter(name="to")] = None,
    ) -> Page:
        try:
            choice = choose(services.setup, by or usual_level(services.setup), first, last)
        except ValidationException as error:
            return _problem(HTTPStatus.BAD_REQUEST, "That cannot be shown", _complaint(error))
        return _page(_dashboard(services, choice, kept))

    @get("/orders", media_type=MediaType.HTML, sync_to_thread=True, include_in_schema=False)
    def finder(q: FromQuery[str] = "") -> Page:
        order_id = q.strip()
        if not order_id:
            return _page(_render("finder.html.j2"))
        return _order(services, order_id)

    @get("/orders/{order_id:path}", media_type=MediaType.HTML, sync_to_thread=True, include_in_schema=False)
    def order(order_id: FromPath[str]) -> Page:
        return _order(services, order_id.removeprefix("/"))

    return [dashboard, finder, order]


class _Kept:
    """The dashboards rendered last. A page is its choice and the state of things: read once for everybody."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._pages: OrderedDict[tuple[object, ...], str] = OrderedDict()

    def get(self, key: tuple[object, ...], make: Callable[[], str]) -> str:
        with self._lock:  # who comes while it is made waits for it, instead of making it again
            page = self._pages.get(key)
            if page is None:
                page = self._pages[key] = make()
                while len(self._pages) > _KEPT:
                    self._pages.popitem(last=False)
            return page


def _dashboard(services: Services, choice: Choice, kept: _Kept) -> str:
    with reading(services.engine) as connection:
        state = _state(connection)
        return kept.get((choice, state), lambda: _draw(services, choice, connection, state))


class _State(NamedTuple):
    """All that a page depends on beside what was chosen; read by key at every look."""

    version: pages.Version
    today: date
    unresolved: pages.Unresolved


def _state(connection: Connection) -> _State:
    clock = clock_of(connection)
    # Before the first event the clock stands at the beginning of time.
    since = datetime.combine(clock.date(), time.min, UTC) - timedelta(days=UNRESOLVED_DAYS)
    unresolved = pages.unresolved(connection, since, _MOST_ORDERS)
    return _State(pages.version(connection), clock.date(), unresolved)


def _draw(services: Services, choice: Choice, connection: Connection, state: _State) -> str:
    today = state.today
    segments = choice.segments(connection)
    alerts = reports.alerts(connection, today)
    fleet = _figures(choice.fleet(connection))
    findings = diagnose(choice.by or "", segments, alerts)
    said = pages.verbatims(connection, VERBATIMS)
    about = pages.load_orders(connection, [answer.order_id for answer in said])
    named = [alert.value for alert in alerts if alert.dimension == choice.by and panels.is_open(alert)]
    table = panels.segment_table({value: _figures(counts) for value, counts in segments.items()}, named)
    nulls = reports.nulls(connection)
    return _render(
        "dashboard.html.j2",
        **state._asdict(),
        unresolved_days=UNRESOLVED_DAYS,
        choice=choice,
        levels=levels(services.setup),
        presets=_presets(choice, today),
        fleet=fleet,
        headline=panels.headline(fleet),
        lived=panels.lived(fleet.compared),
        gap=panels.gap(fleet.compared),
        facts=panels.facts(fleet),
        table=table,
        groups=panels.alert_groups(alerts),
        opening=sentences.conclude(choice.by or "", findings),
        findings=[(finding, sentences.explain(finding)) for finding in findings],
        funnel=panels.funnel(fleet),
        voices=[panels.voice(answer, about.get(answer.order_id)) for answer in said],
        nulls=[(null, panels.honest(null)) for null in nulls],
    )


def _figures(counts: Counts) -> Figures:
    return _figures_of(frozenset(counts.items()))


@lru_cache(maxsize=1_024)
def _figures_of(counts: frozenset[tuple[str, int]]) -> Figures:
    """Intervals are half of a page's cost, and one answer changes those of a few segments only."""
    return figures_of(dict(counts))


def _presets(choice: Choice, today: date) -> list[tuple[str, str, bool]]:
    """Short ways to a time: name, address, whether it is the one shown."""
    found = []
    for name, days in (("All time", None), ("90 days", 90), ("30 days", 30), ("7 days", 7)):
        first = None if days is None else today - timedelta(days=days - 1)
        wanted = Choice(choice.by, first, None)
        found.append((name, _address(wanted), wanted == choice))
    return found


def _address(choice: Choice) -> str:
    parameters = {"by": choice.by, "from": choice.first, "to": choice.last}
    return "/?" + urlencode({name: value for name, value in parameters.items() if value})


# --- one order, and what all pages share ----------------------------------------------------------------------


def _order(services: Services, order_id: str) -> Page:
    found = find_order(services, order_id) if order_id else None
    if found is None:
        message = f"Nothing was ever heard of an order “{order_id[:LONGEST]}”. Ids are exact, capitals included."
        return _problem(HTTPStatus.NOT_FOUND, "No such order", message, order_id[:LONGEST])
    with reading(services.engine) as connection:
        version = pages.version(connection)
    where = words.zone_of(found.timezone)
    return _page(_render("order.html.j2", order=found, where=where, version=version))


def order_address(order_id: str) -> str:
    """Where an order's page is. An id that a path would bend (slashes, dots, signs) travels as a parameter."""
    if order_id and _STABLE_IN_A_PATH.issuperset(order_id):
        return f"/orders/{order_id}"
    return f"/orders?q={quote(order_id, safe='')}"


def _complaint(error: ValidationException) -> str:
    extra = error.extra
    first = extra[0] if isinstance(extra, list) and extra else {}
    return f"{first.get('key', '')}: {first.get('message', error.detail)}"


def _problem(status: HTTPStatus, title: str, message: str, sought: str = "") -> Page:
    return _page(_render("problem.html.j2", title=title, message=message, sought=sought), status)


def _page(html: str, status: HTTPStatus = HTTPStatus.OK) -> Page:
    return Response(html, status_code=status, media_type=MediaType.HTML)


_environment = Environment(
    loader=PackageLoader("pipeline.web"),
    undefined=StrictUndefined,
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters |= {
    "percent": sentences.percent,
    "day": sentences.day,
    "plain": sentences.plain,
    "headline": sentences.headline,
    "describe": sentences.describe,
    "moment": words.moment,
    "word": words.plain_word,
    "order_address": order_address,
}
_environment.globals |= {"asset": assets.asset, "utc": UTC, "ENOUGH": ENOUGH_PAIRS}


def _render(template: str, **values: object) -> str:
    return _environment.get_template(template).render(**values)
