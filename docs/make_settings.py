"""Writes `settings.md` from the class that reads the settings."""

from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from pipeline.app.serving import DEMO_SETTINGS
from pipeline.settings import Settings

TARGET = Path(__file__).with_name("settings.md")

_OPENING = """\
# Settings

Written by `make docs` from `pipeline/settings.py`; change it there.

Every setting is a variable of the environment. None is needed: without any, the data lies in a SQLite file in your own
data folder. A value that cannot be meant is refused at the start, with the name of its variable.

| variable | default | allowed | what it says |
|---|---|---|---|
"""
_CLOSING = """
Secret values are never printed.

The first `replay` or `demo` keeps `UNVARNISHED_LEVELS` and `UNVARNISHED_ALERTS_A_YEAR` with the database: under other
thresholds the same pairs would make another history. A later one that asks for something else is refused, and told what
the database was started with. Where the levels are not set, `replay` and `demo` bring their own.

The live part of `demo` asks on its own phone page, whatever `UNVARNISHED_NOTIFIER` says. For what you do not set it has
other defaults: {demo}.
"""
_DEFAULTS = {  # what depends on the machine or on other settings
    "data_dir": "the user's data folder",
    "public_url": "`http://127.0.0.1` and the port",
}


def text() -> str:
    """The page as it is written."""
    rows = [_row(name, field) for name, field in Settings.model_fields.items()]
    demo = [f"`{_variable(name)}={value}`" for name, value in DEMO_SETTINGS.items()]
    return _OPENING + "".join(rows) + _CLOSING.format(demo=", ".join(demo))


def variables() -> set[str]:
    """The variables that settings are read from."""
    return {_variable(name) for name in Settings.model_fields}


def _variable(name: str) -> str:
    return f"{Settings.model_config['env_prefix']}{name.upper()}"


def _row(name: str, field: FieldInfo) -> str:
    what = f"{field.description}{' (secret)' if SecretStr in getattr(field.annotation, '__args__', ()) else ''}"
    return f"| `{_variable(name)}` | {_default(name, field)} | {_allowed(field)} | {what} |\n"


def _default(name: str, field: FieldInfo) -> str:
    if name in _DEFAULTS:
        return _DEFAULTS[name]
    value: Any = field.get_default()
    if value is None:
        return "none"
    return f"`{','.join(sorted(value))}`" if isinstance(value, frozenset) else f"`{value}`"


def _allowed(field: FieldInfo) -> str:
    words = {"ge": "at least", "gt": "more than", "le": "at most"}
    bounds = [
        f"{word} {getattr(limit, bound):,}"
        for limit in field.metadata
        for bound, word in words.items()
        if hasattr(limit, bound)
    ]
    return ", ".join(bounds)


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
