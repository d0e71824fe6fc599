"""What managers read: the figures are there, and nothing is said that the evidence does not bear."""

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
    place,
    plain,
    rarity,
)
from tests.support.findings import alert, fleet


def test_an_alert_tells_since_when_how_many_how_sure_and_who() -> None:
    text = describe(alert())
    assert text.startswith("Depot Lille reports its deliveries as on time; its customers do not agree.")
    assert "Since 3 March 2026, 21 of 127 answered orders that were reported on time" in text
    assert "16.5% (between 9.0% and 27.0%)" in text
    assert "misremember explain up to 5.0%" in text
    assert "12 accounts are behind it" in text
    assert "would have to answer 2.6 times as often" in text


def test_the_evidence_is_told_as_a_waiting_time_and_never_as_a_probability() -> None:
    text = describe(alert(log10_e=math.log10(365 * 282.7)))
    assert "no more than once in about 280 years on average, however often anybody looks" in text
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
    assert rarity(log10_days) == words


@given(st.floats(0.0, 400.0))
def test_a_waiting_time_never_claims_more_than_there_is(log10_days: float) -> None:
    number, unit = re.fullmatch(
        r"([\d,]+) (days?|years)", rarity(log10_days).replace("a million", "1,000,000")
    ).groups()  # type: ignore[union-attr]
    days = int(number.replace(",", "")) * (365 if unit == "years" else 1)
    assert math.log10(days) <= log10_days + 1e-9


@pytest.mark.parametrize(
    ("signal", "claimed", "lived"),
    [
        ("on_time", "reported on time", "called late, or never came"),
        ("in_full", "reported complete", "called incomplete, damaged or wrong"),
        ("experience", "reported as delivered well", "scored like an unhappy customer's"),
        ("early_scan", "reported well", "contradicted"),
    ],
)
def test_each_signal_has_its_own_words(signal: str, claimed: str, lived: str) -> None:
    text = describe(alert(signal=signal))
    assert f"that were {claimed} were {lived}" in text


def test_the_null_of_experience_is_what_is_usual_and_not_a_slip_of_memory() -> None:
    text = describe(alert(signal="experience", null=0.091))
    assert "9.1% was usual across the fleet" in text
    assert "misremember" not in text


def test_a_dispute_says_that_it_is_one_account_and_pages_nobody() -> None:
    text = describe(alert(kind="single_account_dispute", accounts=3))
    assert "a dispute with one account" in text
    assert "nobody is paged" in text
    assert "not one angry customer" not in text
    assert "do not agree" not in text
    assert headline(alert(kind="single_account_dispute")) == "One account's dispute: depot Lille, on time"


def test_a_watch_claims_little() -> None:
    text = describe(alert(kind="watch", severity=None))
    assert "on the watch list" in text
    assert "nobody is paged" in text
    assert headline(alert(kind="watch", severity=None)) == "Watch: depot Lille, on time"


@pytest.mark.parametrize("severity", ["minor", "major", "critical"])
def test_the_headline_starts_with_how_bad_it_is(severity: str) -> None:
    assert headline(alert(severity=severity)) == f"{severity.capitalize()}: depot Lille, on time"


def test_silence_is_told_as_not_knowing() -> None:
    text = describe(alert(state="unverified"))
    assert text.startswith("No answer has come for 30 days, so nobody knows")
    assert headline(alert(state="unverified")).startswith("Unverified: ")


def test_what_is_over_says_since_when_and_below_what() -> None:
    # delta1 = 0.05 + max(0.02, (0.09 - 0.05) / 2) = 7 %
    ended = alert(state="resolved", resolved_at=alert().opened_at)
    assert describe(ended).startswith("Closed on 20 March 2026: ")
    assert "below 7.0%" in describe(ended)
    assert "paged" not in describe(alert(state="resolved", kind="watch"))
    assert headline(ended).startswith("Over: ")


def test_an_interval_that_reaches_the_null_is_admitted() -> None:
    text = describe(alert(breakdown_rho=0.9))
    assert "How large it is remains open" in text
    assert "times as often" not in text
    assert "times as often" not in describe(alert(breakdown_rho=None))


def test_a_factor_is_rounded_down() -> None:
    assert "answer 2.6 times" in describe(alert(breakdown_rho=2.699))


def test_answers_of_several_people_are_told_as_about() -> None:
    assert cases(21.0000000001) == "21"
    assert cases(20.6667) == "about 21"
    assert "about 21 of 127" in describe(alert(run_rate=20.6667 / 127))


def test_segments_are_called_by_their_dimension() -> None:
    assert place("depot", "Lyon") == "depot Lyon"
    assert place("region+carrier", "ARA+Nordex") == "region ARA, carrier Nordex"
    assert place("region+carrier", "A+B+C") == "region+carrier A+B+C"
    assert place("", "") == "the whole fleet"


def test_text_from_an_event_cannot_steer_a_terminal() -> None:
    assert plain("Ly\x1b[31mon\n\u202eevil\ud800") == "Ly\ufffd[31mon \ufffdevil\ufffd"
    assert "\x1b" not in describe(alert(value="\x1b[2J"))


def test_text_is_not_escaped_as_if_it_were_a_page() -> None:
    assert "depot R&D <1>" in headline(alert(value="R&D <1>"))


def test_a_finding_names_who_and_how_beside_the_rest() -> None:
    odd = fleet(Lille={"scanned_early": 120}, Metz={"rescued": 65, "on_time": 985}, Brest={"risk:unreachable": 55})
    early, moved, silent = (explain(finding) for finding in diagnose("depot", odd, [alert()]))
    assert early.startswith('Depot Lille scans "delivered" early: of 300 answers')
    assert "120 (40.0%, between" in early
    assert "more than 2 hours after the scan; in the rest of the fleet 2.9%." not in early
    assert "in the rest of the fleet 2.0%." in early
    assert early.endswith("Its customers contradict it, too (open alert: on time).")
    assert moved.startswith("Depot Metz re-dates missed promises: of 80 orders delivered after their first promise, 65")
    assert "lift its on-time figure by 6.5 points." in moved
    assert silent.startswith("Depot Brest asks no question about problem orders: 55 of its 80")
    assert "times as often as its other orders" in silent


def test_an_unexplained_denial_admits_that_the_record_does_not_show_how() -> None:
    (finding,) = diagnose("depot", fleet(Lille={}), [alert()])
    text = explain(finding)
    assert "21 of 127 answered orders that were reported on time were called late" in text
    assert "The record itself does not show how" in text


def test_the_conclusion_counts_segments_and_does_not_acquit() -> None:
    both = diagnose("depot", fleet(Lille={"scanned_early": 120, "rescued": 65}))
    assert len(both) == 2
    assert conclude("depot", both) == "By depot, one looks better on paper than in life:"
    assert "does not prove" in conclude("depot", ())


def test_shares_are_told_in_percent() -> None:
    assert percent(0.16543) == "16.5%"
    assert percent(0.02, 0) == "2%"
