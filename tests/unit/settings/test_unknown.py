"""A misspelt variable is an error that names the setting that was meant."""

import pytest
from pydantic import ValidationError

from pipeline.settings import Settings
from pipeline.settings.base import PREFIX


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("PUBLIC_PROT", "PUBLIC_PORT"),
        ("QUIET_HOUR", "QUIET_HOURS"),
        ("DATABASEURL", "DATABASE_URL"),
        ("TWILIO_ACOUNT_SID", "TWILIO_ACCOUNT_SID"),
        ("NOTIFER", "NOTIFIER"),
    ],
)
def test_a_misspelt_variable_is_an_error(variable: str, meant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for given in (PREFIX + variable, (PREFIX + variable).lower()):
        monkeypatch.setenv(given, "1")
        with pytest.raises(ValidationError, match=f"{given} is not a setting; did you mean {PREFIX}{meant}?"):
            Settings()
        monkeypatch.delenv(given)


@pytest.mark.parametrize(
    "variable",
    [
        "SERVICE_HOST",  # Kubernetes, for a service that is called unvarnished
        "PORT_8080_TCP_ADDR",
        "WEB_SERVICE_PORT",
        "PORT",
        "DB_PASSWORD",
        "A_SETTING_OF_THE_NEXT_VERSION",
        "",
    ],
)
def test_other_variables_are_left_alone(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + variable, "1")
    monkeypatch.setenv(f"OTHER_{variable}", "1")
    Settings()
