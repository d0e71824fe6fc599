"""Builds the channel from the settings, and checks them."""

from functools import partial
from typing import TYPE_CHECKING

from pipeline.notifiers.channels.twilio.paths import WHATSAPP_PREFIX
from pipeline.notifiers.port import Adapter, SettingsProblem
from pipeline.notifiers.wording.languages import SOURCE_LANGUAGE
from pipeline.settings import ConfigurationError, Settings

if TYPE_CHECKING:
    from pipeline.notifiers.channels.twilio.sms import TwilioSms

_LOCAL = ("://127.", "://localhost", "://[::1]")


def configure(settings: Settings) -> Adapter:
    """SMS through Twilio. Raises ConfigurationError naming the setting that is missing."""
    # Twilio's library loads slowly: only installations that use it wait for it.
    from pipeline.notifiers.channels.twilio.sms import TwilioSms
    from pipeline.notifiers.channels.twilio.webhooks import TwilioWebhooks

    account, token = settings.twilio_account_sid, settings.twilio_auth_token
    if account is None or token is None:
        raise ConfigurationError("twilio_sms needs UNVARNISHED_TWILIO_ACCOUNT_SID and UNVARNISHED_TWILIO_AUTH_TOKEN")
    if settings.twilio_messaging_service is None and settings.twilio_from is None:
        raise ConfigurationError("twilio_sms needs UNVARNISHED_TWILIO_MESSAGING_SERVICE or UNVARNISHED_TWILIO_FROM")
    public_url = settings.public_url.rstrip("/")
    sms = TwilioSms(
        _credentials(settings, account, token.get_secret_value()),
        service=settings.twilio_messaging_service,
        sender=settings.twilio_from,
        public_url=public_url,
        api=settings.twilio_url.rstrip("/"),
        total=settings.provider_timeout_seconds,
    )
    return Adapter(
        notifier=sms,
        inbox=_inbox(settings, sms),
        webhooks=TwilioWebhooks(account, [token.get_secret_value()], public_url),
        check=partial(_check, public_url),
        clock=sms.time,
    )


def configure_whatsapp(settings: Settings) -> Adapter:
    """WhatsApp through Twilio. Raises ConfigurationError naming the setting that is missing."""
    from pipeline.notifiers.channels.twilio.webhooks import WhatsAppWebhooks
    from pipeline.notifiers.channels.twilio.whatsapp import TwilioWhatsApp

    account, token = settings.twilio_account_sid, settings.twilio_auth_token
    if account is None or token is None or settings.twilio_whatsapp_from is None:
        raise ConfigurationError(
            "twilio_whatsapp needs UNVARNISHED_TWILIO_ACCOUNT_SID, UNVARNISHED_TWILIO_AUTH_TOKEN and "
            "UNVARNISHED_TWILIO_WHATSAPP_FROM"
        )
    if SOURCE_LANGUAGE not in settings.twilio_whatsapp_templates:
        raise ConfigurationError(
            "twilio_whatsapp needs UNVARNISHED_TWILIO_WHATSAPP_TEMPLATES with one for English: en=HX..."
        )
    public_url = settings.public_url.rstrip("/")
    whatsapp = TwilioWhatsApp(
        _credentials(settings, account, token.get_secret_value()),
        templates=settings.twilio_whatsapp_templates,
        service=None,
        sender=f"{WHATSAPP_PREFIX}{settings.twilio_whatsapp_from}",
        public_url=public_url,
        api=settings.twilio_url.rstrip("/"),
        total=settings.provider_timeout_seconds,
    )
    return Adapter(
        notifier=whatsapp,
        inbox=whatsapp,
        webhooks=WhatsAppWebhooks(account, [token.get_secret_value()], public_url),
        check=partial(_check, public_url),
    )


def _credentials(settings: Settings, account: str, token: str) -> tuple[str, str, str]:
    if settings.twilio_api_key is not None and settings.twilio_api_secret is not None:
        return settings.twilio_api_key, settings.twilio_api_secret.get_secret_value(), account
    return account, token, account


def _inbox(settings: Settings, sms: "TwilioSms") -> "TwilioSms | None":
    """The list of inbound texts. A sender name instead of a number cannot be replied to, so there is none."""
    number = (settings.twilio_from or "").lstrip("+")
    return sms if settings.twilio_messaging_service is not None or number.isdecimal() else None


def _check(public_url: str) -> SettingsProblem | None:
    """Twilio and the customers' phones must reach this installation, encrypted."""
    if any(local in public_url for local in _LOCAL):
        return SettingsProblem(
            "the links in messages lead to this machine", "set UNVARNISHED_PUBLIC_URL to the public address"
        )
    if not public_url.startswith("https://"):
        return SettingsProblem(
            "the links in messages are not encrypted", "set UNVARNISHED_PUBLIC_URL to an https:// URL"
        )
    return None
