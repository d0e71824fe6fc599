"""The Twilio account that sends and receives text messages."""

import re
from typing import Annotated, ClassVar

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from pipeline.settings.base import SettingsGroup


class TwilioSettings(SettingsGroup):
    """Credentials, sender and API of Twilio."""

    subject: ClassVar[str] = "Twilio"

    twilio_account_sid: str | None = Field(None, description="SID of the Twilio account that sends (AC...)")
    twilio_auth_token: SecretStr | None = Field(
        None, description="auth token of the account. It verifies the signature of Twilio's webhook calls"
    )
    twilio_api_key: str | None = Field(
        None, description="SID of an API key (SK...) to send with. Without it, the auth token is used"
    )
    twilio_api_secret: SecretStr | None = Field(None, description="secret of the API key")
    twilio_messaging_service: str | None = Field(
        None, description="SID of the messaging service to send through (MG...)"
    )
    twilio_from: str | None = Field(
        None, description="phone number or sender name to send from if no messaging service is set"
    )
    twilio_whatsapp_from: str | None = Field(
        None, pattern=r"^\+[0-9]{7,15}$", description="number of your WhatsApp sender at Twilio, as in +14155238886"
    )
    twilio_whatsapp_templates: Annotated[dict[str, str], NoDecode] = Field(
        {},
        description="ContentSids of your approved templates by language, or by language and purpose (delivery, "
        "missing_scan, reminder, settled), as in en=HX...,en.reminder=HX... The purpose settled needs its own, and so "
        "does each response (looking_into_it, will_call, on_its_way, put_right, please_call), as in en.will_call=HX... "
        "Their variables: 1 company, 2 order, 3 link",
    )
    twilio_url: str = Field("https://api.twilio.com", description="base URL of the Twilio API. Tests use another one")

    @field_validator("twilio_whatsapp_templates", mode="before")
    @classmethod
    def _parse_templates(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        parts = [part.strip() for part in value.split(",") if part.strip()]
        wrong = [part for part in parts if not re.fullmatch(r"[a-z]{2}(\.[a-z_]+)?=HX[0-9a-fA-F]{32}", part)]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is not like en=HX followed by 32 hexadecimal digits")
        return dict(part.split("=", 1) for part in parts)
