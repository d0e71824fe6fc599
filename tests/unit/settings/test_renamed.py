"""Old names of settings go on working, with a warning that names the new one."""

import pytest
from pydantic import ValidationError

from pipeline.settings import RenamedSettingWarning, Settings
from pipeline.settings.renamed import OLD_NAMES

VALUES = {
    "segment_levels": "depot:3",
    "customer_timezones": "Europe/Paris",
    "max_event_bytes": "2048",
    "max_dead_letter_share": "0.5",
}


def variable(name: str) -> str:
    return f"UNVARNISHED_{name.upper()}"


def value_of(name: str) -> str:
    """A value that is allowed and not the default."""
    return VALUES.get(name) or str(int(Settings.model_fields[name].default) + 1)


def test_every_new_name_is_a_setting_and_no_old_one_is() -> None:
    assert set(OLD_NAMES) <= set(Settings.model_fields)
    assert not set(OLD_NAMES.values()) & set(Settings.model_fields)
    assert len(set(OLD_NAMES.values())) == len(OLD_NAMES)


@pytest.mark.parametrize("name", OLD_NAMES)
def test_an_old_name_sets_the_same_and_warns(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable(name), value_of(name))
    expected = Settings()
    assert getattr(expected, name) != Settings.model_fields[name].default
    monkeypatch.delenv(variable(name))
    monkeypatch.setenv(variable(OLD_NAMES[name]), value_of(name))
    with pytest.warns(RenamedSettingWarning, match=f"{variable(OLD_NAMES[name])} is now called {variable(name)};"):
        found = Settings()
    assert found == expected
    assert name in found.model_fields_set


def test_the_new_name_wins_if_both_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNVARNISHED_BATCH", "not even a number")
    monkeypatch.setenv("UNVARNISHED_BATCH_SIZE", "17")
    with pytest.warns(RenamedSettingWarning, match="the old one is ignored"):
        assert Settings().batch_size == 17


def test_an_invalid_value_under_an_old_name_is_reported_under_the_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNVARNISHED_CONNECTIONS", "many")
    with pytest.warns(RenamedSettingWarning), pytest.raises(ValidationError, match="max_connections"):
        Settings()


def test_an_unknown_argument_is_an_error() -> None:
    unknown: dict[str, str] = {"levels": "depot:3"}
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Settings(**unknown)  # type: ignore[arg-type]
