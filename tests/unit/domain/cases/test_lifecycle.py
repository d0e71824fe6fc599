"""One case for an order and a contact: complaints join it, people act on it, the customer confirms or reopens it."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.domain.cases import lifecycle
from pipeline.domain.cases.case import Case, CaseAct, case_id_of
from pipeline.domain.cases.complaints import CasePolicy, Complaint, ordered
from pipeline.domain.events.cases import CaseReason
from pipeline.domain.incidents.lifecycle import Refused
from tests.support.builders import at

POLICY = CasePolicy()
_REASONS: tuple[CaseReason, ...] = ("not_received", "damaged", "late", "low_score", "question")


def opened(complaint: Complaint) -> Case:
    return Case(
        case_id=case_id_of("SO-1", "ana"),
        order_id="SO-1",
        contact_id="ana",
        incident=None,
        account_id="A-1",
        role=complaint.role,
        reasons=complaint.reasons,
        severity=complaint.gravity,
        opened_at=complaint.at,
        changed_at=complaint.at,
        due_at=POLICY.due_at(complaint),
    )


LATE = Complaint(("late",), at())
LOST = Complaint(("not_received",), at(hours=1))

complaints = st.lists(
    st.builds(
        lambda reasons, hours: Complaint(ordered(reasons), at(hours=hours)),
        st.sets(st.sampled_from(_REASONS), min_size=1),
        st.integers(0, 200),
    ),
    min_size=1,
    max_size=6,
)


def state(given: list[Complaint]) -> Case:
    case = opened(given[0])
    for one in given[1:]:
        lifecycle.join(case, one, POLICY, at(days=20))
    return replace(case, changed_at=at(), acts=0)


@given(complaints.flatmap(lambda given: st.tuples(st.just(given), st.permutations([*given, *given[:3]]))))
def test_the_order_and_the_number_of_complaints_do_not_matter(both: tuple[list[Complaint], list[Complaint]]) -> None:
    assert state(both[0]) == state(both[1])


def test_a_further_complaint_joins_once_and_makes_it_graver() -> None:
    case = opened(LATE)
    act = lifecycle.join(case, LOST, POLICY, at(hours=1))
    assert act == CaseAct("changed", "customer", "joined")
    assert (case.reasons, case.severity, case.due_at) == (("not_received", "late"), "critical", at(hours=5))
    assert lifecycle.join(case, LOST, POLICY, at(hours=2)) is None


def test_a_complaint_after_the_closing_reopens_and_an_older_one_does_not() -> None:
    case = opened(LATE)
    lifecycle.close(case, "explained", "we called", "ben", at(days=1))
    assert lifecycle.join(case, LATE, POLICY, at(days=2)) is None
    assert lifecycle.join(case, LATE._replace(at=at(days=2), by_text=True), POLICY, at(days=2)) is None
    act = lifecycle.join(case, LATE._replace(at=at(days=2)), POLICY, at(days=2))
    assert act is not None
    assert (act.change, case.state, case.outcome) == ("reopened", "open", None)
    assert case.due_at == POLICY.due_at(LATE._replace(at=at(days=2)))


def test_what_is_overdue_is_escalated_once() -> None:
    case = opened(LATE)
    assert lifecycle.make_overdue(case, case.due_at - timedelta(seconds=1)) is None
    act = lifecycle.make_overdue(case, case.due_at)
    assert act == CaseAct("changed", "system", "overdue")
    assert (case.overdue, case.severity) == (True, "major")
    assert lifecycle.make_overdue(case, case.due_at) is None


def test_the_customer_confirms_or_reopens_and_the_latest_answer_counts() -> None:
    case = opened(LATE)
    lifecycle.close(case, "explained", "we called", "ben", at(days=1))
    no = lifecycle.answer(case, False, "sealed:x", at(days=2), POLICY, at(days=2))
    assert no is not None
    assert (no.by, no.change, case.state, case.follow_up) == ("customer", "reopened", "open", "no")
    assert lifecycle.answer(case, True, None, at(days=1.5), POLICY, at(days=3)) is None
    yes = lifecycle.answer(case, True, None, at(days=3), POLICY, at(days=3))
    assert yes is not None
    assert (yes.change, case.state, case.follow_up) == ("confirmed", "open", "yes")
    lifecycle.close(case, "explained", "settled by phone", "ben", at(days=4))
    assert lifecycle.answer(case, True, None, at(days=5), POLICY, at(days=5)) is None


@pytest.mark.parametrize(
    ("refused", "field"),
    [
        (lambda case: lifecycle.assign(case, " ", "ben", at()), "owner"),
        (lambda case: lifecycle.note(case, "", "", "ben", at()), "words"),
        (lambda case: lifecycle.note(case, "letter", "posted", "ben", at()), "kind"),
        (lambda case: lifecycle.close(case, "ended", "it ended", "ben", at()), "outcome"),
        (lambda case: lifecycle.close(case, "explained", "", "ben", at()), "words"),
        (lambda case: lifecycle.close(case, "explained", "x" * 2_001, "ben", at()), "words"),
        (lambda case: lifecycle.reopen(case, "", POLICY, "ben", at()), ""),
    ],
)
def test_an_impossible_act_names_its_field(refused: Callable[[Case], CaseAct], field: str) -> None:
    with pytest.raises(Refused) as found:
        refused(opened(LATE))
    assert found.value.field == field


def test_a_closed_case_takes_notes_and_nothing_else() -> None:
    case = opened(LATE)
    lifecycle.close(case, "explained", "we called", "ben", at(days=1))
    assert lifecycle.note(case, "call", "she thanked us", "ben", at(days=1)).note == "call"
    for act in (lifecycle.assign, lambda case, *rest: lifecycle.close(case, "other", *rest)):
        with pytest.raises(Refused):
            act(case, "ana", "ben", at(days=1))
