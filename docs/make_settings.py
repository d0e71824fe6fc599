"""Writes `settings.md` from the classes that read the settings."""

from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from pipeline.demo.live import DEMO_SETTINGS
from pipeline.settings import GROUPS, Settings
from pipeline.settings.base import PREFIX, SettingsGroup
from pipeline.settings.renamed import OLD_NAMES

TARGET = Path(__file__).with_name("settings.md")

_OPENING = """\
# Settings

Written by `make docs` from `pipeline/settings/`; change it there.

Every setting is an environment variable, and none is required: without any, the data is stored in a SQLite file in
your user data folder. Each process checks its settings at the start. It refuses a value that it cannot use, with a
message that names the variable. Secret values are never printed.
"""
_GROUP = """
## {subject}

{about}

| variable | default | allowed | meaning |
|---|---|---|---|
"""
_STORED = """
## Settings that the database keeps

The first `replay`, `demo`, `run` or `up` stores `UNVARNISHED_SEGMENT_LEVELS` and `UNVARNISHED_FALSE_ALERTS_PER_YEAR` in
the database, because the same answers lead to other alerts under other thresholds.

- **Segment levels**: from then on the setting has no effect, and another value is logged as a warning. Levels change
  with `unvarnished levels add` and `unvarnished levels remove`, also while Unvarnished runs ([levels](levels.md)). If
  the setting is not set, `replay` and `demo` use their own.
- **False alerts a year**: a later start with another value is refused, with a message that names the stored one.
"""
_DEMO = """
## Defaults of the demo

The live part of `demo` sends questions to its own phone page, whatever `UNVARNISHED_NOTIFIER` says. It has other
defaults for settings that you do not set: {settings}.
"""
_RENAMED = """
## Renamed settings

The old names go on working in this version, with a warning. If both are set, the new one wins.

| old name | new name |
|---|---|
"""
_DEFAULTS = {  # what depends on the machine or on other settings
    "data_dir": "the user's data folder",
    "public_url": "`http://127.0.0.1` and the public port",
}


def text() -> str:
    """The page as it is written."""
    demo = ", ".join(f"`{variable(name)}={value}`" for name, value in DEMO_SETTINGS.items())
    renamed = "".join(f"| `{variable(old)}` | `{variable(new)}` |\n" for new, old in OLD_NAMES.items())
    return _OPENING + "".join(map(_section, GROUPS)) + _STORED + _DEMO.format(settings=demo) + _RENAMED + renamed


def variables() -> set[str]:
    """The variables that settings are read from, without the old names of renamed settings."""
    return {variable(name) for name in Settings.model_fields}


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"{PREFIX}{name.upper()}"


def _section(group: type[SettingsGroup]) -> str:
    rows = "".join(_row(name, field) for name, field in group.model_fields.items())
    return _GROUP.format(subject=group.subject, about=group.__doc__) + rows


def _row(name: str, field: FieldInfo) -> str:
    secret = " (secret)" if SecretStr in getattr(field.annotation, "__args__", ()) else ""
    return f"| `{variable(name)}` | {_default(name, field)} | {_allowed(field)} | {field.description}{secret} |\n"


def _default(name: str, field: FieldInfo) -> str:
    if name in _DEFAULTS:
        return _DEFAULTS[name]
    value: Any = field.get_default(call_default_factory=True)
    if value is None or value == "":
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
