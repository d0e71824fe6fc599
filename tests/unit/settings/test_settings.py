"""The composed settings: every subject in one class, each setting in one subject."""

from pathlib import Path

import pytest

from pipeline.settings import GROUPS, ConfigurationError, Settings


def test_each_setting_belongs_to_one_subject() -> None:
    names = [name for group in GROUPS for name in group.model_fields]
    assert len(names) == len(set(names))
    assert set(names) == set(Settings.model_fields)
    assert Settings.__bases__ == GROUPS


def test_every_subject_and_setting_is_described_in_its_own_words() -> None:
    assert all(group.subject and group.__doc__ for group in GROUPS)
    descriptions = [field.description or "" for field in Settings.model_fields.values()]
    assert all(len(text.split()) > 2 for text in descriptions)
    assert len(set(descriptions)) == len(descriptions)
    assert not [text for text in descriptions if "the same" in text.lower()]


def test_defaults_apply_to_settings_that_are_not_set() -> None:
    settings = Settings(account_cap=3).with_defaults(account_cap=99, contact_rest_days=0.0)
    assert (settings.account_cap, settings.contact_rest_days) == (3, 0.0)


def test_brokers_select_cluster_mode_even_if_they_are_the_default_ones() -> None:
    assert not Settings().uses_kafka
    assert Settings(kafka_bootstrap_servers="127.0.0.1:9092").uses_kafka


def test_the_master_key_is_generated_once_and_kept(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    key = settings.master()
    assert len(key) == 32
    assert settings.master() == key
    assert settings.key_file.stat().st_mode & 0o777 == 0o600


def test_a_malformed_master_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "master.key").write_text("abc")
    with pytest.raises(ConfigurationError, match="64 hexadecimal digits"):
        Settings(data_dir=tmp_path).master()


def test_no_part_of_the_settings_replaces_a_check_of_another() -> None:
    checks = [
        name for group in GROUPS for name in vars(group) if name in group.__pydantic_decorators__.field_validators
    ]
    assert len(checks) > 20
    assert [name for name in set(checks) if checks.count(name) > 1] == []


def test_hours_of_cases_by_role_are_read_from_text() -> None:
    found = Settings(case_due_hours_by_role="receiver=4,purchaser=48")
    assert found.case_due_hours_by_role == {"receiver": 4, "purchaser": 48}
