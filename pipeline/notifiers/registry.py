"""The ways a question can go out: the whole list. A new one is one file, and one line here."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pipeline.notifiers.channels.console.notifier import Console
from pipeline.notifiers.channels.demo_phone.notifier import Phone, Shelf
from pipeline.notifiers.port import Inbox, Notifier
from pipeline.settings import Settings, Unusable

if TYPE_CHECKING:
    from pipeline.notifiers.channels.twilio.sms import TwilioSms


def _twilio_sms(settings: Settings) -> "TwilioSms":
    from pipeline.notifiers.channels.twilio.sms import (
        from_settings,  # its library takes a while to load: only who uses it waits
    )

    return from_settings(settings)


CHANNELS: Mapping[str, Callable[[Settings, Shelf], Notifier]] = {
    "twilio_sms": lambda settings, _: _twilio_sms(settings),
    "phone": lambda _, shelf: Phone(shelf),
    "console": lambda *_: Console(),
}


def notifiers(settings: Settings, shelf: Shelf) -> dict[str, Notifier]:
    """The notifier of each channel that questions are decided for. Raises Unusable if the settings do not suffice."""
    build = CHANNELS.get(settings.notifier)
    if build is None:
        raise Unusable(f"UNVARNISHED_NOTIFIER is {settings.notifier!r}; there are {', '.join(CHANNELS)}")
    return {"sms": build(settings, shelf)}


def inbox(settings: Settings) -> Inbox | None:
    """Where texts to us can be looked up; None: the channel has no such list, or sends by a name, which gets none."""
    by_name = settings.twilio_messaging_service is None and not (settings.twilio_from or "").lstrip("+").isdecimal()
    return None if settings.notifier != "twilio_sms" or by_name else _twilio_sms(settings)
