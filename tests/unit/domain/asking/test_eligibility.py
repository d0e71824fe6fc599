"""Eligibility: every rule in order, the limits per contact and account, and the sample."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pipeline.domain.asking.address_rest import AddressUse
from pipeline.domain.asking.channels import SMS, Channel
from pipeline.domain.asking.eligibility import (
    ENDED,
    NO_CONTACT,
    WITHIN_REACH,
    Decision,
    History,
    Reason,
    address,
    decide,
    nearest,
    reminder,
)
from pipeline.domain.asking.policy import Policy
from pipeline.domain.events.contract import Consent, Contact, Purpose
from pipeline.domain.orders.claims import NO_CLAIM
from pipeline.domain.orders.dialogue import Ask
from pipeline.domain.orders.order import Order
from tests.support.builders import at, completed, contact, event

NOW = at(days=20)
POLICY = Policy()
NOTHING = History({}, 0, frozenset())
BY_MAIL: dict[str, Any] = {"phone": None, "email": "ana@example.com", "consent": {"email": True}}
EITHER: dict[str, Any] = {"email": "ana@example.com", "consent": {"sms": True, "email": True}}
EMAIL = Channel("email", address_kind="email", consent_kind="email")
BOTH = Policy(channels=(SMS, EMAIL))


def order_of(*contacts: dict[str, Any], order_id: str = "SO-1", historic: bool = False) -> Order:
    order = Order(order_id)
    order.facts.apply_completed(event(completed(order_id, contacts=list(contacts), _={"historic": historic})))
    return order


def reasons(
    order: Order, history: History = NOTHING, policy: Policy = POLICY, purpose: Purpose = "delivery"
) -> list[Reason | None]:
    return [decision.reason for decision in decide(order, purpose, history, policy, NOW)]


def people(count: int) -> list[dict[str, Any]]:
    return [contact(f"c{n}", phone=f"+4477009001{n:02}") for n in range(count)]


# --- each rule ----------------------------------------------------------------------------------------------


def test_a_receiver_who_agreed_and_has_a_phone_is_asked() -> None:
    assert decide(order_of(contact()), "delivery", NOTHING, POLICY, NOW) == [Decision("ana", None, "sms")]


def test_no_contact_is_asked_about_a_historic_order() -> None:
    assert decide(order_of(contact(), historic=True), "delivery", NOTHING, POLICY, NOW) == [
        Decision(NO_CONTACT, Reason.HISTORIC)
    ]


def test_an_order_without_contacts_leads_to_no_question() -> None:
    assert decide(order_of(), "delivery", NOTHING, POLICY, NOW) == [Decision(NO_CONTACT, Reason.NO_REACHABLE_CONTACT)]


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("receiver", None),
        ("user", None),
        ("purchaser", None),
        ("decision_maker", Reason.WRONG_ROLE),
        ("gatekeeper", Reason.WRONG_ROLE),
    ],
)
def test_only_contacts_of_some_roles_are_asked(role: str, expected: Reason | None) -> None:
    assert reasons(order_of(contact(role=role))) == [expected]


def test_which_roles_are_asked_is_a_setting() -> None:
    assert reasons(order_of(contact(role="gatekeeper")), policy=Policy(roles=frozenset({"gatekeeper"}))) == [None]


@pytest.mark.parametrize("consent", [None, {}, {"sms": False, "email": False}])
def test_a_contact_without_recorded_consent_is_not_asked(consent: dict[str, bool] | None) -> None:
    assert reasons(order_of(contact(consent=consent))) == [Reason.NO_CONSENT]


@pytest.mark.parametrize(
    ("known", "expected", "channel"),
    [
        ({"consent": {"sms": True}}, None, "sms"),
        (BY_MAIL, None, "email"),
        (EITHER, None, "sms"),
        (EITHER | {"phone": None}, None, "email"),
        (EITHER | {"email": None}, None, "sms"),
        (BY_MAIL | {"consent": {"sms": True}}, Reason.NO_REACHABLE_CONTACT, ""),
        ({"email": None, "consent": {"email": True}}, Reason.NO_REACHABLE_CONTACT, ""),
        ({"phone": None, "email": None}, Reason.NO_REACHABLE_CONTACT, ""),
        ({"consent": None}, Reason.NO_CONSENT, ""),
    ],
)
def test_a_contact_is_asked_on_the_channel_of_the_consent(
    known: dict[str, Any], expected: Reason | None, channel: str
) -> None:
    """With both channels available."""
    assert decide(order_of(contact(**known)), "delivery", NOTHING, BOTH, NOW) == [Decision("ana", expected, channel)]


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (BY_MAIL, Reason.NO_CHANNEL),
        (EITHER, None),
        (EITHER | {"phone": None}, Reason.NO_REACHABLE_CONTACT),
        (BY_MAIL | {"consent": {}}, Reason.NO_CONSENT),
        (BY_MAIL | {"role": "gatekeeper"}, Reason.WRONG_ROLE),
    ],
)
def test_consent_to_an_unavailable_channel_gives_no_channel(known: dict[str, Any], expected: Reason | None) -> None:
    """With SMS only."""
    assert reasons(order_of(contact(**known))) == [expected]


def test_channels_are_chosen_in_the_order_of_preference() -> None:
    mail_first = Policy(channels=(EMAIL, SMS))
    assert decide(order_of(contact(**EITHER)), "delivery", NOTHING, mail_first, NOW) == [Decision("ana", None, "email")]


def test_without_any_channel_no_contact_is_asked() -> None:
    assert reasons(order_of(contact(**EITHER)), policy=Policy(channels=())) == [Reason.NO_CHANNEL]


def test_a_reminder_uses_the_channel_available_now() -> None:
    order = order_of(contact(**BY_MAIL))
    assert reminder(order, "ana", BOTH) == Decision("ana", None, "email")
    assert reminder(order, "gone", BOTH) == Decision("gone", None, "sms"), "removed from the order since"


def test_an_opt_out_applies_to_its_address_only() -> None:
    history = History({}, 0, frozenset({"ana@example.com"}))
    assert reasons(order_of(contact(**BY_MAIL)), history, BOTH) == [Reason.OPTED_OUT]
    assert reasons(order_of(contact(email="ana@example.com")), history) == [None], "the phone is another address"


@pytest.mark.parametrize(
    ("rested", "expected"),
    [
        (timedelta(0), Reason.ASKED_RECENTLY),
        (POLICY.contact_rest - timedelta(seconds=1), Reason.ASKED_RECENTLY),
        (POLICY.contact_rest, None),
    ],
)
def test_a_contact_is_not_asked_again_within_the_rest_period(rested: timedelta, expected: Reason | None) -> None:
    assert reasons(order_of(contact()), History({"ana": NOW - rested}, 0, frozenset())) == [expected]
    assert reasons(order_of(contact("ben")), History({"ana": NOW - rested}, 0, frozenset())) == [None]


def test_an_account_is_asked_up_to_its_cap_in_a_period() -> None:
    policy = Policy(account_cap=3)
    assert reasons(order_of(contact()), History({}, 2, frozenset()), policy) == [None]
    assert reasons(order_of(contact()), History({}, 3, frozenset()), policy) == [Reason.ACCOUNT_CAP]


def test_the_cap_applies_within_one_order() -> None:
    expected = [None, None, Reason.ACCOUNT_CAP, Reason.ACCOUNT_CAP]
    assert reasons(order_of(*people(4)), History({}, 1, frozenset()), Policy(account_cap=3)) == expected


def test_a_refused_contact_does_not_count_towards_the_cap() -> None:
    refused, *others = people(3)
    assert reasons(order_of(refused | {"consent": None}, *others), policy=Policy(account_cap=2)) == [
        Reason.NO_CONSENT,
        None,
        None,
    ]


def test_one_phone_is_asked_once_about_an_order_under_any_contact_id() -> None:
    assert reasons(order_of(contact("ana"), contact("ben"))) == [None, Reason.DUPLICATE]


def test_an_address_already_asked_about_the_order_is_a_duplicate_under_any_contact_id() -> None:
    order = order_of(contact("ana"), contact("ben"), contact("cleo", phone="+447700900999"))
    order.dialogue.asks.append(Ask("ana", "missing_scan", at(), NO_CLAIM))
    assert reasons(order) == [Reason.DUPLICATE, Reason.DUPLICATE, None]


def test_a_contact_already_asked_for_this_purpose_is_not_asked_at_a_new_address() -> None:
    order = order_of(contact("ana"))
    order.dialogue.asks.append(Ask("gone", "delivery", at(), NO_CLAIM))
    assert reasons(order) == [None], "another contact was"
    order.dialogue.asks.append(Ask("ana", "delivery", at(), NO_CLAIM))
    assert reasons(order) == [Reason.DUPLICATE]


def test_a_contact_named_twice_gets_one_decision() -> None:
    """One contact in two roles: only one decision about a contact can be recorded."""
    twice = order_of(contact("ana", role="gatekeeper"), contact("ana", role="receiver"))
    assert decide(twice, "delivery", NOTHING, POLICY, NOW) == [Decision("ana", None, "sms")]
    assert reasons(order_of(contact("ana"), contact("ana"))) == [None]


def test_an_address_that_cannot_be_read_is_another_reason_than_none() -> None:
    unreadable: dict[str, Any] = {"phone": None, "unusable_addresses": ["phone"]}
    assert reasons(order_of(contact(**unreadable))) == [Reason.INVALID_ADDRESS]
    assert reasons(order_of(contact(**unreadable | {"consent": {"email": True}}))) == [Reason.NO_CHANNEL]
    assert reasons(order_of(contact(phone=None, unusable_addresses=["email"]))) == [Reason.NO_REACHABLE_CONTACT]


def test_an_address_where_nobody_can_be_reached_rests_and_another_of_the_contact_does_not() -> None:
    history = replace(NOTHING, undeliverable=frozenset({"+447700900123"}))
    assert reasons(order_of(contact()), history) == [Reason.UNDELIVERABLE]
    assert reasons(order_of(contact(phone="+447700900124")), history) == [None]


# --- the rules together -------------------------------------------------------------------------------------

GATES = [
    Reason.HISTORIC,
    Reason.WRONG_ROLE,
    Reason.NO_CONSENT,
    Reason.NO_CHANNEL,
    Reason.NO_REACHABLE_CONTACT,
    Reason.OPTED_OUT,
    Reason.UNDELIVERABLE,
    Reason.SAMPLED_OUT,
    Reason.ASKED_RECENTLY,
    Reason.ADDRESS_ASKED_RECENTLY,
    Reason.DUPLICATE,
    Reason.ACCOUNT_CAP,
    Reason.ROLE_CAP,
]
FAILING: dict[Reason, dict[str, Any]] = {
    Reason.WRONG_ROLE: {"role": "gatekeeper"},
    Reason.NO_CONSENT: {"consent": None},
    Reason.NO_CHANNEL: {"consent": {"email": True}},
    Reason.NO_REACHABLE_CONTACT: {"phone": None},
}


@pytest.mark.parametrize("first", range(len(GATES)), ids=lambda n: GATES[n])
def test_the_first_failed_rule_is_the_reason(first: int) -> None:
    """An order that fails this rule and all later ones."""
    failed = set(GATES[first:])
    changes: dict[str, Any] = {}
    for reason, change in reversed(FAILING.items()):
        if reason in failed:
            changes |= change
    history = History(
        {"ana": NOW} if Reason.ASKED_RECENTLY in failed else {},
        10 if Reason.ACCOUNT_CAP in failed else 0,
        frozenset({"+447700900123"}) if Reason.OPTED_OUT in failed else frozenset(),
        {"+447700900123": [AddressUse("A-2", NOW)]} if Reason.ADDRESS_ASKED_RECENTLY in failed else {},
        undeliverable=frozenset({"+447700900123"}) if Reason.UNDELIVERABLE in failed else frozenset(),
        asked_by_role={"receiver": 2} if Reason.ROLE_CAP in failed else {},
    )
    order = order_of(contact(**changes), historic=Reason.HISTORIC in failed)
    if Reason.DUPLICATE in failed:
        order.dialogue.asks.append(Ask("ana", "delivery", at(), NO_CLAIM))
    rate = 0.0 if Reason.SAMPLED_OUT in failed else 1.0
    assert reasons(order, history, Policy(sample_rate=rate, role_caps=(("receiver", 2),))) == [GATES[first]]


def test_the_reason_of_an_order_is_that_of_the_contact_who_passed_most_rules() -> None:
    assert nearest([Reason.NO_CONSENT, Reason.OPTED_OUT, Reason.WRONG_ROLE]) is Reason.OPTED_OUT
    assert nearest(["account_cap", "historic"]) is Reason.ACCOUNT_CAP
    for nearer, further in zip(list(Reason)[1:], Reason, strict=False):
        assert nearest([further, nearer]) is nearest([nearer, further]) is nearer


def test_every_contact_that_could_have_been_asked_is_contactable() -> None:
    never = {Reason.HISTORIC, Reason.WRONG_ROLE, Reason.NO_CONSENT, Reason.NO_CHANNEL, Reason.NO_REACHABLE_CONTACT}
    never |= {Reason.OPTED_OUT, Reason.REJECTED, Reason.INVALID_ADDRESS, Reason.UNDELIVERABLE} | ENDED
    assert set(Reason) - never == WITHIN_REACH


# --- the sample ---------------------------------------------------------------------------------------------


def sampled(rate: float, count: int = 4_000) -> set[str]:
    policy = Policy(sample_rate=rate)
    named = (f"SO-{n}" for n in range(count))
    return {order_id for order_id in named if reasons(order_of(contact(), order_id=order_id), policy=policy) == [None]}


def test_the_sample_is_as_large_as_it_should_be_and_always_the_same() -> None:
    third = sampled(0.3)
    assert third == sampled(0.3)
    assert 1_200 - 120 < len(third) < 1_200 + 120, "more than four standard deviations would be no accident"
    assert sampled(0.0, 200) == set()
    assert len(sampled(1.0, 200)) == 200


def test_a_larger_sample_contains_the_smaller_one() -> None:
    assert sampled(0.2, 500) < sampled(0.5, 500)


def test_two_contacts_of_one_order_are_sampled_independently() -> None:
    policy = Policy(sample_rate=0.5)
    pairs = [reasons(order_of(*people(2), order_id=f"SO-{n}"), policy=policy) for n in range(100)]
    assert {(first is None, second is None) for first, second in pairs} == {
        (a, b) for a in (True, False) for b in (True, False)
    }


def test_the_address_is_that_of_the_chosen_channel() -> None:
    assert address(Contact("ana", "receiver", phone="digest"), (SMS,)) is None, "no consent"
    consent = Consent(sms=True, email=True)
    ana = Contact("ana", "receiver", phone="of the phone", email="of the mailbox", consent=consent)
    assert (address(ana, (SMS, EMAIL)), address(ana, (EMAIL,)), address(ana, ())) == (
        "of the phone",
        "of the mailbox",
        None,
    )
