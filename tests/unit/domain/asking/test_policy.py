"""Limits and waits by role."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.asking.eligibility import Decision, History, Reason, decide, scheduled
from pipeline.domain.asking.policy import Policy
from pipeline.domain.asking.quiet_hours import places_of, quiet
from pipeline.domain.events.contract import ContactRole
from pipeline.domain.orders.claims import claim_of
from pipeline.domain.orders.order import Order
from pipeline.settings.asking import AskingSettings, numbers_by_role
from tests.support.builders import at, completed, contact, event, scanned
from tests.support.facts import apply

NO_QUIET_HOURS = Policy(quiet_from=Policy.quiet_until, quiet_until=Policy.quiet_until)
DAYS = st.integers(0, 60)


def order_of(role: ContactRole, zone: str | None = None) -> Order:
    order = Order("SO-1")
    apply(order.facts, event(completed(contacts=[contact(role=role, timezone=zone)])))
    apply(order.facts, event(scanned(time=at(hours=1))))
    order.dialogue.claim = claim_of(order.facts)
    return order


@given(rest=DAYS, general=DAYS, since=DAYS)
def test_a_contact_rests_as_long_as_its_role_says(rest: int, general: int, since: int) -> None:
    policy = Policy(contact_rest=timedelta(days=general), role_rests=(("user", timedelta(days=rest)),))
    now = at(days=100)
    history = History({"ana": now - timedelta(days=since)}, 0, frozenset())
    for role, days in (("user", rest), ("receiver", general)):
        [decision] = decide(order_of(role), "delivery", history, policy, now)  # type: ignore[arg-type]
        assert decision.reason == (Reason.ASKED_RECENTLY if since < days else None)
    assert policy.longest_rest >= timedelta(days=max(rest, general))


@given(cap=st.integers(0, 4), asked=st.integers(0, 4), people=st.integers(1, 4), total=st.integers(4, 9))
def test_no_more_contacts_in_a_role_are_asked_than_its_cap_allows(
    cap: int, asked: int, people: int, total: int
) -> None:
    """The cap of the account counts them, too; other roles have no cap of their own."""
    policy = Policy(account_cap=total, role_caps=(("user", cap),))
    named = [contact(f"u{n}", role="user", phone=f"+44770090010{n}") for n in range(people)]
    order = Order("SO-1")
    apply(order.facts, event(completed(contacts=[*named, contact("r", role="receiver")])))
    apply(order.facts, event(scanned(time=at(hours=1))))
    history = History({}, asked, frozenset(), asked_by_role={"user": asked})
    decisions = decide(order, "delivery", history, policy, at(hours=2))
    users = [decision.reason for decision in decisions if decision.contact_id != "r"]
    free = min(max(cap - asked, 0), total - asked, people)
    assert users[:free] == [None] * free
    assert set(users[free:]) <= {Reason.ROLE_CAP, Reason.ACCOUNT_CAP}
    if asked + free < total:
        assert decisions[-1].reason is None


def test_the_wait_after_the_delivery_is_that_of_the_role() -> None:
    policy = replace(NO_QUIET_HOURS, ask_after=timedelta(minutes=5), role_waits=(("user", timedelta(hours=30)),))
    for role, wait in (("user", timedelta(hours=30)), ("receiver", timedelta(minutes=5))):
        decision = Decision("ana", None, "sms")
        found = scheduled(order_of(role), decision, "delivery", policy, at(hours=1))  # type: ignore[arg-type]
        assert found.send_at == at(hours=1) + wait


@given(
    wait=st.integers(0, 2_800),
    zone=st.sampled_from(["Europe/Paris", "America/Sao_Paulo", "Asia/Kolkata", "Pacific/Apia", "Africa/Cairo"]),
    day=st.integers(0, 400),
)
def test_no_wait_of_a_role_ends_in_quiet_hours(wait: int, zone: str, day: int) -> None:
    policy = Policy(role_waits=(("user", timedelta(minutes=wait)),))
    order, now = order_of("user", zone), at(days=day)
    found = scheduled(order, Decision("ana", None, "sms"), "delivery", policy, now)
    assert found.send_at is not None
    assert found.send_at >= now
    assert not any(quiet(found.send_at, place, policy) for place in places_of(None, zone, policy))


@pytest.mark.parametrize("text", ["user", "user=", "driver=3", "user=-1", "user=1e9", "user=3;purchaser=4"])
def test_a_faulty_list_by_role_is_refused_with_the_faulty_part(text: str) -> None:
    with pytest.raises(ValueError, match="is not like purchaser=30"):
        numbers_by_role(text)


def test_a_wait_after_which_questions_are_given_up_is_refused() -> None:
    made = AskingSettings(ask_after_minutes_by_role="user=60", contact_rest_days_by_role="purchaser=30.5")
    assert made.policy.role_waits == (("user", timedelta(hours=1)),)
    assert made.policy.role_rests == (("purchaser", timedelta(days=30.5)),)
    assert AskingSettings(account_cap_by_role="purchaser=1,user=0").policy.role_caps == (("purchaser", 1), ("user", 0))
    with pytest.raises(ValueError, match="account_cap_by_role"):
        AskingSettings(account_cap_by_role="purchaser=1.5")
    with pytest.raises(ValueError, match="would be given up before they are sent"):
        AskingSettings(ask_after_minutes_by_role="user=2880")
