"""What stands in each part of the dashboard: figures put into words, cells and rows. Nothing here reads or draws."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Literal, NamedTuple

from markupsafe import Markup

from pipeline.domain.detection.baseline import NULL_MIN_PAIRS
from pipeline.domain.orders.order import Order
from pipeline.domain.reports.alerts import Alert
from pipeline.domain.reports.figures import ENOUGH_PAIRS, Compared, Figures
from pipeline.domain.reports.scenario_nps import Figure
from pipeline.notifiers.wording import sentences
from pipeline.store.reads.pages import StoredAnswer
from pipeline.store.reads.reports import NullState
from pipeline.web.internal.dashboard import charts
from pipeline.web.internal.dashboard.charts import Axis, Mark
from pipeline.web.internal.orders import words

Show = Callable[[float], str]


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


def lived(compared: Compared | None) -> Cell:
    """What customers lived, in percent."""
    return _cell(compared.experienced if compared else None, _bare, "%")


def gap(compared: Compared | None) -> Cell:
    """Claimed minus experienced, in points."""
    return _cell(compared.gap if compared else None, _signed)


def headline(fleet: Figures) -> str:
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


def facts(fleet: Figures) -> list[tuple[str, Cell, str, str]]:
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
        found.append(("Experienced in full", lived(fleet.compared_in_full), of, meaning))
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


def segment_table(segments: Mapping[str, Figures], named: Sequence[str]) -> SegmentTable | None:
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
        gap(figures.compared),
        figures.on_time.n if told else row.answered_claimed_on_time,
        _cell(row.mean_score, lambda score: f"{score:.2f}"),
        _cell(row.nps, _whole),
        alerts,
    )


# --- alerts, funnel, words ----------------------------------------------------------------------------------


def is_open(alert: Alert) -> bool:
    """Whether somebody should act on it."""
    return alert.state == "open" and alert.kind == "divergence"


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
        is_open,
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


def alert_groups(alerts: Sequence[Alert]) -> list[AlertGroup]:
    """The alerts by what they mean, the most urgent first."""
    groups = []
    for title, tone, meaning, belongs in _GROUPS:
        chosen = sorted(filter(belongs, alerts), key=lambda alert: alert.opened_at, reverse=True)
        if chosen:
            groups.append(AlertGroup(title, tone, meaning, chosen, tone == "calm"))
    return groups


def funnel(fleet: Figures) -> list[Step]:
    """From the orders completed to those answered, with every loss on the way."""
    coverage = fleet.coverage
    whole = max(coverage.completed, 1)

    def step(name: str, orders: int, meaning: str, lost: bool = False) -> Step:
        return Step(name, orders, min(orders / whole, 1.0), lost, meaning)

    pending = step(
        "still under way", coverage.pending, "not delivered or missed yet, or the question is going out", True
    )
    reasons = [
        step(words.plain_word(loss.reason), loss.orders, words.why_not(loss.reason), True) for loss in coverage.losses
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


def voice(answer: StoredAnswer, order: Order | None) -> Voice:
    """An answer's words beside the claim."""
    known = order is not None and order.facts.known
    account = order.facts.latest.account if order is not None and known else None
    claim = (order.dialogue.claim_when_asked() or order.dialogue.claim) if order is not None else None
    late = answer.arrival in ("late", "not_received")
    lacking = answer.complete is False or bool(answer.condition.replace("papers_missing", "").strip(","))
    contradicts = claim is not None and ((bool(claim.on_time) and late) or (bool(claim.in_full) and lacking))
    return Voice(
        answer,
        words.score_in_words(answer),
        words.mood(answer),
        words.answer_in_words(answer),
        "nothing known" if claim is None else words.claim_in_words(claim),
        contradicts,
        (account.name or account.id) if account else None,
    )


def honest(null: NullState) -> str:
    """What counts as honest for a signal now, or what is missing to know."""
    if null.delta is None:
        so_far = f"{min(null.pairs, NULL_MIN_PAIRS)} of {NULL_MIN_PAIRS} answers in 90 days"
        return f"{so_far}: too few to know what is usual, so no evidence and no alerts yet."
    month = "" if null.month is None else " in " + sentences.day(date.fromisoformat(f"{null.month}-01"))[2:]
    return f"up to {sentences.percent(null.delta)} contradiction counts as honest{month}."
