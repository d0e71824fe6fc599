"""The current answer of a contact does not depend on the order of arrival."""

from datetime import UTC, datetime, timedelta
from random import Random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.answers.answer import Answer, CommentedAnswer, answer_rank, current_answers
from pipeline.domain.answers.statement import Statement
from pipeline.domain.detection.pairs import Experience, experience_of
from pipeline.domain.events.contract import Score

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ON_TIME_AND_COMPLETE = Statement(arrival="on_time", complete=True, arrived_at=NOON)
NOT_RECEIVED = Statement(arrival="not_received")

STATEMENTS = st.builds(
    Statement,
    arrival=st.sampled_from([None, "on_time", "late", "not_received"]),
    complete=st.sampled_from([None, True, False]),
    conditions=st.lists(st.sampled_from(["damaged", "incomplete", "wrong", "papers_missing"]), unique=True).map(tuple),
    score=st.none() | st.builds(Score, st.integers(0, 10)),
    comment=st.none() | st.text(min_size=1, max_size=3),
    arrived_at=st.none() | st.sampled_from([NOON, NOON + timedelta(days=1)]),
)
ANSWERS = st.lists(
    st.builds(
        CommentedAnswer,
        st.sampled_from(["ana", "ben", "cleo"]),
        st.sampled_from(["form", "text"]),
        st.uuids().map(str),
        st.none() | st.integers(0, 3).map(lambda hours: NOON + timedelta(hours=hours)),
        arrival=st.sampled_from([None, "on_time", "late", "not_received"]),
        complete=st.sampled_from([None, True, False]),
        condition=st.lists(st.sampled_from(["damaged", "wrong"]), unique=True),
        score=st.none() | st.builds(Score, st.integers(0, 10)),
        comment=st.none() | st.text(min_size=1, max_size=3),
    ),
    max_size=6,
)


def answer(event_id: str, hours: float, statement: Statement, contact_id: str = "ana") -> CommentedAnswer:
    blank = CommentedAnswer(contact_id, "form", event_id, NOON + timedelta(hours=hours))
    return blank.with_statement(statement)


# --- amending a statement -----------------------------------------------------------------------------------


def test_values_that_a_later_statement_does_not_mention_stay() -> None:
    earlier = Statement("late", False, ("damaged",), Score(3), "wet", NOON)
    assert earlier.amended_by(Statement()) == earlier
    assert earlier.amended_by(Statement(score=Score(5))) == msgspec.structs.replace(earlier, score=Score(5))


def test_not_received_withdraws_the_goods_and_the_time_of_arrival() -> None:
    assert ON_TIME_AND_COMPLETE.amended_by(NOT_RECEIVED) == NOT_RECEIVED
    damaged = Statement("on_time", False, ("damaged",), Score(2), "wet")
    assert damaged.amended_by(NOT_RECEIVED) == Statement("not_received", score=Score(2), comment="wet")


def test_not_received_with_a_word_about_the_goods_keeps_that_word() -> None:
    half = Statement("not_received", False, ("incomplete",))
    assert ON_TIME_AND_COMPLETE.amended_by(half) == half


def test_an_arrival_replaces_not_received() -> None:
    assert NOT_RECEIVED.amended_by(Statement(arrival="late")) == Statement(arrival="late")
    assert NOT_RECEIVED.amended_by(ON_TIME_AND_COMPLETE) == ON_TIME_AND_COMPLETE


def test_complete_and_conditions_are_one_subject() -> None:
    damaged = Statement("on_time", False, ("damaged",))
    assert damaged.amended_by(Statement(complete=True)) == Statement("on_time", True)
    assert Statement(complete=True).amended_by(Statement(conditions=("wrong",))) == Statement(conditions=("wrong",))


@given(STATEMENTS)
def test_stating_the_same_again_changes_nothing(statement: Statement) -> None:
    assert statement.amended_by(statement) == statement
    assert Statement().amended_by(statement) == statement


@given(STATEMENTS, STATEMENTS)
def test_the_later_statement_always_counts(earlier: Statement, later: Statement) -> None:
    amended = earlier.amended_by(later)
    for name in ("arrival", "score", "comment", "arrived_at"):
        if getattr(later, name) is not None:
            assert getattr(amended, name) == getattr(later, name)
    if later.mentions_goods:
        assert (amended.complete, amended.conditions) == (later.complete, later.conditions)


@given(STATEMENTS)
def test_a_statement_survives_being_stored(statement: Statement) -> None:
    stored = msgspec.json.encode(statement)
    assert msgspec.json.decode(stored, type=Statement) == statement


def test_a_statement_is_stored_under_the_names_it_always_had() -> None:
    full = Statement("late", False, ("damaged",), Score(3), "wet", NOON)
    assert msgspec.json.decode(msgspec.json.encode(full)) == {
        "arrival": "late",
        "complete": False,
        "conditions": ["damaged"],
        "score": {"value": 3, "scale": 10},
        "comment": "wet",
        "arrived_at": "2026-03-02T12:00:00Z",
    }
    assert msgspec.json.encode(Statement()) == b"{}"


# --- the current answer of each contact ---------------------------------------------------------------------


def test_a_form_amended_to_not_received_leaves_no_goods_in_the_experience() -> None:
    first, second = answer("1", 0, ON_TIME_AND_COMPLETE), answer("2", 1, NOT_RECEIVED)
    (current,) = current_answers([first, second])
    assert (current.arrival, current.complete, current.arrived_at) == ("not_received", None, None)
    assert experience_of([current]) == Experience(1.0, None, None, None, 1)


def test_an_amendment_keeps_the_words_and_carries_its_own_time() -> None:
    first = answer("1", 0, Statement("late", score=Score(2), comment="nobody rang"))
    second = answer("2", 1, Statement("on_time"))
    (current,) = current_answers([second, first])
    assert current == answer("2", 1, Statement("on_time", score=Score(2), comment="nobody rang"))


def test_an_undated_answer_comes_before_all_others() -> None:
    undated = CommentedAnswer("ana", "erp", "9", None, arrival="on_time")
    (current,) = current_answers([answer("1", 0, Statement("late")), undated])
    assert (current.arrival, current.id) == ("late", "1")


def test_one_answer_is_returned_as_it_is() -> None:
    plain = Answer("ana", "erp", "1", complete=True)
    assert current_answers([plain])[0] is plain
    assert current_answers([]) == []


@given(ANSWERS, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(answers: list[CommentedAnswer], shuffle: Random) -> None:
    expected = current_answers(answers)
    shuffle.shuffle(answers)
    assert current_answers(answers) == expected


@given(ANSWERS)
def test_a_current_answer_stays_current(answers: list[CommentedAnswer]) -> None:
    current = current_answers(answers)
    assert current_answers(current) == current
    assert current == sorted(current, key=answer_rank)


@given(ANSWERS)
def test_no_contact_amends_the_answer_of_another(answers: list[CommentedAnswer]) -> None:
    together = {one.contact_id: one for one in current_answers(answers)}
    for contact_id in {one.contact_id for one in answers}:
        alone = current_answers(one for one in answers if one.contact_id == contact_id)
        assert alone == [together[contact_id]]


@given(ANSWERS)
def test_the_comment_changes_nothing_else(answers: list[CommentedAnswer]) -> None:
    plain = [Answer(*(getattr(one, name) for name in Answer.__struct_fields__)) for one in answers]
    current = [Answer(*(getattr(one, name) for name in Answer.__struct_fields__)) for one in current_answers(answers)]
    assert current == current_answers(plain)
