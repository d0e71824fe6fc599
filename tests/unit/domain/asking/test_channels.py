"""Which channel a contact is asked on: consent, address, preference, country, and what has failed for good."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.asking.channels import EMAIL, SMS, WHATSAPP, consents_to_any, serving_channel
from pipeline.domain.asking.eligibility import History, fallback
from pipeline.domain.asking.policy import Policy
from pipeline.domain.events.contract import Consent, Contact
from pipeline.settings.asking import channels_by_country

ALL = (SMS, WHATSAPP, EMAIL)
EVERYTHING = Consent(sms=True, email=True, whatsapp=True)
POLICY = Policy(channels=ALL, country_channels=(("IN", ("email", "whatsapp")), ("CN", ("email",))))


def person(**more: object) -> Contact:
    known = {"id": "ana", "role": "receiver", "phone": "p", "email": "e", "consent": EVERYTHING} | more
    return Contact(**known)  # type: ignore[arg-type]


def history(**more: frozenset[str]) -> History:
    return History({}, 0, more.pop("opted_out", frozenset()), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("more", "names"),
    [
        ({}, "sms whatsapp email"),
        ({"preferred_channel": "email"}, "email sms whatsapp"),
        ({"country": "IN"}, "email whatsapp"),
        ({"country": "IN", "preferred_channel": "whatsapp"}, "whatsapp email"),
        ({"country": "CN", "preferred_channel": "sms"}, "email"),
        ({"country": "FR"}, "sms whatsapp email"),
    ],
)
def test_preference_orders_what_the_country_allows(more: dict[str, object], names: str) -> None:
    assert " ".join(channel.name for channel in POLICY.channels_for(person(**more))) == names


@pytest.mark.parametrize(
    ("consent", "expected"),
    [(Consent(whatsapp=True), WHATSAPP), (Consent(email=True), EMAIL), (Consent(sms=True), SMS), (Consent(), None)],
)
def test_each_channel_needs_its_own_consent(consent: Consent, expected: object) -> None:
    contact = person(consent=consent)
    assert serving_channel(contact, ALL) is expected
    assert consents_to_any(contact) is (expected is not None)


def test_after_a_channel_failed_for_good_the_next_one_follows() -> None:
    assert fallback(person(), "sms", history(), POLICY) is WHATSAPP
    assert fallback(person(), "sms", history(undeliverable=frozenset({"p"})), POLICY) is EMAIL
    assert fallback(person(), "email", history(), POLICY) is None
    assert fallback(person(consent=Consent(sms=True)), "sms", history(), POLICY) is None
    assert fallback(person(), "sms", history(opted_out=frozenset({"p"})), POLICY) is None
    assert fallback(person(), None, history(), POLICY) is None


@given(st.sampled_from([*permutations(ALL)]), st.sampled_from(["sms", "whatsapp", "email"]))
def test_falling_back_ends_and_never_repeats_a_channel(order: tuple[object, ...], first: str) -> None:
    policy = Policy(channels=order)  # type: ignore[arg-type]
    tried, channel = [first], fallback(person(), first, history(), policy)
    while channel is not None:
        assert channel.name not in tried
        tried.append(channel.name)
        channel = fallback(person(), channel.name, history(), policy)
    assert len(tried) <= len(ALL)


def test_channels_by_country_are_read_or_refused() -> None:
    assert channels_by_country("IN=email, whatsapp; CN=email") == {"IN": ("email", "whatsapp"), "CN": ("email",)}
    assert channels_by_country("") == {}
    for wrong in ("IN", "india=email", "IN=pigeon"):
        with pytest.raises(ValueError, match="the channels are sms, whatsapp, email"):
            channels_by_country(wrong)
