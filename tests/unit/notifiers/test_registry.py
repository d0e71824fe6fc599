"""The registry: each channel by the value of one setting."""

from typing import Any

import pytest

from pipeline.notifiers import registry
from pipeline.notifiers.channels.demo_phone.notifier import PhoneStore
from pipeline.settings import ConfigurationError, Settings
from pipeline.web.internal.channel_pages import PAGES


class NoPhones:
    """Storage that no test of the registry uses."""

    def keep(self, *_: Any) -> str | None:
        raise AssertionError

    find = keep


PHONES: PhoneStore = NoPhones()


@pytest.mark.parametrize("notifier", registry.CHANNELS)
def test_each_value_of_the_setting_selects_one_channel(notifier: str) -> None:
    settings = Settings.model_validate({"notifier": notifier})
    assert registry.channels_of(settings) == (registry.CHANNELS[notifier].channel,)


@pytest.mark.parametrize("notifier", registry.CHANNELS)
def test_a_channel_is_connected_or_names_the_settings_that_it_needs(notifier: str) -> None:
    settings = Settings.model_validate({"notifier": notifier})
    configured, incomplete = None, ""
    try:
        (configured,) = registry.configured_channels(settings, PHONES)
    except ConfigurationError as error:
        incomplete = str(error)
    if configured is None:
        assert notifier in incomplete
        assert "UNVARNISHED_" in incomplete
    else:
        assert (configured.channel, configured.adapter.notifier.name) == (registry.CHANNELS[notifier].channel, notifier)
        assert set(configured.adapter.pages) <= set(PAGES)


def test_several_channels_are_in_the_order_of_preference() -> None:
    settings = Settings.model_validate({"notifier": "email, phone"})
    assert [channel.name for channel in registry.channels_of(settings)] == ["email", "sms"]
    with pytest.raises(ConfigurationError, match="one way to ask twice"):
        registry.channels_of(Settings.model_validate({"notifier": "phone,console"}))


def test_a_channel_that_does_not_exist_is_refused_with_those_that_do() -> None:
    settings = Settings.model_validate({"notifier": "pigeon"})
    expected = f"'pigeon'; valid values: {', '.join(registry.CHANNELS)}"
    for select in (lambda: registry.channels_of(settings), lambda: registry.configured_channels(settings, PHONES)):
        with pytest.raises(ConfigurationError, match=expected):
            select()
