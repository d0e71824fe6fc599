"""Texts for managers: they contain the figures, and no sentence claims more than the evidence shows."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.reports.diagnosis import diagnose
from pipeline.notifiers.wording.sentences import (
    cases,
    conclude,
    describe,
    explain,
    headline,
    percent,
    plain,
    segment_kind,
    segment_name,
    waiting_time,
)
from tests.support.statistics.findings import alert, fleet


def test_an_alert_states_its_start_rate_certainty_and_number_of_accounts() -> None:
    text = describe(alert())
    assert text.startswith("Depot Lille reports its deliveries as on time; its customers disagree.")
    assert "Of 127 answered orders reported on time since 3 March 2026, customers report 21 as late" in text
    assert "16.5% (between 9.0% and 27.0%); honest mistakes would explain at most 5.0%." in text
    assert "come from 12 accounts" in text
    assert "Response bias could explain this only if unhappy customers replied 2.6 times as often." in text


def test_the_evidence_is_a_waiting_time_and_never_a_probability() -> None:
    text = describe(alert(log10_e=math.log10(365 * 94.7)))
    assert (
        "A depot that reports honestly would trigger this about once in 94 years at most, however often you check."
        in text
    )
    assert not re.search(r"probab|chance|certain|prove|odds", text)


@pytest.mark.parametrize(
    ("log10_days", "words"),
    [
        (0.0, "1 day"),
        (math.log10(45.9), "45 days"),
        (math.log10(729), "729 days"),
        (math.log10(365 * 2.99), "2 years"),
        (math.log10(365 * 81), "81 years"),
        (math.log10(365 * 1_999), "1,900 years"),
        (5.0, "270 years"),
        (8.5, "860,000 years"),
        (300.0, "a million years"),
    ],
)
def test_a_waiting_time_is_rounded_down(log10_days: float, words: str) -> None:
    assert waiting_time(log10_days) == words


@given(st.floats(0.0, 400.0))
def test_a_waiting_time_never_exceeds_the_evidence(log10_days: float) -> None:
    number, unit = re.fullmatch(
        r"([\d,]+) (days?|years)", waiting_time(log10_days).replace("a million", "1,000,000")
    ).groups()  # type: ignore[union-attr]
    days = int(number.replace(",", "")) * (365 if unit == "years" else 1)
    assert math.log10(days) <= log10_days + 1e-9


@pytest.mark.parametrize(
    ("signal", "claimed", "experienced"),
    [
        ("on_time", "reported on time", "customers report 21 as late or not received"),
        ("in_full", "reported complete", "customers report 21 as incomplete, damaged or wrong"),
        ("experience", "reported as delivered well", "21 got the score of an unhappy customer"),
        ("moved", "delivered after their first promise", "21 got a new promise after the first had passed"),
        ("early", "whose arrival customers stated", "21 arrived more than 2 hours after their scan"),
        ("no_question", "", "21 named no contact who could be asked"),
        ("unasked", "about which it was decided whom to ask", "21 had nobody who could be asked"),
        ("unanswered", "whose question arrived", "21 had no answer after five days"),
        ("undelivered", "with a message on this route", "21 had a message that did not arrive"),
    ],
)
def test_each_signal_has_its_own_words(signal: str, claimed: str, experienced: str) -> None:
    text = describe(alert(signal=signal))
    assert f"orders {claimed} since 3 March 2026, {experienced}".replace("  ", " ") in text


def test_the_baseline_of_experience_is_described_as_usual_spread_and_present_state() -> None:
    text = describe(alert(signal="experience", null=0.091))
    assert "at most 9.1% is explained by what was usual across the fleet, by the spread of its segments" in text
    assert "unhappier than the fleet's usual spread explains" in text
    assert "A depot whose customers are as satisfied as usual would trigger this" in text
    assert "mistake" not in text


@pytest.mark.parametrize("signal", ["on_time", "in_full", "experience", "moved", "early", "no_question", "unanswered"])
def test_who_sees_a_part_of_the_fleet_is_told_nothing_of_the_fleet(signal: str) -> None:
    text = describe(alert(signal=signal, null=0.091, breakdown_rho=0.5), scoped=True)
    assert "fleet" not in text
    if signal == "experience":
        assert "unhappier than what is usual elsewhere explains" in text
        assert "at most 9.1% is explained by what was usual elsewhere then" in text


def test_a_dispute_is_described_as_one_account_and_sends_no_notification() -> None:
    text = describe(alert(kind="single_account_dispute", accounts=3))
    assert "a dispute with one account" in text
    assert "For information (no notification)" in text
    assert "not one angry customer" not in text
    assert "disagree" not in text
    assert headline(alert(kind="single_account_dispute")) == "One account's dispute: depot Lille, on time"


def test_one_bad_day_is_described_as_such_and_sends_no_notification() -> None:
    text = describe(alert(kind="single_day"))
    assert "had one bad day; the answers about the other days do not show the same" in text
    assert "For information (no notification)" in text
    assert headline(alert(kind="single_day")) == "One bad day: depot Lille, on time"


def test_a_segment_of_one_account_is_described_for_that_accounts_manager() -> None:
    text = describe(alert(kind="single_account"))
    assert "answers of one account only" in text
    assert "For that account's manager (no notification)" in text
    assert headline(alert(kind="single_account")) == "One account: depot Lille, on time"


def test_a_watch_is_described_with_caution() -> None:
    text = describe(alert(kind="watch", severity=None))
    assert "on the watch list" in text
    assert "For information (no notification)" in text
    assert headline(alert(kind="watch", severity=None)) == "Watch: depot Lille, on time"


@pytest.mark.parametrize("severity", ["minor", "major", "critical"])
def test_the_headline_starts_with_the_severity(severity: str) -> None:
    assert headline(alert(severity=severity)) == f"{severity.capitalize()}: depot Lille, on time"


def test_missing_answers_are_reported_as_unknown() -> None:
    text = describe(alert(state="unverified"))
    assert text.startswith("No answers for 30 days: it is unknown")
    assert headline(alert(state="unverified")).startswith("Unverified: ")


def test_a_resolved_alert_states_its_day_and_the_rate_it_fell_below() -> None:
    # delta1 = 0.05 + max(0.02, (0.09 - 0.05) / 2) = 7 %
    ended = alert(state="resolved", resolved_at=alert().opened_at)
    assert describe(ended).startswith("Closed on 20 March 2026: ")
    assert "below 7.0%" in describe(ended)
    assert "notification" not in describe(alert(state="resolved", kind="watch"))
    assert headline(ended).startswith("Resolved: ")


def test_an_interval_that_includes_the_baseline_is_stated() -> None:
    text = describe(alert(breakdown_rho=0.9))
    assert "The size is uncertain: at the low end of that range, honest mistakes would explain it." in text
    assert "times as often" not in text
    assert "times as often" not in describe(alert(breakdown_rho=None))


def test_a_factor_is_rounded_down() -> None:
    assert "replied 2.6 times" in describe(alert(breakdown_rho=2.699))


def test_a_sum_of_fractions_is_an_approximate_number() -> None:
    assert cases(21.0000000001) == "21"
    assert cases(20.6667) == "about 21"
    assert "report about 21 as late" in describe(alert(run_rate=20.6667 / 127))


def test_segments_are_called_by_their_dimension() -> None:
    assert segment_name("depot", "Lyon") == "depot Lyon"
    assert segment_name("region+carrier", "ARA+Nordex") == "region ARA, carrier Nordex"
    assert segment_name("region+carrier", "A+B+C") == "region+carrier A+B+C"
    assert segment_name("", "") == "the whole fleet"
    assert [segment_kind(name) for name in ("depot", "area", "region+carrier", "")] == [
        "a depot",
        "an area",
        "a combination of region and carrier",
        "a fleet",
    ]


def test_text_from_an_event_cannot_control_a_terminal() -> None:
    assert plain("Ly\x1b[31mon\n\u202eevil\ud800") == "Ly\ufffd[31mon \ufffdevil\ufffd"
    assert "\x1b" not in describe(alert(value="\x1b[2J"))


def test_text_for_the_terminal_is_not_html_escaped() -> None:
    assert "depot R&D <1>" in headline(alert(value="R&D <1>"))


def test_a_finding_names_the_segment_its_way_and_the_rest_of_the_fleet() -> None:
    odd = fleet(Lille={"scanned_early": 120}, Metz={"rescued": 65, "on_time": 985}, Brest={"risk:unreachable": 55})
    signals = [("Lille", "early"), ("Metz", "moved"), ("Brest", "no_question"), ("Lille", "on_time")]
    alerts = [alert(value=depot, signal=signal) for depot, signal in signals]
    early, moved, silent = (explain(finding) for finding in diagnose("depot", odd, alerts))
    assert early.startswith('Depot Lille scans "delivered" early: of 300 answers')
    assert "120 (40.0%, between" in early
    assert "more than 2 hours after the scan; in the rest of the fleet 2.0%." in early
    assert early.endswith("Its customers also contradict its claims (open alert: on time).")
    assert moved.startswith("Depot Metz re-dates missed promises: of 80 orders delivered after their first promise, 65")
    assert "raise its on-time figure by 6.5 points." in moved
    assert silent.startswith("Depot Brest leaves out the contacts of problem orders: 55 of its 80")
    assert "times as often as its other orders" in silent


@pytest.mark.parametrize("signal", ["early", "moved", "no_question", "on_time"])
def test_a_finding_about_the_only_segment_in_sight_compares_it_with_nothing(signal: str) -> None:
    (finding,) = diagnose("depot", {"Metz": fleet()["Honest 0"]}, [alert(value="Metz", signal=signal)])
    text = explain(finding)
    assert text.startswith("Depot Metz ")
    assert "the rest of the fleet" not in text


def test_an_unexplained_contradiction_states_that_the_record_does_not_explain_it() -> None:
    (finding,) = diagnose("depot", fleet(Lille={}), [alert()])
    text = explain(finding)
    assert "of 127 answered orders reported on time, customers report 21 as late" in text
    assert "The records do not show the cause." in text


def test_the_conclusion_counts_segments_and_calls_none_honest() -> None:
    both = diagnose("depot", fleet(Lille={}), [alert(signal="early"), alert(signal="moved")])
    assert len(both) == 2
    assert conclude("depot", both) == "By depot, one segment reports better deliveries than customers experience:"
    assert "does not prove" in conclude("depot", ())


def test_shares_are_shown_in_percent() -> None:
    assert percent(0.16543) == "16.5%"
    assert percent(0.02, 0) == "2%"
