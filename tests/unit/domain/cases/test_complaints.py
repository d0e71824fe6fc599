"""What opens a case, how grave it is, and by when it is to be settled."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.answers.statement import Statement
from pipeline.domain.cases.complaints import (
    CasePolicy,
    Complaint,
    after_working_time,
    reasons_of,
    severity_of,
)
from pipeline.domain.events.contract import Score

FRIDAY = datetime(2026, 3, 6, 22, 0, tzinfo=UTC)
MONDAY = datetime(2026, 3, 9, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("stated", "reasons", "severity"),
    [
        (Statement(arrival="not_received"), ("not_received",), "critical"),
        (Statement(arrival="late", score=Score(3)), ("late", "low_score"), "major"),
        (Statement(arrival="late"), ("late",), "minor"),
        (Statement(score=Score(2, 5)), ("low_score",), "minor"),
        (Statement(complete=False), ("incomplete",), "major"),
        (Statement(complete=False, conditions=("wrong", "damaged")), ("damaged", "wrong"), "major"),
        (Statement(conditions=("papers_missing",)), ("papers_missing",), "minor"),
    ],
)
def test_a_complaint_has_reasons_and_a_severity(stated: Statement, reasons: tuple[str, ...], severity: str) -> None:
    assert reasons_of(stated) == reasons
    assert severity_of(reasons_of(stated)) == severity


@pytest.mark.parametrize(
    "stated", [Statement(), Statement("on_time", True), Statement(score=Score(7)), Statement(score=Score(3, 5))]
)
def test_a_satisfied_answer_opens_nothing(stated: Statement) -> None:
    assert reasons_of(stated) == ()


def test_words_that_ask_for_something_are_a_reason_of_their_own() -> None:
    assert reasons_of(Statement("on_time", True), "call") == ("call",)
    assert reasons_of(Statement(arrival="late"), "question") == ("late", "question")


def test_weekends_do_not_count() -> None:
    assert after_working_time(FRIDAY, timedelta(hours=1), "UTC") == FRIDAY + timedelta(hours=1)
    assert after_working_time(FRIDAY, timedelta(hours=4), "UTC") == MONDAY + timedelta(hours=2)
    # In Tokyo it is Saturday morning already, so the work begins there on Monday.
    assert after_working_time(FRIDAY, timedelta(hours=4), "Asia/Tokyo") == MONDAY - timedelta(hours=9 - 4)


@given(
    st.integers(0, 17_000).map(lambda hours: MONDAY + timedelta(hours=hours)),
    st.timedeltas(timedelta(minutes=1), timedelta(days=20)),
    st.sampled_from(["UTC", "Europe/Paris", "America/New_York", "Asia/Tokyo"]),
)
def test_a_due_time_lies_after_the_allowance_and_never_on_a_weekend_long(
    start: datetime, within: timedelta, timezone: str
) -> None:
    due = after_working_time(start, within, timezone)
    weekends = (within.days // 5 + 2) * timedelta(days=2)
    assert within <= due - start <= within + weekends


def test_a_role_shortens_the_time_and_never_lengthens_it() -> None:
    policy = CasePolicy(within_of_role=(("decision_maker", timedelta(hours=8)),))
    grave = Complaint(("not_received",), MONDAY, "decision_maker")
    small = Complaint(("late",), MONDAY, "decision_maker")
    assert policy.due_at(grave) == MONDAY + timedelta(hours=4)
    assert policy.due_at(small) == MONDAY + timedelta(hours=8)
    assert policy.due_at(small._replace(role="receiver")) == MONDAY + timedelta(hours=72)
