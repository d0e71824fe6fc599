"""Reads the receivers and routes of an installation from the TOML file that `UNVARNISHED_RECEIVERS_FILE` names."""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import time
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Struct

from pipeline.domain.access.scopes import EVERYTHING, Scope, parse_route_scope
from pipeline.domain.events.contract import BadEvent
from pipeline.domain.events.incidents import Severity
from pipeline.domain.events.times import check_zone
from pipeline.domain.notices.notice import Change
from pipeline.domain.notices.routes import Hours, Route
from pipeline.settings import ConfigurationError

SETTING = "UNVARNISHED_RECEIVERS_FILE"
_ENVIRONMENT = "env:"
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Text = Annotated[str, Meta(min_length=1, max_length=2_000)]


class ReceiverConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """What every receiver has."""

    name: Name


class AlertmanagerConfig(ReceiverConfig, frozen=True, kw_only=True, tag="alertmanager"):
    """An Alertmanager. `url` is that of its page; several URLs are the peers of one cluster, and each is told."""

    url: Text | Annotated[list[Text], Meta(min_length=1, max_length=10)]
    user: Text | None = None
    password: Text | None = None


class AppriseConfig(ReceiverConfig, frozen=True, kw_only=True, tag="apprise"):
    """A service that the library Apprise knows, by its URL."""

    url: Text


class WebhookConfig(ReceiverConfig, frozen=True, kw_only=True, tag="webhook"):
    """A URL that accepts Standard Webhooks. `secret`: whsec_ and base64, as the other side has it."""

    url: Text
    secret: Text
    allow_private_addresses: bool = False


class EmailConfig(ReceiverConfig, frozen=True, kw_only=True, tag="email"):
    """Addresses that get e-mail through UNVARNISHED_SMTP_HOST."""

    to: Annotated[list[Text], Meta(min_length=1, max_length=50)]


AnyReceiver = AlertmanagerConfig | AppriseConfig | WebhookConfig | EmailConfig


class _Route(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    receivers: Annotated[list[Name], Meta(min_length=1)]
    scope: list[Text] | None = None
    severity: list[Severity] | None = None
    signals: list[Text] | None = None
    segments: dict[Text, list[Text]] | None = None
    changes: list[Change] | None = None
    hours: Text | None = None
    days: list[Text] | None = None
    digest: Text | None = None
    timezone: Text = "UTC"
    once: bool = False


class _File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    receivers: list[AnyReceiver] = []
    routes: list[_Route] = []


class Configuration(NamedTuple):
    """The receivers and routes."""

    receivers: Sequence[AnyReceiver] = ()
    routes: Sequence[Route] = ()


def read(path: Path | None, environment: Mapping[str, str] = os.environ) -> Configuration:
    """The configuration in that file; None: no receivers. Raises ConfigurationError that names the field."""
    if path is None:
        return Configuration()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{SETTING}: {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{SETTING}: {path} is not text in UTF-8") from None
    return parse(text, environment)


def parse(text: str, environment: Mapping[str, str] = os.environ) -> Configuration:
    """The configuration in that text. Raises ConfigurationError that names the field, never its value."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{SETTING}: not TOML: {error}") from None
    try:
        file = msgspec.convert(_with_environment(raw, "", environment), _File)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{SETTING}: {_readable(str(error))}") from None
    _check_names(file)
    routes = [_route(one, f"routes[{n}]") for n, one in enumerate(file.routes)]
    return Configuration(file.receivers, routes)


def wrong_receiver(config: ReceiverConfig, field: str, why: str) -> ConfigurationError:
    """The error of a receiver's field that cannot be used."""
    return _wrong(f"receiver {config.name}, field {field}", why)


def _wrong(where: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"{SETTING}: {where}: {why}")


def _readable(message: str) -> str:
    """The path in front: "routes[0].digest: Expected `str`, got `int`"."""
    why, _, path = message.partition(" - at `$")
    return f"{path.strip('`').lstrip('.')}: {why}" if path else why


def _with_environment(value: Any, path: str, environment: Mapping[str, str]) -> Any:
    """The value, with the variable's value for every text "env:NAME": secrets need not be in the file."""
    if isinstance(value, dict):
        return {name: _with_environment(one, f"{path}.{name}", environment) for name, one in value.items()}
    if isinstance(value, list):
        return [_with_environment(one, f"{path}[{n}]", environment) for n, one in enumerate(value)]
    if not isinstance(value, str) or not value.startswith(_ENVIRONMENT):
        return value
    name = value.removeprefix(_ENVIRONMENT)
    if not environment.get(name):
        raise _wrong(path.lstrip("."), f"the environment has no variable {name}")
    return environment[name]


def _check_names(file: _File) -> None:
    names = [receiver.name for receiver in file.receivers]
    for n, name in enumerate(names):
        if name in names[:n]:
            raise _wrong(f"receivers[{n}].name", f"{name} is the name of another receiver, too")
    for n, route in enumerate(file.routes):
        for name in route.receivers:
            if name not in names:
                raise _wrong(f"routes[{n}].receivers", f"there is no receiver {name}")
    routed = {name for route in file.routes for name in route.receivers}
    for name in names:
        if name not in routed:
            raise _wrong(f"receiver {name}", "no route leads to it")
    states = {each.name for each in file.receivers if isinstance(each, AlertmanagerConfig)}
    for n, route in enumerate(file.routes):
        for field in ("digest", "hours", "changes", "once"):
            if getattr(route, field) and states & {*route.receivers}:
                raise _wrong(f"routes[{n}].{field}", "not for an Alertmanager, which has routes of its own for that")


def _route(route: _Route, where: str) -> Route:
    try:
        check_zone(route.timezone)
    except BadEvent:
        raise _wrong(f"{where}.timezone", "not the name of a time zone, as in Europe/Paris") from None
    days = _days(route.days, f"{where}.days")
    hours = digest_at = None
    if route.hours is not None or route.days is not None:
        begins, ends = _interval(route.hours or "00:00-24:00", f"{where}.hours")
        hours = Hours(begins, ends, route.timezone, days)
    if route.digest is not None:
        at = _time(route.digest, f"{where}.digest")
        digest_at, hours = Hours(at, at, route.timezone, days), None
    return Route(
        receivers=tuple(route.receivers),
        scope=EVERYTHING if route.scope is None else _scope(route.scope, f"{where}.scope"),
        severities=None if route.severity is None else frozenset(route.severity),
        signals=None if route.signals is None else frozenset(route.signals),
        segments=None
        if route.segments is None
        else {dimension: frozenset(values) for dimension, values in route.segments.items()},
        changes=None if route.changes is None else frozenset(route.changes),
        hours=hours,
        digest_at=digest_at,
        once=route.once,
    )


def _scope(texts: list[str], where: str) -> Scope:
    try:
        return parse_route_scope(texts)
    except ValueError as error:
        raise _wrong(where, str(error).removeprefix("scope: ")) from None


def _days(days: list[str] | None, where: str) -> frozenset[int]:
    if days is None:
        return frozenset(range(7))
    unknown = [day for day in days if day not in _WEEKDAYS]
    if unknown or not days:
        raise _wrong(where, f"valid values: {', '.join(_WEEKDAYS)}")
    return frozenset(map(_WEEKDAYS.index, days))


def _interval(text: str, where: str) -> tuple[time, time]:
    begins, _, ends = text.partition("-")
    if text == "00:00-24:00":
        return time.min, time.max
    first, last = _time(begins, where), time.max if ends == "24:00" else _time(ends, where)
    if first == last:
        raise _wrong(where, "begins and ends at the same time")
    return first, last


def _time(text: str, where: str) -> time:
    found = _HOURS.fullmatch(text)
    if found is None:
        raise _wrong(where, "must be a time or an interval, as in 08:00 or 08:00-18:00")
    return time(int(found[1]), int(found[2]))
