"""The diagnosis: which segments have a finding, and which have none."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from pipeline.domain.reports.diagnosis import Finding, diagnose
from pipeline.domain.reports.scenario_nps import Figure
from tests.support.statistics.findings import alert, fleet


def named(findings: tuple[Finding, ...]) -> list[tuple[str, str]]:
    return [(finding.segment, finding.how) for finding in findings]


def test_an_honest_fleet_has_no_finding() -> None:
    assert diagnose("depot", fleet()) == ()
    assert diagnose("depot", {}) == ()


def test_counters_alone_name_nobody_however_odd_they_are() -> None:
    odd = {"scanned_early": 120, "rescued": 65, "risk:unreachable": 55}
    assert diagnose("depot", fleet(Lille=odd)) == ()


@pytest.mark.parametrize(
    ("how", "signal", "counters"),
    [
        ("scans_early", "early", {"scanned_early": 120}),
        ("redates", "moved", {"rescued": 65, "on_time": 985}),
        ("asks_no_question", "no_question", {"risk:unreachable": 55}),
    ],
)
def test_each_way_of_embellishing_is_named_while_its_signal_is_open(
    how: str, signal: str, counters: dict[str, int]
) -> None:
    findings = diagnose("depot", fleet(Lille=counters), [alert(signal=signal)])
    assert named(findings) == [("Lille", how)]
    assert findings[0].rest is not None
    assert findings[0].figure.low > findings[0].rest
    assert findings[0].alerts == ()


def test_three_depots_with_three_ways_are_distinguished() -> None:
    odd = fleet(Lille={"scanned_early": 120}, Metz={"rescued": 65}, Brest={"risk:unreachable": 55})
    signals = {"Lille": "early", "Metz": "moved", "Brest": "no_question"}
    assert named(diagnose("depot", odd, [alert(value=depot, signal=s) for depot, s in signals.items()])) == [
        ("Lille", "scans_early"),
        ("Metz", "redates"),
        ("Brest", "asks_no_question"),
    ]


def test_without_orders_in_the_period_a_finding_shows_the_figures_of_its_alert() -> None:
    (finding,) = diagnose("depot", {}, [alert(signal="moved")])
    assert (finding.cases, finding.figure) == (21, Figure(21 / 127, 0.09, 0.27, 127))


def test_an_open_alert_on_experience_is_no_proof() -> None:
    assert diagnose("depot", fleet(Lille={}), [alert(signal="experience")]) == ()


def test_a_report_on_the_past_names_who_had_an_open_alert_then() -> None:
    ended = alert(state="resolved", resolved_at=datetime(2026, 5, 2, tzinfo=UTC))
    for day, count in ((date(2026, 3, 19), 0), (date(2026, 3, 20), 1), (date(2026, 5, 1), 1), (date(2026, 5, 2), 0)):
        assert len(diagnose("depot", fleet(Lille={}), [ended], day)) == count
    assert len(diagnose("depot", fleet(Lille={}), [alert(state="unverified")], date(2026, 6, 1))) == 1


def test_answers_that_staff_may_have_given_are_counted_with_the_finding() -> None:
    (finding,) = diagnose("depot", fleet(Lille={"shared_address": 4, "changed_address": 2}), [alert()])
    assert (finding.shared_addresses, finding.changed_addresses) == (4, 2)


def test_customers_who_contradict_the_claim_support_the_finding() -> None:
    (finding,) = diagnose("depot", fleet(Lille={"scanned_early": 120}), [alert(signal="early"), alert()])
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
