"""The pages for people: the dashboard, and every order's own page. Plain HTML that needs no script to be read."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, timedelta
from functools import lru_cache
from http import HTTPStatus
from threading import Lock
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import MediaType, Response, get
from litestar.exceptions import ValidationException
from litestar.params import FromPath, FromQuery, QueryParameter
from markupsafe import Markup
from sqlalchemy import Connection

from pipeline.consumers.runner import clock_of
from pipeline.domain.counts import Counts
from pipeline.domain.diagnosis import diagnose
from pipeline.domain.divergence import NULL_MIN_PAIRS
from pipeline.domain.figures import ENOUGH_PAIRS, Alert, Compared, Figures, figures_of
from pipeline.domain.orders import Order
from pipeline.domain.scores import Figure
from pipeline.notifiers import sentences
from pipeline.store import pages, reports
from pipeline.store.engine import reading
from pipeline.store.pages import StoredAnswer
from pipeline.store.reports import NullState
from pipeline.web import assets, charts, timeline
from pipeline.web.charts import Axis, Mark
from pipeline.web.choice import LONGEST, Choice, choose, levels, usual_level
from pipeline.web.read_api import find_order
from pipeline.web.services import Services

VERBATIMS = 12
_KEPT = 32  # rendered dashboards: one per level and time that somebody looks at
_STABLE_IN_A_PATH = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")

Show = Callable[[float], str]
Page = Response[str]


class Cell(NamedTuple):
    """A figure as it is read: its point, its range, and why there is none."""

    value: str
    low: str = ""
    high: str = ""
    missing: str = ""


class SegmentRow(NamedTuple):
    """One segment beside the others. `alerts`: its open divergences."""

    name: str
    strip: Markup
    claimed: str
    lived: Cell
    gap: Cell
    answers: int
    score: Cell
    nps: Cell
    alerts: int


class SegmentTable(NamedTuple):
    """The segments of a level, the worst first. `told`: customers told when the goods came; else who was unhappy."""

    told: bool
    scale: Markup
    rows: list[SegmentRow]


class Step(NamedTuple):
    """One step of the funnel, or what is lost before the next."""

    name: str
    orders: int
    part: float
    lost: bool
    meaning: str


class Voice(NamedTuple):
    """What a customer wrote, and what was claimed of the same order."""

    said: StoredAnswer
    score: str | None
    mood: Literal["unhappy", "neutral", "happy"]
    experience: str
    claim: str
    contradicts: bool
    account: str | None


class AlertGroup(NamedTuple):
    """Alerts that mean the same for whoever reads them."""

    title: str
    tone: Literal["bad", "warn", "calm"]
    meaning: str
    alerts: list[Alert]
    folded: bool = False


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
    """The dashboards rendered last. A page is its choice, the version and the day: read once for everybody."""

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
        version, clock = pages.version(connection), clock_of(connection)
        return kept.get(
            (choice, version, clock.date()), lambda: _draw(services, choice, connection, version, clock.date())
        )


def _draw(services: Services, choice: Choice, connection: Connection, version: pages.Version, today: date) -> str:
    segments = choice.segments(connection)
    alerts = reports.alerts(connection, today)
    fleet = _figures(choice.fleet(connection))
    findings = diagnose(choice.by or "", segments, alerts)
    said = pages.verbatims(connection, VERBATIMS)
    about = pages.load_orders(connection, [answer.order_id for answer in said])
    named = [alert.value for alert in alerts if alert.dimension == choice.by and _GROUPS[0].belongs(alert)]
    table = _segments({value: _figures(counts) for value, counts in segments.items()}, named)
    nulls = reports.nulls(connection)
    return _render(
        "dashboard.html.j2",
        version=version,
        today=today,
        choice=choice,
        levels=levels(services.setup),
        presets=_presets(choice, today),
        fleet=fleet,
        headline=_headline(fleet),
        lived=_lived(fleet.compared),
        gap=_gap(fleet.compared),
        facts=_facts(fleet),
        table=table,
        groups=_groups(alerts),
        opening=sentences.conclude(choice.by or "", findings),
        findings=[(finding, sentences.explain(finding)) for finding in findings],
        funnel=_funnel(fleet),
        voices=[_voice(answer, about.get(answer.order_id)) for answer in said],
        nulls=[(null, _null(null)) for null in nulls],
    )


def _figures(counts: Counts) -> Figures:
    return _figures_of(frozenset(counts.items()))


@lru_cache(maxsize=1_024)
def _figures_of(counts: frozenset[tuple[str, int]]) -> Figures:
    """Intervals are half of a page's cost, and one answer changes those of a few segments only."""
    return figures_of(dict(counts))


# --- figures in words ---------------------------------------------------------------------------------------


def _cell(figure: Figure | None, show: Show, unit: str = "") -> Cell:
    """The figure with its range; below ten answers no point is shown, because it would say more about who answered."""
    if figure is None:
        return Cell("", missing="no answers yet")
    if figure.n < ENOUGH_PAIRS:
        return Cell("", missing=f"not enough answers yet ({figure.n} of {ENOUGH_PAIRS})")
    return Cell(show(figure.value) + unit, show(figure.low), show(figure.high))


def _bare(rate: float) -> str:
    return f"{100 * rate:.1f}"


def _signed(rate: float) -> str:
    return f"{100 * rate:+.1f}".replace("-", "−") if abs(rate) >= 0.0005 else "0.0"


def _whole(value: float) -> str:
    return f"{round(value):d}".replace("-", "−")


def _lived(compared: Compared | None) -> Cell:
    return _cell(compared.experienced if compared else None, _bare, "%")


def _gap(compared: Compared | None) -> Cell:
    return _cell(compared.gap if compared else None, _signed)


def _headline(fleet: Figures) -> str:
    """The whole story in a sentence or two."""
    claim, compared = fleet.claims[1], fleet.compared
    if claim.share is None:
        return "No delivery with a promise was reported in this time, so there is nothing to compare yet."
    claimed = f"Operations reports {sentences.percent(claim.share)} of deliveries on time."
    if compared is None or compared.experienced.n < ENOUGH_PAIRS:
        return f"{claimed} What customers say is not known yet: there are {fleet.on_time.n} of {ENOUGH_PAIRS} answers."
    lived, gap = compared.experienced, compared.gap
    if gap.low > 0:
        verdict = f"At least {sentences.points(gap.low)} of that claim are not what they lived."
    elif gap.high < 0:
        verdict = "It went better than reported."
    else:
        verdict = "That is no proof of a difference: it may still be chance."
    return f"{claimed} Customers of the same deliveries say {sentences.percent(lived.value)}. {verdict}"


def _facts(fleet: Figures) -> list[tuple[str, Cell, str, str]]:
    """Further figures: name, value, what it rests on, what it means."""
    row, signs = fleet.row, fleet.signs
    found: list[tuple[str, Cell, str, str]] = []
    in_full = fleet.claims[3]
    if in_full.share is not None:
        of = f"{in_full.stated:,} deliveries"
        meaning = "Every line of the order came whole, by operations' own count."
        found.append(("Claimed in full", Cell(sentences.percent(in_full.share)), of, meaning))
    if fleet.compared_in_full is not None:
        meaning = "Complete, undamaged and the right goods, by what customers say, weighed up to all deliveries."
        of = f"{fleet.in_full.n:,} answered orders"
        found.append(("Experienced in full", _lived(fleet.compared_in_full), of, meaning))
    if fleet.perfect is not None:
        meaning = "In full, on time for the customer's own date, papers and condition right: all four."
        found.append(("Perfect orders", _cell(fleet.perfect, _bare, "%"), f"{fleet.perfect.n:,} orders", meaning))
    if fleet.unhappy is not None:
        meaning = "Claimed on time, and still scored like an unhappy customer's: 0–6 of 10, 1–2 of 5."
        of = f"{row.claimed_on_time_but_detractor:,} of {fleet.unhappy.n:,} answered"
        found.append(("Unhappy, though claimed on time", _cell(fleet.unhappy, _bare, "%"), of, meaning))
    if row.nps is not None:
        meaning = "Share of happy customers (9–10) minus share of unhappy ones (0–6), in points from −100 to 100."
        found.append(("Scenario NPS", _cell(row.nps, _whole), f"{row.nps.n:,} scores", meaning))
    if signs.rescue is not None:
        meaning = "Late by the first promise, moved after it was missed, and counted as on time by the new one."
        found.append(
            (
                "Promises moved once missed",
                _cell(signs.rescue, _bare, "%"),
                f"{signs.rescue.n:,} late at first",
                meaning,
            )
        )
    return found


# --- segments -----------------------------------------------------------------------------------------------


def _segments(segments: Mapping[str, Figures], named: Sequence[str]) -> SegmentTable | None:
    """The table of a level; `named` are the segments of its open divergences, one for each."""
    told = any(figures.compared for figures in segments.values())
    if not told and not any(figures.claims[1].stated for figures in segments.values()):
        return None
    marks = {value: _mark(figures, told) for value, figures in segments.items()}
    axis = charts.axis_of(marks.values(), 0.1 if told else 0.05, (0.0, 1.0))
    rows = [
        _row(value, segments[value], marks[value], axis, told, named.count(value))
        for value in _worst_first(segments, told)
    ]
    return SegmentTable(told, charts.scale(axis), rows)


def _shown(figures: Figures, told: bool) -> Figure | None:
    """The figure on the strip: the experience, or who was unhappy where nobody told when the goods came."""
    if not told:
        return figures.unhappy
    return figures.compared.experienced if figures.compared else None


def _mark(figures: Figures, told: bool) -> Mark:
    shown, claimed = _shown(figures, told), figures.claims[1].share if told else None
    if shown is None or shown.n < ENOUGH_PAIRS:
        return Mark(claimed)
    return Mark(claimed, shown.value, shown.low, shown.high)


def _worst_first(segments: Mapping[str, Figures], told: bool) -> list[str]:
    """The segments by their gap (or unhappiness); those of which too little is known come last, by name."""

    def rank(value: str) -> tuple[bool, float, str]:
        figures = segments[value]
        figure = (figures.compared.gap if figures.compared else None) if told else figures.unhappy
        known = figure is not None and figure.n >= ENOUGH_PAIRS
        return not known, -figure.value if known and figure else 0.0, value

    return sorted(segments, key=rank)


def _row(value: str, figures: Figures, mark: Mark, axis: Axis, told: bool, alerts: int) -> SegmentRow:
    share, row = figures.claims[1].share, figures.row
    claimed = "–" if share is None else sentences.percent(share)
    lived = _cell(_shown(figures, told), _bare, "%")
    said = f"{lived.value} (between {lived.low}% and {lived.high}%)" if lived.value else lived.missing
    title = f"claimed {claimed}, {'experienced' if told else 'unhappy'} {said}"
    return SegmentRow(
        value,
        charts.strip(mark, axis, title),
        claimed,
        lived,
        _gap(figures.compared),
        figures.on_time.n if told else row.answered_claimed_on_time,
        _cell(row.mean_score, lambda score: f"{score:.2f}"),
        _cell(row.nps, _whole),
        alerts,
    )


# --- alerts, funnel, words ----------------------------------------------------------------------------------


class _Group(NamedTuple):
    title: str
    tone: Literal["bad", "warn", "calm"]
    meaning: str
    belongs: Callable[[Alert], bool]


_GROUPS = (
    _Group(
        "Open",
        "bad",
        "The claim is shown not to hold. Somebody should act on the cases behind it.",
        lambda alert: alert.state == "open" and alert.kind == "divergence",
    ),
    _Group(
        "Shown, nobody is paged",
        "warn",
        "Something is there, but it is one customer's dispute, or less than anybody should be called for.",
        lambda alert: alert.state == "open" and alert.kind != "divergence",
    ),
    _Group(
        "Unverified",
        "warn",
        "No answers come any more. Silence does not close an alert.",
        lambda alert: alert.state == "unverified",
    ),
    _Group("Over", "calm", "Later answers speak for the claim again.", lambda alert: alert.state == "resolved"),
)


def _groups(alerts: Sequence[Alert]) -> list[AlertGroup]:
    groups = []
    for title, tone, meaning, belongs in _GROUPS:
        chosen = sorted(filter(belongs, alerts), key=lambda alert: alert.opened_at, reverse=True)
        if chosen:
            groups.append(AlertGroup(title, tone, meaning, chosen, tone == "calm"))
    return groups


def _funnel(fleet: Figures) -> list[Step]:
    coverage = fleet.coverage
    whole = max(coverage.completed, 1)

    def step(name: str, orders: int, meaning: str, lost: bool = False) -> Step:
        return Step(name, orders, min(orders / whole, 1.0), lost, meaning)

    pending = step(
        "still under way", coverage.pending, "not delivered or missed yet, or the question is going out", True
    )
    reasons = [
        step(timeline.plain_word(loss.reason), loss.orders, timeline.why_not(loss.reason), True)
        for loss in coverage.losses
    ]
    steps = [
        step("Completed", coverage.completed, "orders that operations reported as fulfilled"),
        *([pending] if coverage.pending else []),
        step("Contactable", coverage.contactable, "somebody could have been asked"),
        *reasons,
        step("Asked", coverage.asked, "a question went out to somebody"),
        step("no answer", coverage.not_answered, "asked, and silent so far", True),
        step("Answered", coverage.answered, "somebody answered"),
    ]
    return [one for one in steps if one.orders or not one.lost]


def _voice(answer: StoredAnswer, order: Order | None) -> Voice:
    known = order is not None and order.facts.known
    account = order.facts.latest.account if order is not None and known else None
    claim = (order.dialogue.claim_when_asked() or order.dialogue.claim) if order is not None else None
    late = answer.arrival in ("late", "not_received")
    lacking = answer.complete is False or bool(answer.condition.replace("papers_missing", "").strip(","))
    contradicts = claim is not None and ((bool(claim.on_time) and late) or (bool(claim.in_full) and lacking))
    return Voice(
        answer,
        timeline.score_in_words(answer),
        timeline.mood(answer),
        timeline.answer_in_words(answer),
        "nothing known" if claim is None else timeline.claim_in_words(claim),
        contradicts,
        (account.name or account.id) if account else None,
    )


def _null(null: NullState) -> str:
    """What counts as honest for a signal now, or what is missing to know."""
    if null.delta is None:
        so_far = f"{min(null.pairs, NULL_MIN_PAIRS)} of {NULL_MIN_PAIRS} answers in 90 days"
        return f"{so_far}: too few to know what is usual, so no evidence and no alerts yet."
    month = "" if null.month is None else " in " + sentences.day(date.fromisoformat(f"{null.month}-01"))[2:]
    return f"up to {sentences.percent(null.delta)} contradiction counts as honest{month}."


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
    where = timeline.zone_of(found.timezone)
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
    "moment": timeline.moment,
    "word": timeline.plain_word,
    "order_address": order_address,
}
_environment.globals |= {"asset": assets.asset, "utc": UTC, "ENOUGH": ENOUGH_PAIRS}


def _render(template: str, **values: object) -> str:
    return _environment.get_template(template).render(**values)
