"""How questions are sent, whatever the channel."""

from typing import ClassVar

from pydantic import Field

from pipeline.settings.base import SettingsGroup


class SendingSettings(SettingsGroup):
    """The channel in use and the limits of the dispatcher."""

    subject: ClassVar[str] = "Sending"

    notifier: str = Field(
        "phone",
        description="channels that questions are sent through, separated by commas, the preferred one first: "
        "twilio_sms, twilio_whatsapp, email; phone: the demo's page of customers' phones; console: standard output",
    )
    sms_segment_price: float | None = Field(
        None,
        ge=0,
        description="price of one segment of a text message, in any currency, for the costs that `unvarnished messages "
        "preview` shows",
    )
    dispatcher_concurrency: int = Field(
        64, ge=1, le=256, description="maximum number of messages that a dispatcher sends simultaneously"
    )
    provider_timeout_seconds: float = Field(
        10,
        gt=0,
        le=25,
        description="seconds in which the provider must answer a request completely. After that it is unknown whether "
        "the message was sent",
    )
    inbound_poll_minutes: float = Field(
        5,
        gt=0,
        le=120,
        description="minutes between two searches at the provider for replies whose webhook call was lost",
    )
