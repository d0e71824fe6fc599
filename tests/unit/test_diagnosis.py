"""Who is named, and above all who is not."""

import random
from datetime import UTC, date, datetime
from typing import Any

import pytest

from pipeline.domain.reports.alerts import Alert
from pipeline.domain.reports.diagnosis import Finding, diagnose

HONEST = {
    "on_time": 930,
    "on_time:stated": 1_000,
    "on_time_first": 920,
    "on_time_first:stated": 1_000,
    "stated_arrival": 300,
    "scanned_early": 6,
    "missed_first": 80,
    "rescued": 6,
    "risk": 80,
    "risk:unreachable": 6,
    "clean": 920,
    "clean:unreachable": 50,
}


def alert(**changes: Any) -> Alert:
    known: dict[str, Any] = {
        "alert_id": "on_time/depot/Lille/1",
        "signal": "on_time",
        "dimension": "depot",
        "value": "Lille",
        "kind": "divergence",
        "state": "open",
        "severity": "critical",
        "opened_at": datetime(2026, 3, 20, tzinfo=UTC),
        "resolved_at": None,
        "pairs_before": 200,
        "since": date(2026, 3, 3),
        "run_n": 127,
        "run_rate": 21 / 127,
        "null": 0.05,
        "low": 0.09,
        "high": 0.27,
        "log10_e": 5.01,
        "accounts": 12,
        "breakdown_rho": 2.6,
        "orders": ("SO-1",),
    }
    return Alert(**known | changes)


def fleet(**odd: dict[str, int]) -> dict[str, dict[str, int]]:
    """Six honest depots, and those given, each different from an honest one in the counters given."""
    honest = {f"Honest {number}": dict(HONEST) for number in range(6)}
    return honest | {name: HONEST | counts for name, counts in odd.items()}


def told(findings: tuple[Finding, ...]) -> list[tuple[str, str]]:
    return [(finding.segment, finding.how) for finding in findings]


def test_an_honest_fleet_is_left_in_peace() -> None:
    assert diagnose("depot", fleet()) == ()
    assert diagnose("depot", {}) == ()


@pytest.mark.parametrize(
    ("how", "counters"),
    [
        ("scans_early", {"scanned_early": 120}),
        ("redates", {"rescued": 65, "on_time": 985}),
        ("asks_no_question", {"risk:unreachable": 55}),
    ],
)
def test_each_way_is_told_by_its_own_counters(how: str, counters: dict[str, int]) -> None:
    findings = diagnose("depot", fleet(Lille=counters))
    assert told(findings) == [("Lille", how)]
    assert findings[0].rest is not None
    assert findings[0].figure.low > findings[0].rest
    assert findings[0].alerts == ()


def test_three_depots_with_three_ways_are_told_apart() -> None:
    odd = fleet(Lille={"scanned_early": 120}, Metz={"rescued": 65}, Brest={"risk:unreachable": 55})
    assert told(diagnose("depot", odd)) == [
        ("Lille", "scans_early"),
        ("Metz", "redates"),
        ("Brest", "asks_no_question"),
    ]


def test_nine_cases_are_no_habit_whatever_their_share() -> None:
    few = fleet(Nice={"stated_arrival": 9, "scanned_early": 9, "missed_first": 9, "rescued": 9})
    assert diagnose("depot", few) == ()


def test_a_depot_like_all_the_others_is_not_named_even_if_all_are_bad() -> None:
    everybody = {f"D{number}": HONEST | {"rescued": 60, "risk:unreachable": 55} for number in range(8)}
    assert diagnose("depot", everybody) == ()


def test_a_single_segment_has_nobody_to_be_compared_with() -> None:
    assert diagnose("depot", {"Only": HONEST | {"rescued": 70}}) == ()


def test_customers_who_deny_the_claim_support_the_finding() -> None:
    (finding,) = diagnose("depot", fleet(Lille={"scanned_early": 120}), [alert()])
    assert [proof.signal for proof in finding.alerts] == ["on_time"]


def test_a_denied_claim_is_told_even_where_no_way_shows() -> None:
    weak = alert(signal="in_full", log10_e=4.9)
    (finding,) = diagnose("depot", fleet(Lille={}), [weak, alert()])
    assert (finding.segment, finding.how, finding.cases) == ("Lille", "not_confirmed", 21)
    assert finding.figure == (21 / 127, 0.09, 0.27, 127)
    assert finding.rest == 0.05


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "watch"},
        {"kind": "single_account_dispute"},
        {"state": "resolved"},
        {"state": "unverified"},
        {"dimension": "carrier"},
    ],
)
def test_only_an_open_divergence_of_this_level_names_anybody(changes: dict[str, Any]) -> None:
    assert diagnose("depot", fleet(Lille={}), [alert(**changes)]) == ()


def test_an_alert_about_a_segment_without_figures_is_not_lost() -> None:
    assert told(diagnose("depot", fleet(), [alert(value="Gone")])) == [("Gone", "not_confirmed")]


def test_of_two_thousand_honest_small_depots_hardly_any_is_named() -> None:
    """Rates drawn as an honest depot draws them. By the rules' own risk at most 5 of 100 fleets name one."""
    generator = random.Random(20260302)

    def drawn(n: int, rate: float) -> int:
        return sum(generator.random() < rate for _ in range(n))

    named = 0
    for _ in range(100):
        segments = {}
        for depot in range(20):
            size = generator.choice((20, 60, 200))
            late = drawn(size, 0.12)
            segments[f"D{depot}"] = {
                "stated_arrival": size,
                "scanned_early": drawn(size, 0.03),
                "missed_first": late,
                "rescued": drawn(late, 0.15),
                "risk": late,
                "risk:unreachable": drawn(late, 0.12),
                "clean": size - late,
                "clean:unreachable": drawn(size - late, 0.08),
            }
        named += bool(diagnose("depot", segments))
    assert named <= 2
