"""The diagnosis: which segments have a finding, and which have none."""

import random
from typing import Any

import pytest

from pipeline.domain.reports.diagnosis import Finding, diagnose
from pipeline.domain.reports.scenario_nps import Figure
from tests.support.statistics.findings import HONEST, alert, fleet


def named(findings: tuple[Finding, ...]) -> list[tuple[str, str]]:
    return [(finding.segment, finding.how) for finding in findings]


def test_an_honest_fleet_has_no_finding() -> None:
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
def test_each_way_of_embellishing_is_detected_by_its_own_counters(how: str, counters: dict[str, int]) -> None:
    findings = diagnose("depot", fleet(Lille=counters))
    assert named(findings) == [("Lille", how)]
    assert findings[0].rest is not None
    assert findings[0].figure.low > findings[0].rest
    assert findings[0].alerts == ()


def test_three_depots_with_three_ways_are_distinguished() -> None:
    odd = fleet(Lille={"scanned_early": 120}, Metz={"rescued": 65}, Brest={"risk:unreachable": 55})
    assert named(diagnose("depot", odd)) == [
        ("Lille", "scans_early"),
        ("Metz", "redates"),
        ("Brest", "asks_no_question"),
    ]


def test_nine_cases_are_too_few_for_a_finding_at_any_share() -> None:
    few = fleet(Nice={"stated_arrival": 9, "scanned_early": 9, "missed_first": 9, "rescued": 9})
    assert diagnose("depot", few) == ()


def test_a_depot_like_all_others_has_no_finding_even_if_all_are_bad() -> None:
    all_bad = {f"D{number}": HONEST | {"rescued": 60, "risk:unreachable": 55} for number in range(8)}
    assert diagnose("depot", all_bad) == ()


def test_a_single_segment_has_no_finding_without_a_comparison() -> None:
    assert diagnose("depot", {"Only": HONEST | {"rescued": 70}}) == ()


def test_customers_who_contradict_the_claim_support_the_finding() -> None:
    (finding,) = diagnose("depot", fleet(Lille={"scanned_early": 120}), [alert()])
    assert [proof.signal for proof in finding.alerts] == ["on_time"]


def test_a_contradicted_claim_is_a_finding_even_without_a_known_way() -> None:
    weak = alert(signal="in_full", log10_e=4.9)
    (finding,) = diagnose("depot", fleet(Lille={}), [weak, alert()])
    assert (finding.segment, finding.how, finding.cases) == ("Lille", "not_confirmed", 21)
    assert finding.figure == Figure(21 / 127, 0.09, 0.27, 127)
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
def test_only_an_open_divergence_of_this_level_leads_to_a_finding(changes: dict[str, Any]) -> None:
    assert diagnose("depot", fleet(Lille={}), [alert(**changes)]) == ()


def test_an_alert_of_a_segment_without_figures_is_a_finding() -> None:
    assert named(diagnose("depot", fleet(), [alert(value="Gone")])) == [("Gone", "not_confirmed")]


def test_of_two_thousand_honest_small_depots_hardly_any_has_a_finding() -> None:
    """Counts drawn at the rates of an honest depot. The rules allow a finding in at most 5 of 100 fleets."""
    generator = random.Random(20260302)

    def drawn(n: int, rate: float) -> int:
        return sum(generator.random() < rate for _ in range(n))

    with_finding = 0
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
        with_finding += bool(diagnose("depot", segments))
    assert with_finding <= 2
