"""Who of an account was asked, answered or is silent, and the score by role with weights of influence."""

from typing import Any

from pipeline.domain.events.decoding import decode
from pipeline.domain.orders.claims import NO_CLAIM
from pipeline.domain.orders.dialogue import Ask, Refusal
from pipeline.domain.orders.order import Order
from pipeline.domain.reports.accounts.people import by_role, people_of, weighted_score
from tests.support.builders import answered, at, completed, contact


def order(number: int, asked: tuple[str, ...] = (), scores: dict[str, Any] | None = None) -> Order:
    made = Order(f"SO-{number}")
    people = [contact("ana", role="receiver"), contact("pia", role="purchaser"), contact("sam", role="purchaser")]
    made.facts.apply_completed(decode(completed(made.order_id, at(number), contacts=people)))
    for who in asked:
        made.dialogue.add_ask(Ask(who, "delivery", at(number), NO_CLAIM))
        made.dialogue.add_ask(Ask(who, "reminder", at(number, hours=2), NO_CLAIM))
        made.dialogue.add_ask(Ask(who, "settled", at(number, hours=9), NO_CLAIM))
    for who, score in (scores or {}).items():
        made.dialogue.apply_answer(decode(answered(made.order_id, at(number, hours=3), who, score=score)))
    return made


def test_an_order_counts_once_however_often_somebody_was_asked_about_it() -> None:
    [person] = [one for one in people_of([order(1, ("ana",))]) if one.contact_id == "ana"]
    assert (person.asked, person.answered, person.status) == (1, 0, "asked")
    assert person.last_asked == at(1, hours=2), "the question whether a case is settled is no question of ours here"


def test_two_orders_without_an_answer_make_somebody_silent_and_one_answer_ends_it() -> None:
    orders = [order(n, ("ana", "pia"), {"pia": {"value": 9}} if n == 2 else None) for n in (3, 2, 1)]
    status = {one.contact_id: one.status for one in people_of(orders)}
    assert status == {"ana": "silent", "pia": "answers", "sam": "not_asked"}
    assert people_of(orders)[0].contact_id == "ana", "the silent come first"


def test_why_somebody_was_not_asked_is_that_of_the_newest_order() -> None:
    newest, older = order(2), order(1)
    newest.dialogue.add_refusal(Refusal("ana", "delivery", "no_consent"))
    older.dialogue.add_refusal(Refusal("ana", "delivery", "duplicate"))
    [person] = [one for one in people_of([newest, older]) if one.contact_id == "ana"]
    assert (person.status, person.reason) == ("not_asked", "no_consent")


def test_scores_of_both_scales_are_compared_from_0_to_10() -> None:
    orders = [order(1, ("ana",), {"ana": {"value": 5, "scale": 5}}), order(2, ("pia",), {"pia": {"value": 3}})]
    roles = {one.role: one for one in by_role(people_of(orders), {"purchaser": 3, "receiver": 1})}
    assert [role.score.value for role in roles.values() if role.score] == [10.0, 3.0]
    assert roles["purchaser"].score is not None
    assert roles["purchaser"].score.low <= 3 <= roles["purchaser"].score.high
    assert (roles["purchaser"].people, roles["purchaser"].asked, roles["purchaser"].silent) == (2, 1, 0)
    assert weighted_score(roles.values()) == (3 * 3 + 10) / 4


def test_the_weights_change_the_score_of_the_account_and_nothing_else() -> None:
    people = people_of([order(1, ("ana", "pia"), {"ana": {"value": 10}, "pia": {"value": 0}})])
    even, all_purchaser = by_role(people, {}), by_role(people, {"receiver": 0, "purchaser": 100})
    assert weighted_score(even) == 5
    assert weighted_score(all_purchaser) == 0
    assert [one._replace(weight=0) for one in even] == [one._replace(weight=0) for one in all_purchaser]
    assert weighted_score(by_role(people, {"receiver": 0, "purchaser": 0})) is None


def test_an_account_without_answers_has_no_score() -> None:
    roles = by_role(people_of([order(1)]), {})
    assert [one.score for one in roles] == [None, None]
    assert weighted_score(roles) is None
    assert people_of([]) == []
