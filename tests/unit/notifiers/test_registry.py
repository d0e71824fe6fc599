"""The registry: each channel by the value of one setting."""

from typing import Any

import pytest

from pipeline.domain.asking.channels import SMS
from pipeline.notifiers import registry
from pipeline.notifiers.channels.demo_phone.notifier import PhoneStore
from pipeline.settings import ConfigurationError, Settings
from tests.support.provider import ACCOUNT, TOKEN

TWILIO = {"twilio_account_sid": ACCOUNT, "twilio_auth_token": TOKEN, "twilio_from": "+15005550006"}


class NoPhones:
    """Storage that no test of the registry uses."""

    def keep(self, *_: Any) -> str | None:
        raise AssertionError

    find = keep


PHONES: PhoneStore = NoPhones()


@pytest.mark.parametrize("notifier", registry.CHANNELS)
def test_each_value_of_the_setting_is_one_channel_with_its_adapter(notifier: str) -> None:
    settings = Settings.model_validate(TWILIO | {"notifier": notifier})
    (configured,) = registry.configured_channels(settings, PHONES)
    assert configured.channel == SMS
    assert configured.adapter.notifier.name == notifier
    assert registry.channels_of(settings) == (SMS,)
    assert (configured.adapter.webhooks is not None) == (notifier == "twilio_sms")
    assert configured.adapter.pages == (("demo_phone",) if notifier == "phone" else ())


def test_a_channel_that_does_not_exist_is_refused_with_those_that_do() -> None:
    settings = Settings.model_validate({"notifier": "pigeon"})
    for ask in (lambda: registry.channels_of(settings), lambda: registry.configured_channels(settings, PHONES)):
        with pytest.raises(ConfigurationError, match="'pigeon'; valid values: twilio_sms, phone, console"):
            ask()
