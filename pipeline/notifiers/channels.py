"""The ways a question can go out: the whole list. A new one is one file, and one line here."""

from collections.abc import Callable, Mapping

from pipeline.notifiers.console import Console
from pipeline.notifiers.phone import Phone, Shelf
from pipeline.notifiers.port import Notifier
from pipeline.settings import Settings, Unusable


def _twilio_sms(settings: Settings, _: Shelf) -> Notifier:
    from pipeline.notifiers.twilio_sms import from_settings  # its library takes a while to load: only who uses it waits

    return from_settings(settings)


CHANNELS: Mapping[str, Callable[[Settings, Shelf], Notifier]] = {
    "twilio_sms": _twilio_sms,
    "phone": lambda _, shelf: Phone(shelf),
    "console": lambda *_: Console(),
}


def notifiers(settings: Settings, shelf: Shelf) -> dict[str, Notifier]:
    """The notifier of each channel that questions are decided for. Raises Unusable if the settings do not suffice."""
    build = CHANNELS.get(settings.notifier)
    if build is None:
        raise Unusable(f"UNVARNISHED_NOTIFIER is {settings.notifier!r}; there are {', '.join(CHANNELS)}")
    return {"sms": build(settings, shelf)}
