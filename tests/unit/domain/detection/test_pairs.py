"""The pair: what is observed of a claim, and when it is embellished or understated."""

from typing import Any

import pytest

from pipeline.domain.answers.answer import Answer
from pipeline.domain.detection.pairs import (
    EXPERIENCE,
    IN_FULL,
    ON_TIME,
    Experience,
    experience_of,
    observations,
    pair_changes,
    verdict,
)
from pipeline.domain.events.contract import Score
from pipeline.domain.orders.claims import Claim
from pipeline.domain.orders.dialogue import Ask, CountedPair
from pipeline.domain.orders.order import Order
from tests.support.builders import at

GOOD = Claim(at(), on_time_first=True, on_time_latest=True, in_full=True)
LATE = Claim(at(), on_time_first=False, on_time_latest=False, in_full=True)
SHORT = Claim(at(), on_time_first=True, on_time_latest=True, in_full=False)
UNCOUNTED = Claim(at(), on_time_first=True, on_time_latest=True, in_full=None)


def answer_fields(who: str = "ana", **more: Any) -> Answer:
    return Answer(who, "erp", f"answer of {who}", **more)


def experienced(*answers: Answer) -> Experience:
    return experience_of(answers)


def test_without_an_answer_there_is_no_experience() -> None:
    assert experienced() == Experience(None, None, None, None, 0)


def test_an_empty_answer_still_counts_as_a_stakeholder() -> None:
    assert experienced(answer_fields()) == Experience(None, None, None, None, 1)


@pytest.mark.parametrize(("arrival", "late"), [("on_time", 0.0), ("late", 1.0), ("not_received", 1.0)])
def test_late_means_not_received_on_time(arrival: Any, late: float) -> None:
    assert experienced(answer_fields(arrival=arrival)).late == late


@pytest.mark.parametrize(
    ("complete", "condition", "incomplete", "faulty"),
    [
        (True, [], 0.0, 0.0),
        (False, [], 1.0, 1.0),
        (True, ["damaged"], 1.0, 1.0),
        (None, ["wrong"], 1.0, 1.0),
        (None, ["incomplete"], 1.0, 1.0),
        (None, ["papers_missing"], 0.0, 1.0),
        (True, ["papers_missing"], 0.0, 1.0),
        (None, ["papers_missing", "damaged"], 1.0, 1.0),
        (None, [], None, None),
    ],
)
def test_goods_without_papers_were_received_and_are_faulty(
    complete: bool | None, condition: Any, incomplete: float | None, faulty: float | None
) -> None:
    experience = experienced(answer_fields(complete=complete, condition=condition))
    assert (experience.incomplete, experience.faulty) == (incomplete, faulty)


@pytest.mark.parametrize(
    ("score", "detractor"), [(Score(6, 10), 1.0), (Score(7, 10), 0.0), (Score(2, 5), 1.0), (Score(3, 5), 0.0)]
)
def test_detractors_are_zero_to_six_of_ten_and_one_or_two_of_five(score: Score, detractor: float) -> None:
    assert experienced(answer_fields(score=score)).detractor == detractor


def test_each_figure_is_the_mean_of_the_answers_that_mention_it() -> None:
    experience = experienced(
        answer_fields("ana", arrival="late", score=Score(1, 5)),
        answer_fields("ben", arrival="on_time", complete=True),
        answer_fields("cleo", arrival="on_time", complete=False, score=Score(9, 10)),
        answer_fields("dan", score=Score(10, 10)),
    )
    assert experience == Experience(late=1 / 3, incomplete=0.5, faulty=0.5, detractor=1 / 3, stakeholders=4)


BAD = Experience(late=1.0, incomplete=1.0, faulty=1.0, detractor=1.0, stakeholders=1)
FINE = Experience(late=0.0, incomplete=0.0, faulty=0.0, detractor=0.0, stakeholders=1)


@pytest.mark.parametrize(
    ("claim", "signals"),
    [
        (GOOD, {ON_TIME, IN_FULL, EXPERIENCE}),
        (LATE, {IN_FULL}),
        (SHORT, {ON_TIME}),
        (UNCOUNTED, {ON_TIME, EXPERIENCE}),
        (Claim(at()), set()),
        (None, set()),
    ],
)
def test_only_good_claims_are_observed(claim: Claim | None, signals: set[str]) -> None:
    assert set(observations(claim, BAD)) == signals
    assert set(observations(claim, FINE)) == signals
    assert observations(claim, experienced(answer_fields())) == {}


def test_an_observation_is_the_share_of_answers_that_contradict_the_claim() -> None:
    third = Experience(late=1 / 3, incomplete=None, faulty=None, detractor=0.25, stakeholders=4)
    assert observations(GOOD, third) == {ON_TIME: 1 / 3, EXPERIENCE: 0.25}


@pytest.mark.parametrize(
    ("claim", "experience", "expected"),
    [
        (GOOD, FINE, "agrees"),
        (GOOD, BAD, "embellished"),
        (GOOD, Experience(1.0, None, None, None, 1), "embellished"),
        (GOOD, Experience(None, 1.0, 1.0, None, 1), "embellished"),
        (GOOD, Experience(0.0, 0.0, 0.0, 1.0, 1), "embellished"),
        (GOOD, Experience(0.5, None, None, None, 2), "embellished"),
        (GOOD, Experience(1 / 3, None, None, None, 3), "agrees"),
        (GOOD, Experience(None, None, None, None, 1), "not_comparable"),
        (LATE, Experience(0.0, None, None, None, 1), "understated"),
        (LATE, Experience(0.5, None, None, None, 2), "agrees"),
        (LATE, Experience(1.0, 0.0, 0.0, 1.0, 1), "agrees"),
        (LATE, Experience(0.0, 1.0, 1.0, None, 1), "embellished"),
        (SHORT, Experience(None, 0.0, 0.0, None, 1), "understated"),
        (SHORT, Experience(0.0, 1.0, 1.0, 1.0, 1), "agrees"),
        (LATE, Experience(None, None, None, 1.0, 1), "not_comparable"),
        (SHORT, Experience(None, None, None, 0.0, 1), "not_comparable"),
        (Claim(at()), BAD, "not_comparable"),
        (None, BAD, "not_comparable"),
    ],
)
def test_a_verdict_states_whether_claim_or_experience_is_better(
    claim: Claim | None, experience: Experience, expected: str
) -> None:
    assert verdict(claim, experience) == expected


def order_with(claim: Claim, *answers: Answer, counted: dict[str, CountedPair] | None = None) -> Order:
    order = Order("SO-1")
    order.dialogue.asks.append(Ask("ana", "delivery", at(), claim))
    order.dialogue.answers.extend(answers)
    order.dialogue.pairs.update(counted or {})
    return order


def settled(order: Order, today: int) -> dict[str, tuple[CountedPair, float | None]]:
    claim = order.dialogue.claim_when_asked()
    assert claim is not None
    return pair_changes(order, claim, experience_of(order.dialogue.current_answers()), today)


def test_a_new_pair_has_the_day_of_receipt() -> None:
    assert settled(order_with(GOOD, answer_fields(arrival="late")), 700) == {ON_TIME: (CountedPair(700, 1.0), None)}


def test_a_changed_pair_keeps_its_day() -> None:
    order = order_with(
        GOOD,
        answer_fields("ana", arrival="late"),
        answer_fields("ben", arrival="on_time"),
        counted={ON_TIME: CountedPair(700, 1.0)},
    )
    assert settled(order, 709) == {ON_TIME: (CountedPair(700, 0.5), 1.0)}


def test_an_unchanged_pair_is_not_published_again() -> None:
    order = order_with(
        GOOD,
        answer_fields("ana", arrival="late"),
        answer_fields("ben", arrival="late"),
        counted={ON_TIME: CountedPair(700, 1.0)},
    )
    assert settled(order, 709) == {}


def test_a_signal_keeps_the_day_on_which_it_was_first_mentioned() -> None:
    order = order_with(
        GOOD, answer_fields(arrival="late", score=Score(9, 10)), counted={ON_TIME: CountedPair(700, 1.0)}
    )
    assert settled(order, 709) == {EXPERIENCE: (CountedPair(709, 0.0), None)}


def test_without_a_question_there_is_no_claim_to_compare() -> None:
    assert Order("SO-1").dialogue.claim_when_asked() is None


def test_the_claim_is_the_one_of_the_first_question() -> None:
    order = order_with(LATE, answer_fields(arrival="late"))
    order.dialogue.asks.append(Ask("ben", "delivery", at(hours=-1), GOOD))
    assert settled(order, 700) == {ON_TIME: (CountedPair(700, 1.0), None)}
    assert order.dialogue.claim_when_asked() == GOOD
