"""The Twilio account that sends and receives text messages."""

from typing import ClassVar

from pydantic import Field, SecretStr

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
    twilio_url: str = Field("https://api.twilio.com", description="base URL of the Twilio API. Tests use another one")
