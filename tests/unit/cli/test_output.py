"""The terminal pages at 80 and 120 columns, with and without Unicode."""

import io
from datetime import date

import pytest
from rich.cells import cell_len
from rich.console import Console

from pipeline.cli.output import show_alerts, show_diagnosis, show_report
from pipeline.cli.output.plots import ASCII, UNICODE, bar, dumbbell, scale_line
from pipeline.domain.reports.diagnosis import diagnose
from pipeline.domain.reports.figures import figures_of
from pipeline.domain.reports.ranking import Mark
from pipeline.store.reads.baselines import BaselineState
from tests.support.statistics.figures_reference import REFERENCE
from tests.support.statistics.findings import alert, fleet

SMALL = {
    "completed": 12,
    "delivered": 12,
    "on_time": 11,
    "on_time:stated": 12,
    "on_time:11": 4,
    "on_time:10": 1,
}
WORSE = REFERENCE | {"on_time:10": 400, "on_time:11": 450}
SCORES = {"score:5:5": 700, "score:5:4": 200, "score:5:1": 100}
DEPOTS = {"Lyon": REFERENCE, "Lille": WORSE, "Nice": SMALL}
# A history of scores: no customer was asked for the time of arrival.
HISTORY = {name: n for name, n in REFERENCE.items() if not name.startswith(("on_time:0", "on_time:1"))} | SCORES


def page(width: int = 80, encoding: str = "utf-8") -> tuple[Console, io.BytesIO]:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    return Console(file=file, width=width, force_terminal=False, color_system=None), raw


def report(segments: dict[str, dict[str, int]], total: dict[str, int], width: int = 80, encoding: str = "utf-8") -> str:
    console, raw = page(width, encoding)
    show_report(console, figures_of(total), "depot", {name: figures_of(counts) for name, counts in segments.items()})
    return raw.getvalue().decode(encoding)


def line_of(text: str, start: str, after: str = "") -> str:
    return next(line for line in text[text.index(after) :].splitlines() if line.startswith(start))


def by_depot(text: str) -> list[str]:
    """The names of the first table of segments, in their order."""
    lines = text[text.index("by depot") :].splitlines()[3:]
    return [line.split()[0] for line in lines if line.split()[:1] and line.split()[0] in DEPOTS][: len(DEPOTS)]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252"])
def test_no_line_is_longer_than_the_terminal_or_contains_control_characters(width: int, encoding: str) -> None:
    odd = {"Saint-Étienne-du-Rouvray Nord 京都": REFERENCE, "bad\x1b[31m[red]x": SMALL, "\ud800": WORSE}
    for total in (REFERENCE | SCORES, HISTORY):
        segments = {name: counts | SCORES for name, counts in odd.items()} if total is not HISTORY else {"ü": HISTORY}
        text = report(segments, total, width, encoding)
        assert "\x1b" not in text
        assert max(cell_len(line) for line in text.splitlines()) <= width


def test_the_figures_of_the_fleet_have_an_interval_and_a_number() -> None:
    text = report({}, REFERENCE | SCORES)
    assert "90.0%" in line_of(text, "Claimed on time")
    assert line_of(text, "Experienced on time").split()[3:6] == ["85.0%", "(81.5–88.2)", "1,000"]
    assert "5.0 (1.8–8.5)" in line_of(text, "  gap, in points")
    assert "4.40" in line_of(text, "Mean score of 5")
    assert "1,000 scores" in line_of(text, "Scenario NPS")


def test_every_loss_of_the_funnel_is_there_with_its_count() -> None:
    text = report({}, REFERENCE)
    assert "300" in line_of(text, "  asked recently")
    assert "200" in line_of(text, "  no consent")
    assert "2,480" in line_of(text, "  no answer")
    assert "100" in line_of(text, "  in progress")


def test_segments_are_sorted_worst_first_and_unknown_last() -> None:
    assert by_depot(report(DEPOTS, REFERENCE)) == ["Lille", "Lyon", "Nice"]


def test_below_ten_pairs_there_is_no_point() -> None:
    text = report(DEPOTS, REFERENCE)
    nice = line_of(text, "Nice", "by depot")
    assert "not enough answers yet" in nice
    assert UNICODE.claimed in nice
    assert UNICODE.experienced not in nice
    assert UNICODE.experienced in line_of(text, "Lille", "by depot")


def test_claimed_and_experienced_are_explained_below_the_table() -> None:
    text = report(DEPOTS, REFERENCE)
    assert "Claimed: share of delivered orders" in text
    assert "Experienced: the same share" in " ".join(text.split())


def test_a_wide_terminal_shows_the_gap_as_a_number() -> None:
    assert "gap, points" in report(DEPOTS, REFERENCE, 120)
    assert "gap, points" not in report(DEPOTS, REFERENCE, 80)


@pytest.mark.parametrize("width", [80, 120])
def test_a_history_of_scores_shows_unhappy_customers_of_punctual_deliveries(width: int) -> None:
    calmer = HISTORY | {"on_time:detractor": 20}
    text = report({"Calm": calmer, "Loud": HISTORY}, HISTORY, width)
    assert "No answer says when the goods arrived." in text
    loud = line_of(text, "Loud", "by depot")
    assert loud.split()[1:5] == ["90.0%", "9.4%", "(6.2–13.5)", "850"]
    assert text.index("\nLoud") < text.index("\nCalm")
    scores = text[text.index("Scores and scenario NPS") :]
    assert "4.40 (4." in line_of(scores, "Calm")
    assert "60 (" in line_of(scores, "Calm")


def test_both_tables_of_pairs_and_every_sign_are_there() -> None:
    full = {
        **REFERENCE,
        **{"in_full": 3_900, "in_full:stated": 4_000, "in_full:11": 900, "in_full:10": 60, "in_full:00": 40},
        **{"perfect": 3_000, "perfect:stated": 4_000, "condition:papers_missing": 7, "condition:damaged": 31},
        **{"missed_first": 600, "rescued": 150, "stated_arrival": 500, "scanned_early": 40},
        **{"risk": 99, "risk:unreachable": 30, "clean": 999, "clean:unreachable": 60, "score:10:3": 20},
    }
    text = report({}, full)
    assert line_of(text, "claimed on time").split()[3:] == ["800", "50"]
    assert line_of(text, "claimed late").split()[2:] == ["5", "145"]
    assert line_of(text, "claimed in full").split()[3:] == ["900", "60"]
    assert "(" in line_of(text, "Experienced in full")
    assert "75.0% (" in line_of(text, "Perfect orders")
    assert "damaged 31, papers missing 7" in line_of(text, "Problems reported by customers")
    assert "25.0% (" in line_of(text, "Promise moved after a miss")
    assert "5.0 points" in line_of(text, "Gain by moved promises")
    assert "8.0% (" in line_of(text, "Arrived long after scan")
    assert "5.0 (3.4–7.4)" in line_of(text, "No contact on problem orders")
    assert line_of(text, "3  ").split() == ["3", "20", "100.0%", UNICODE.bar * 48]


@pytest.mark.parametrize("answers", [{}, {"on_time:11": 9}])
def test_a_fleet_with_too_few_answers_has_no_shares(answers: dict[str, int]) -> None:
    unknown = {name: n for name, n in REFERENCE.items() if not name.startswith("on_time:") or "stated" in name}
    text = report({"Lyon": unknown}, unknown | answers)
    assert "not enough answers yet" in line_of(text, "Experienced on time")
    assert "gap, in points" not in text


def test_an_empty_period_is_reported_as_empty() -> None:
    assert "No order was completed in this period." in report({}, {})


def test_the_share_of_corrected_denials_is_shown_where_there_are_corrections() -> None:
    title = "Denials corrected to agreement by people"
    assert title not in report({}, REFERENCE)
    counts = REFERENCE | {"on_time:10": 30, "on_time:corrected": 10}
    assert line_of(report({}, counts), "on time", title).split()[-1] == "25.0%"


def test_a_signal_without_a_baseline_shows_the_number_of_missing_pairs() -> None:
    console, raw = page()
    baselines = [BaselineState("experience", None, None, None, 143), BaselineState("on_time", "2026-03", 0.05, 1.0, 9)]
    show_report(console, figures_of(REFERENCE), baselines=baselines, period=(date(2026, 1, 1), date(2026, 3, 31)))
    text = raw.getvalue().decode()
    assert "from 1 January 2026 to 31 March 2026" in text
    assert "experience: 143 of 200 pairs in 90 days" in text
    assert "on_time:" not in text


def test_alerts_are_grouped_the_most_urgent_first() -> None:
    console, raw = page(120)
    alerts = [
        alert(value="Ended", state="resolved"),
        alert(value="Watched", kind="watch", severity=None),
        alert(value="Silent", state="unverified"),
        alert(value="Open"),
    ]
    show_alerts(console, alerts)
    text = raw.getvalue().decode()
    positions = [
        text.index(name)
        for name in ("Open (1)", "For information (no notification) (1)", "Unverified (1)", "Resolved (1)")
    ]
    assert positions == sorted(positions)
    names = [text.index(f": depot {name}") for name in ("Open", "Watched", "Silent", "Ended")]
    assert names == sorted(names)


def test_without_alerts_the_report_does_not_call_the_claims_true() -> None:
    console, raw = page()
    show_alerts(console, [])
    assert "None: no segment's answers contradict its claims enough" in raw.getvalue().decode()


def test_the_last_paragraph_names_who_embellishes_and_how() -> None:
    console, raw = page(120)
    show_diagnosis(console, "depot", diagnose("depot", fleet(Lille={"scanned_early": 120}), [alert(signal="early")]))
    text = " ".join(raw.getvalue().decode().split())
    assert 'Depot Lille scans "delivered" early' in text


def test_a_dumbbell_puts_the_marks_where_the_figures_are() -> None:
    line = dumbbell(Mark(claimed=1.0, experienced=0.5, low=0.4, high=0.7), (0.0, 1.0), 11, UNICODE).plain
    assert line == "    ├○─┤  ●"
    assert dumbbell(Mark(0.5, 0.52, 0.1, 1.0), (0.4, 0.9), 6, ASCII).plain == "<@--->"
    assert dumbbell(Mark(), (0.0, 1.0), 4, UNICODE).plain == "    "


def test_the_ends_of_an_axis_are_labelled() -> None:
    assert scale_line("0%", "100%", 10) == "0%    100%"


def test_a_bar_is_proportional_to_its_share_and_visible_above_zero() -> None:
    assert bar(0.5, 10, UNICODE) == "█████"
    assert bar(0.0, 10, UNICODE) == ""
    assert bar(0.0001, 10, UNICODE) == "▏"
    assert bar(0.0001, 10, ASCII) == "#"
    assert bar(7.0, 4, ASCII) == "####"
