"""The decision right before a question is sent: send it, wait, or end the ask."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipeline.domain.asking.ask_states import SendOutcome
from pipeline.domain.asking.calendars import Place
from pipeline.domain.asking.channels import MAX_QUEUE_TIME, SMS, Channel
from pipeline.domain.asking.policy import Policy
from pipeline.domain.asking.send_decision import End, Go, SendEligibility, Wait, before_sending
from pipeline.domain.events.contract import Consent, Contact

DECIDED_AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
EMAIL = Channel("email", address_kind="email", consent_kind="email")


def due(**known: Any) -> SendEligibility:
    """A due ask of a contact who agreed to SMS, decided at noon."""
    ana = Contact("ana", "receiver", phone="digest", consent=Consent(sms=True))
    fine: dict[str, Any] = {"contact": ana, "channel": SMS, "address": "digest", "opted_out": False}
    fine["places"] = {Place("UTC")}
    return SendEligibility(DECIDED_AT, **(fine | known))


def test_every_condition_is_checked_again_before_sending() -> None:
    now = DECIDED_AT
    assert before_sending(due(), Policy(), now) == Go(MAX_QUEUE_TIME)
    assert before_sending(due(), Policy(), now.replace(hour=19)) == Go(timedelta(hours=1))
    late = now.replace(hour=19, minute=59)
    assert before_sending(due(), Policy(), late) == Wait(now.replace(day=3, hour=8)), "a minute is too short to be sent"
    assert before_sending(due(opted_out=True), Policy(), now) == End(SendOutcome.OPTED_OUT)
    assert before_sending(due(), Policy(), now + timedelta(hours=48)) == End(SendOutcome.GIVEN_UP)
    assert before_sending(due(address=None), Policy(), now) == Wait(now + timedelta(hours=48)), "until it is given up"
    assert before_sending(due(contact=None), Policy(), now) == Go(MAX_QUEUE_TIME), "removed from the order since"


def test_a_channel_may_allow_less_time_in_the_queue() -> None:
    short = replace(SMS, max_queue_time=timedelta(minutes=10))
    assert before_sending(due(channel=short), Policy(), DECIDED_AT) == Go(timedelta(minutes=10))


@pytest.mark.parametrize("consent", [None, Consent(), Consent(sms=False, email=False)])
@pytest.mark.parametrize("channel", [SMS, EMAIL, None])
def test_withdrawn_consent_counts_as_opting_out(consent: Consent | None, channel: Channel | None) -> None:
    contact = Contact("ana", "receiver", phone="digest", consent=consent)
    assert before_sending(due(contact=contact, channel=channel), Policy(), DECIDED_AT) == End(SendOutcome.OPTED_OUT)


def test_consent_to_another_channel_is_never_an_opt_out() -> None:
    by_mail = Contact("ana", "receiver", email="digest", consent=Consent(email=True))
    assert before_sending(due(contact=by_mail), Policy(), DECIDED_AT) == End(SendOutcome.NO_CHANNEL)
    assert before_sending(due(contact=by_mail, channel=EMAIL), Policy(), DECIDED_AT) == Go(MAX_QUEUE_TIME)


def test_an_ask_waits_for_an_unavailable_channel_and_then_ends_without_a_channel() -> None:
    over = DECIDED_AT + timedelta(hours=48)
    assert before_sending(due(channel=None), Policy(), DECIDED_AT) == Wait(over)
    assert before_sending(due(channel=None), Policy(), over) == End(SendOutcome.NO_CHANNEL)
