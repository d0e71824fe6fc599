"""The file with receivers and routes: what it may say, and the errors that name the field."""

from datetime import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.domain.access.scopes import Entry, Scope
from pipeline.domain.notices.routes import Hours
from pipeline.notifiers.receivers import registry
from pipeline.notifiers.receivers.configuration import parse, read
from pipeline.settings import ConfigurationError, Settings

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HOOK = f'[[receivers]]\nname = "erp"\ntype = "webhook"\nurl = "https://erp.example.com/hook"\nsecret = "{SECRET}"\n'
ROUTE = '[[routes]]\nreceivers = ["erp"]\n'


def message_of(text: str, **settings: Any) -> str:
    with pytest.raises(ConfigurationError) as found:
        registry.build(parse(text, {}), Settings(**settings))
    return str(found.value)


def test_without_a_file_there_are_no_receivers() -> None:
    assert read(None) == ((), ())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"UNVARNISHED_RECEIVERS_FILE: .*absent.toml: No such file"):
        read(tmp_path / "absent.toml")


def test_every_field_of_a_route() -> None:
    found = parse(
        HOOK
        + ROUTE
        + 'scope = ["region=ARA"]\nseverity = ["major", "critical"]\nsignals = ["on_time"]\nonce = true\n'
        + 'segments = {depot = ["Lyon"]}\nchanges = ["opened"]\nhours = "08:00-18:00"\ndays = ["mon", "fri"]\n'
        + 'timezone = "Europe/Paris"\n'
    )
    [route] = found.routes
    assert route.scope == Scope((Entry("region", "ARA"),))
    assert route.hours == Hours(time(8), time(18), "Europe/Paris", frozenset({0, 4}))
    assert route.segments == {"depot": frozenset({"Lyon"})}
    assert route.once


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[receivers]", "not TOML"),
        (HOOK.replace("erp.example", "erp.other") + HOOK + ROUTE, "receivers[1].name: erp is the name of another"),
        (HOOK.replace("webhook", "pager") + ROUTE, "receivers[0].type"),
        (HOOK.replace('url = "https://erp.example.com/hook"\n', "") + ROUTE, "receivers[0]"),
        (HOOK + "colour = 1\n" + ROUTE, "colour"),
        (HOOK, "receiver erp: no route leads to it"),
        (HOOK + '[[routes]]\nreceivers = ["mail"]\n', "routes[0].receivers: there is no receiver mail"),
        (HOOK + ROUTE + 'severity = ["huge"]\n', "routes[0].severity[0]"),
        (HOOK + ROUTE + 'scope = ["Lyon"]\n', "routes[0].scope: 'Lyon' is not DIMENSION=VALUE"),
        (HOOK + ROUTE + 'scope = ["depot+tier=Lyon+key"]\n', "routes[0].scope: 'depot+tier' is a composite level"),
        (HOOK + ROUTE + 'scope = ["depot=Lyon", "account=A-1"]\n', "routes[0].scope: segments and accounts"),
        (HOOK + ROUTE + 'hours = "8-18"\n', "routes[0].hours: must be a time"),
        (HOOK + ROUTE + 'hours = "08:00-08:00"\n', "routes[0].hours: begins and ends"),
        (HOOK + ROUTE + 'days = ["monday"]\n', "routes[0].days: valid values: mon"),
        (HOOK + ROUTE + 'timezone = "Paris"\n', "routes[0].timezone"),
        (HOOK.replace("https://erp.example.com/hook", "ftp://x/") + ROUTE, "receiver erp, field url: must be a URL"),
        (HOOK.replace("https://erp", "https://a:b@erp") + ROUTE, "receiver erp, field url: must not contain a user"),
        (HOOK.replace(SECRET, "whsec_aGk=") + ROUTE, "receiver erp, field secret"),
        (HOOK.replace(SECRET, "env:HOOK_SECRET") + ROUTE, "receivers[0].secret: the environment has no variable"),
    ],
)
def test_a_mistake_is_refused_with_its_field_and_without_the_secret(text: str, expected: str) -> None:
    message = message_of(text)
    assert expected in message
    assert message.startswith("UNVARNISHED_RECEIVERS_FILE: ")
    assert SECRET not in message


def test_a_secret_may_come_from_the_environment() -> None:
    found = parse(HOOK.replace(SECRET, "env:HOOK_SECRET") + ROUTE, {"HOOK_SECRET": SECRET})
    assert registry.build(found, Settings()).by_name["erp"].target == "https://erp.example.com"


@pytest.mark.parametrize("line", ['digest = "08:00"', 'hours = "08:00-18:00"', "once = true", 'changes = ["opened"]'])
def test_an_alertmanager_gets_every_change_at_once(line: str) -> None:
    text = '[[receivers]]\nname = "am"\ntype = "alertmanager"\nurl = "http://127.0.0.1:9093"\n'
    field = line.partition(" ")[0]
    assert f"routes[0].{field}: not for an Alertmanager" in message_of(text + f'[[routes]]\nreceivers = ["am"]\n{line}')


MAIL = '[[receivers]]\nname = "desk"\ntype = "email"\nto = ["desk@example.com"]\n[[routes]]\nreceivers = ["desk"]\n'
SMTP = "mail.example.com"


@pytest.mark.parametrize(
    ("settings", "text", "expected"),
    [
        ({}, MAIL, "receiver desk: e-mail needs UNVARNISHED_SMTP_HOST and UNVARNISHED_MAIL_FROM"),
        (
            {"smtp_host": SMTP, "mail_from": "a@example.com"},
            MAIL.replace("desk@example.com", "desk\\nBcc: x@example.com"),
            "receiver desk, field to",
        ),
    ],
)
def test_an_e_mail_receiver_needs_a_server_and_addresses(settings: dict[str, Any], text: str, expected: str) -> None:
    assert expected in message_of(text, **settings)


def test_an_unknown_service_of_apprise_is_refused_without_its_url() -> None:
    text = (
        '[[receivers]]\nname = "chat"\ntype = "apprise"\nurl = "chatter://s3cret"\n[[routes]]\nreceivers = ["chat"]\n'
    )
    message = message_of(text)
    assert "receiver chat, field url" in message
    assert "s3cret" not in message
