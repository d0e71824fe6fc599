"""Messages, and a Twilio adapter that sends them."""

from datetime import UTC, datetime, timedelta

from pipeline.domain.asking.ask_states import hashed
from pipeline.notifiers.channels.twilio.sms import TwilioSms
from pipeline.notifiers.port import Message
from tests.support.provider import ACCOUNT, TOKEN

NOW = datetime.now(UTC)
TO, LINK = "+447700900123", "A" * 22


def adapter(url: str, total: float = 5, **sender: str | None) -> TwilioSms:
    known: dict[str, str | None] = {"service": None, "sender": "+15005550006"}
    return TwilioSms(
        (ACCOUNT, TOKEN, ACCOUNT), public_url="https://ask.example.com", api=url, total=total, **known | sender
    )


def message(link: str = LINK) -> Message:
    return Message(
        to=TO,
        body=f"How was it? https://ask.example.com/f/{link} STOP to end",
        link_hash=hashed(link),
        callback_token="callback-token",
        valid_for=timedelta(minutes=90),
        sending_at=NOW,
        account_id="A-1",
        contact_id="ana",
        order_id="SO-1",
    )
