"""The channels that exist: one line for each. To add a channel, add one folder in `channels/` and one line here."""

from collections.abc import Callable
from typing import NamedTuple

from pipeline.domain.asking.channels import EMAIL, SMS, WHATSAPP, Channel
from pipeline.notifiers.channels.console import notifier as console
from pipeline.notifiers.channels.demo_phone import notifier as demo_phone
from pipeline.notifiers.channels.demo_phone.notifier import PhoneStore
from pipeline.notifiers.channels.email import channel as email
from pipeline.notifiers.channels.twilio import channel as twilio
from pipeline.notifiers.port import Adapter
from pipeline.settings import ConfigurationError, Settings


class Registration(NamedTuple):
    """A channel, and how its adapter is built. Building raises ConfigurationError if the settings are incomplete."""

    channel: Channel
    build: Callable[[Settings, PhoneStore], Adapter]


class ConfiguredChannel(NamedTuple):
    """A channel of this installation, connected to its provider."""

    channel: Channel
    adapter: Adapter


# By value of UNVARNISHED_NOTIFIER.
CHANNELS = {
    "twilio_sms": Registration(SMS, lambda settings, _: twilio.configure(settings)),
    "twilio_whatsapp": Registration(WHATSAPP, lambda settings, _: twilio.configure_whatsapp(settings)),
    "email": Registration(EMAIL, lambda settings, _: email.configure(settings)),
    "phone": Registration(SMS, lambda _, phones: demo_phone.configure(phones)),
    "console": Registration(SMS, lambda *_: console.configure()),
}


def channels_of(settings: Settings) -> tuple[Channel, ...]:
    """The channels of this installation, in order of preference. Raises ConfigurationError if one is not registered."""
    return tuple(found.channel for found in _registered(settings))


def configured_channels(settings: Settings, phones: PhoneStore) -> tuple[ConfiguredChannel, ...]:
    """The channels of this installation, connected to their providers. Raises ConfigurationError."""
    return tuple(ConfiguredChannel(found.channel, found.build(settings, phones)) for found in _registered(settings))


def _registered(settings: Settings) -> list[Registration]:
    """The registrations that the settings name. Each way to reach people may be named once."""
    names = [name.strip() for name in settings.notifier.split(",")]
    unknown = [name for name in names if name not in CHANNELS]
    if unknown:
        raise ConfigurationError(f"UNVARNISHED_NOTIFIER is {settings.notifier!r}; valid values: {', '.join(CHANNELS)}")
    found = [CHANNELS[name] for name in names]
    ways = [registration.channel.name for registration in found]
    if len(set(ways)) < len(ways):
        raise ConfigurationError(f"UNVARNISHED_NOTIFIER is {settings.notifier!r}, which names one way to ask twice")
    return found
