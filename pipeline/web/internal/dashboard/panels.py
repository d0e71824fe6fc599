"""The values of each dashboard panel: figures as words, cells and rows. Pure: nothing here reads the database."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Literal, NamedTuple

from markupsafe import Markup

from pipeline.domain.access.scopes import ACCOUNT, Scope
from pipeline.domain.detection.baseline import BASELINE_MIN_PAIRS
from pipeline.domain.detection.levels import LevelUse
from pipeline.domain.detection.pairs import EXPERIENCE, IN_FULL, ON_TIME, experience_of, observations
from pipeline.domain.detection.segments import Segment
from pipeline.domain.orders.claims import Claim
from pipeline.domain.orders.order import Order
from pipeline.domain.reports import alerts
from pipeline.domain.reports.alerts import Alert
from pipeline.domain.reports.figures import ENOUGH_PAIRS, Compared, Figures
from pipeline.domain.reports.ranking import Axis, Mark, axis_of, mark_of, worst_first
from pipeline.domain.reports.scenario_nps import Figure
from pipeline.domain.setup import Setup
from pipeline.notifiers.wording import sentences
from pipeline.store.reads.answers import StoredAnswer
from pipeline.store.reads.baselines import BaselineState
from pipeline.web.internal import words
from pipeline.web.internal.dashboard import charts
from pipeline.web.internal.orders.behind import PAIRS, Behind

MOST_SEGMENTS = 20
Show = Callable[[float], str]


class Cell(NamedTuple):
    """A figure as the page shows it: its point and range, or why there is none."""

    value: str
    low: str = ""
    high: str = ""
    missing: str = ""


class SegmentRow(NamedTuple):
    """One segment of the table. `alerts`: the number of its open divergences.

    `orders`, `answered`: the addresses of its orders and of those behind `answers`.
    """

    name: str
    strip: Markup
    claimed: str
    experienced: Cell
    gap: Cell
    answers: int
    score: Cell
    nps: Cell
    alerts: int
    orders: str = ""
    answered: str = ""


class SegmentTable(NamedTuple):
    """The segments of a level, worst first.

    `by_arrival`: rows show the experienced on-time share. Without any stated arrival they show unhappy customers.
    `total`: how many segments the level has; the page of segments lists those that are not among the rows.
    """

    by_arrival: bool
    scale: Markup
    rows: list[SegmentRow]
    total: int


class Step(NamedTuple):
    """One step of the survey funnel, or the orders lost before the next step. `behind`: the address of its orders."""

    name: str
    orders: int
    part: float
    lost: bool
    meaning: str
    behind: str = ""


class Fact(NamedTuple):
    """A further figure: name, value, sample size, meaning, and the address of the orders of the sample."""

    name: str
    value: Cell
    of: str
    meaning: str
    behind: str = ""


class CommentCard(NamedTuple):
    """A customer's comment and the claim about the same order."""

    answer: StoredAnswer
    score: str | None
    mood: Literal["unhappy", "neutral", "happy"]
    experience: str
    claim: str
    contradicts: bool
    account: str | None


class AlertGroup(NamedTuple):
    """Alerts that ask for the same reaction."""

    title: str
    tone: Literal["bad", "warn", "calm"]
    meaning: str
    alerts: list[Alert]
    folded: bool = False


# --- figures in words ---------------------------------------------------------------------------------------


def _cell(figure: Figure | None, show: Show, unit: str = "") -> Cell:
    """The figure with its range. No point below `ENOUGH_PAIRS` answers: it would depend more on who answered."""
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


def experienced(compared: Compared | None) -> Cell:
    """The experienced share, in percent."""
    return _cell(compared.experienced if compared else None, _bare, "%")


def gap(compared: Compared | None) -> Cell:
    """Claimed minus experienced, in points."""
    return _cell(compared.gap if compared else None, _signed)


def share_cell(figure: Figure) -> Cell:
    """A share with its range, in percent."""
    return _cell(figure, _bare, "%")


def why_no_figures(scope: Scope, levels: Sequence[str]) -> str | None:
    """Why nothing that these levels count is in a scope, in two sentences; None: something is, or may be later."""
    entries = scope.entries or ()
    names = {entry.dimension for entry in entries}
    if scope.is_everything or names & {part for level in levels for part in level.split("+")}:
        return None
    counted = " and ".join(filter(None, (", ".join(levels[:-1]), levels[-1])))
    if names == {ACCOUNT}:
        theirs = f"{'account' if len(entries) == 1 else 'accounts'} {', '.join(entry.value for entry in entries)}"
        return f"You see the orders of {theirs}. Figures and alerts are counted by {counted}, not by account."
    return (
        f"You see the orders of {', '.join(scope.texts()) or 'nothing'}. Figures and alerts are counted by {counted}."
    )


def headline(fleet: Figures, scope: Scope) -> str:
    """The main result in two or three sentences, for whoever has that scope."""
    claim, compared = fleet.claims[1], fleet.compared
    if not scope.is_everything and scope.parts is None:
        return (
            "Your scope names segments of several levels. They may share orders, so each has figures of its own only."
        )
    if claim.share is None:
        return "No delivery with a promise was reported in this period, so there is nothing to compare yet."
    claimed = f"Operations reports {sentences.percent(claim.share)} of deliveries on time."
    if compared is None or compared.experienced.n < ENOUGH_PAIRS:
        return f"{claimed} Too few customers have answered to compare: {fleet.on_time.n} of {ENOUGH_PAIRS} answers."
    experienced, gap = compared.experienced, compared.gap
    if gap.low > 0:
        verdict = f"Customers' experience is at least {sentences.points(gap.low)} worse than reported."
    elif gap.high < 0:
        verdict = f"Customers' experience is at least {sentences.points(-gap.high)} better than reported."
    else:
        verdict = "The difference may be chance."
    return f"{claimed} Customers of the same deliveries report {sentences.percent(experienced.value)}. {verdict}"


def facts(fleet: Figures, behind: Behind) -> list[Fact]:
    """Further figures."""
    row, signs = fleet.row, fleet.signs
    found: list[Fact] = []
    in_full = fleet.claims[3]
    if in_full.share is not None:
        of = f"{in_full.stated:,} deliveries"
        meaning = "Every line of the order was delivered completely, according to operations."
        orders = behind.counted("in_full:stated")
        found.append(Fact("Claimed in full", Cell(sentences.percent(in_full.share)), of, meaning, orders))
    if fleet.compared_in_full is not None:
        meaning = (
            "Complete, undamaged and the right goods, according to customers, weighted to represent all deliveries."
        )
        of = f"{fleet.in_full.n:,} answered orders"
        orders = behind.counted("in_full:11", "in_full:10", "in_full:01", "in_full:00")
        found.append(Fact("Experienced in full", experienced(fleet.compared_in_full), of, meaning, orders))
    if fleet.perfect is not None:
        meaning = "All four: in full, on time by the customer's requested date, papers complete, goods undamaged."
        of, orders = f"{fleet.perfect.n:,} orders", behind.counted("perfect:stated")
        found.append(Fact("Perfect orders", _cell(fleet.perfect, _bare, "%"), of, meaning, orders))
    if fleet.unhappy is not None:
        meaning = "Claimed on time, but scored 0–6 of 10 or 1–2 of 5."
        of = f"{row.claimed_on_time_but_detractor:,} of {fleet.unhappy.n:,} with a score"
        orders = behind.counted("on_time:detractor")
        found.append(Fact("Unhappy although claimed on time", _cell(fleet.unhappy, _bare, "%"), of, meaning, orders))
    if row.nps is not None:
        meaning = "Share of happy customers (9–10) minus share of unhappy customers (0–6), in points from −100 to 100."
        found.append(Fact("Scenario NPS", _cell(row.nps, _whole), f"{row.nps.n:,} scores", meaning))
    if signs.rescue is not None:
        meaning = "Orders that missed their first promise, got a new promise afterwards, and count as on time by it."
        of, orders = f"{signs.rescue.n:,} orders that missed their first promise", behind.counted("missed_first")
        title = "Promises moved after they were missed"
        found.append(Fact(title, _cell(signs.rescue, _bare, "%"), of, meaning, orders))
    return found


# --- segments -----------------------------------------------------------------------------------------------


def segment_table(
    level: str, segments: Mapping[str, Figures], alerted: Sequence[str], behind: Behind
) -> SegmentTable | None:
    """The table of the worst segments of a level, or None if no claim is known.

    `alerted`: the segment of each open divergence.
    """
    by_arrival = any(figures.compared for figures in segments.values())
    if not by_arrival and not any(figures.claims[1].stated for figures in segments.values()):
        return None
    shown = worst_first(segments, _gap if by_arrival else _unhappy)[:MOST_SEGMENTS]
    marks = {
        value: mark_of(_shown(segments[value], by_arrival), segments[value].claims[1].share if by_arrival else None)
        for value in shown
    }
    axis = axis_of(marks.values(), 0.1 if by_arrival else 0.05, (0.0, 1.0))
    rows = [
        _row(value, segments[value], marks[value], axis, by_arrival, alerted.count(value))._replace(
            orders=behind.within(Segment(level, value)).all(),
            answered=behind.within(Segment(level, value)).counted(*(PAIRS if by_arrival else ("on_time:scored",))),
        )
        for value in shown
    ]
    return SegmentTable(by_arrival, charts.scale(axis), rows, len(segments))


def _shown(figures: Figures, by_arrival: bool) -> Figure | None:
    """The figure on the strip: the experienced share, or the share of unhappy customers."""
    if not by_arrival:
        return figures.unhappy
    return figures.compared.experienced if figures.compared else None


def _gap(figures: Figures) -> Figure | None:
    return figures.compared.gap if figures.compared else None


def _unhappy(figures: Figures) -> Figure | None:
    return figures.unhappy


def _row(value: str, figures: Figures, mark: Mark, axis: Axis, by_arrival: bool, alerts: int) -> SegmentRow:
    share, row = figures.claims[1].share, figures.row
    claimed = "–" if share is None else sentences.percent(share)
    shown = _cell(_shown(figures, by_arrival), _bare, "%")
    in_words = f"{shown.value} (between {shown.low}% and {shown.high}%)" if shown.value else shown.missing
    title = f"claimed {claimed}, {'experienced' if by_arrival else 'unhappy'} {in_words}"
    return SegmentRow(
        value,
        charts.strip(mark, axis, title),
        claimed,
        shown,
        gap(figures.compared),
        figures.on_time.n if by_arrival else figures.unhappy.n if figures.unhappy else 0,
        _cell(row.mean_score, lambda score: f"{score:.2f}"),
        _cell(row.nps, _whole),
        alerts,
    )


# --- alerts, funnel, comments ----------------------------------------------------------------------------------


class _GroupTexts(NamedTuple):
    title: str
    tone: Literal["bad", "warn", "calm"]
    meaning: str


_GROUP_TEXTS: Mapping[alerts.AlertGroup, _GroupTexts] = {
    "open": _GroupTexts("Open", "bad", "The answers contradict the claim. Check the supporting orders and act."),
    "information": _GroupTexts(
        "For information (no notification)",
        "warn",
        "The answers contradict the claim, but from one customer or on one day only, or too weakly to act on.",
    ),
    "unverified": _GroupTexts(
        "Unverified", "warn", "No new answers arrive. An alert stays until answers confirm the claim again."
    ),
    "resolved": _GroupTexts("Resolved", "calm", "Later answers confirm the claim again."),
}


def alert_groups(found: Sequence[Alert]) -> list[AlertGroup]:
    """The alerts in groups, the most urgent group first, the newest alert first. Resolved alerts are folded."""
    newest_first = sorted(found, key=lambda alert: alert.opened_at, reverse=True)
    return [
        AlertGroup(*_GROUP_TEXTS[group], members, folded=group == "resolved")
        for group, members in alerts.grouped(newest_first)
    ]


def funnel(fleet: Figures, behind: Behind) -> list[Step]:
    """The steps from completed orders to understood replies, and the orders lost before each step."""
    coverage = fleet.coverage
    whole = max(coverage.completed, 1)

    def step(name: str, orders: int, meaning: str, counter: str, lost: bool = False) -> Step:
        return Step(name, orders, min(orders / whole, 1.0), lost, meaning, behind.counted(counter))

    pending = step(
        "in progress",
        coverage.pending,
        "not delivered and not overdue yet, or the question is being sent",
        "pending",
        True,
    )
    reasons = [
        step(words.plain_word(loss.reason), loss.orders, words.why_not(loss.reason), "", True)._replace(
            behind=behind.not_asked(loss.reason)
        )
        for loss in coverage.losses
    ]
    by_code = step(
        "by code",
        coverage.qr_answers,
        "answers by the code on a delivery note, from whoever scanned it: in no other figure",
        "qr_answers",
        True,
    )
    steps = [
        step("Completed", coverage.completed, "orders that operations reported as completed", "completed"),
        *([pending] if coverage.pending else []),
        step("Contactable", coverage.contactable, "the order names a person who could be asked", "contactable"),
        *reasons,
        step("Asked", coverage.asked, "a question was sent", "asked"),
        step("no answer", coverage.not_answered, "asked, but no answer yet", "not_answered", True),
        step("Replied", coverage.replied, "at least one person replied", "answered"),
        step(
            "not yet read", coverage.unread, "replied in words that state nothing codable: in the inbox", "unread", True
        ),
        step(
            "nothing to code",
            coverage.nothing_to_code,
            "a person has read that nothing can be counted",
            "nothing_to_code",
            True,
        ),
        step(
            "Understood", coverage.understood, "a reply states something that can be compared or counted", "understood"
        ),
        by_code,
    ]
    return [one for one in steps if one.orders or not one.lost]


def comment_card(answer: StoredAnswer, order: Order | None) -> CommentCard:
    """A comment with the claim about its order; `order` is None if only the answer is known."""
    known = order is not None and order.facts.known
    account = order.facts.latest.account if order is not None and known else None
    claim = (order.dialogue.claim_when_asked() or order.dialogue.claim) if order is not None else None
    return CommentCard(
        answer,
        words.score_in_words(answer.score),
        words.mood(answer.score),
        words.experience_in_words(answer.statement),
        "unknown" if claim is None else words.claim_in_words(claim),
        claim is not None and _contradicts(answer, claim),
        (account.name or account.id) if account else None,
    )


def _contradicts(answer: StoredAnswer, claim: Claim) -> bool:
    """Whether this answer alone contradicts what the claim says about time or goods."""
    contradictions = observations(claim, experience_of([answer]))
    return any(contradictions.get(signal, 0) >= 0.5 for signal in (ON_TIME, IN_FULL))


def exceeded(use: LevelUse, setup: Setup) -> str:
    """Which promise does not hold for a level that has more segments than its capacity, and what to do."""
    share = setup.alerts_a_year / len(setup.levels)
    bound = use.false_alerts_a_year(len(setup.levels), setup.alerts_a_year)
    return (
        f"The level {use.level} is configured for {use.capacity:,} segments and has {use.segments:,}. "
        f"Its false alerts may reach {bound:.2g} a year for each signal instead of {share:.2g}. "
        f"To correct that: unvarnished levels add {use.suggestion.name}:{use.suggestion.capacity}"
    )


def tolerance(null: BaselineState) -> str:
    """How many contradictions honest mistakes explain for a signal, or what is missing to know it."""
    if null.delta is None:
        so_far = f"{min(null.pairs, BASELINE_MIN_PAIRS)} of {BASELINE_MIN_PAIRS} answers in 90 days"
        return f"{so_far}: too few to set a tolerance, so no alert can open yet."
    month = "" if null.month is None else " in " + sentences.day(date.fromisoformat(f"{null.month}-01"))[2:]
    if null.signal == EXPERIENCE:
        return f"up to {sentences.percent(null.delta)} unhappy customers are usual{month}."
    return f"honest mistakes would explain at most {sentences.percent(null.delta)}{month}."
