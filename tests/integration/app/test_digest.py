"""The report by e-mail: each recipient's own, once a week, whatever dies when."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from pipeline.app.administration.digest import LEASE, Digests, DigestThread
from pipeline.consumers.runtime import failpoints
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.permissions import Role
from pipeline.settings import ConfigurationError, Settings
from pipeline.store.schema.alerting.notices import deliveries
from tests.support.requests.installation import Clock, services
from tests.support.requests.users import add_user
from tests.support.servers.mail import MailServer, mail_server
from tests.support.statistics.answered_days import add_orders

MONDAY = datetime(2026, 3, 16, 8, tzinfo=UTC)
TO = "olga=olga@example.com,maja=maja@example.com,aude=aude@example.com"


class Killed(BaseException):
    """The process died here."""


@pytest.fixture
def company(runtime: EmbeddedRunner) -> EmbeddedRunner:
    add_orders(runtime, "Lyon", 12, 8, day=8)
    add_orders(runtime, "Lille", 12, 0, day=8)
    add_user(runtime.engine, "olga", Role.OPERATIONS, "depot=Lille")
    add_user(runtime.engine, "maja", Role.MANAGEMENT)
    add_user(runtime.engine, "aude", Role.AUDITOR)
    return runtime


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as made:
        yield made


def digests(runtime: EmbeddedRunner, server: MailServer, clock: Clock | None = None, **more: Any) -> Digests:
    """A process that sends reports."""
    known: dict[str, Any] = {"smtp_host": "127.0.0.1", "smtp_port": server.port, "smtp_security": "none"}
    known |= {"mail_from": "reports@example.com", "digest_to": TO, "internal_url": "https://in.example.com"}
    known |= {"provider_timeout_seconds": 2} | more
    store = replace(runtime.store, clock=_At(clock or Clock(MONDAY)))
    return Digests(store, services(runtime, Clock(MONDAY)).setup, Settings(**known))


class _At:
    """A clock of a store."""

    held = False

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self) -> datetime:
        return self._clock.moment

    def problems(self) -> list[str]:
        return []


def texts(server: MailServer) -> dict[str, str]:
    """What each address got, as text."""
    found = {}
    for address, message in server.taken:
        part = message.get_body(("plain",))
        assert part is not None
        found[address] = part.get_content()
    return found


def test_each_recipient_gets_what_they_may_see(company: EmbeddedRunner, server: MailServer) -> None:
    results = digests(company, server).send(MONDAY)
    assert {result.user: result.state for result in results} == dict.fromkeys(("olga", "maja", "aude"), "sent")
    got = texts(server)
    assert "9 March 2026 to 15 March 2026" in got["maja@example.com"]
    assert "Lyon 3 says" in got["maja@example.com"]
    assert "depot Lyon" in got["maja@example.com"]
    assert "Lyon" not in got["olga@example.com"], "her scope is Lille"
    assert "Lille 3 says" in got["olga@example.com"]
    assert " says" not in got["aude@example.com"], "an auditor reads no words"
    assert "https://in.example.com/report?unit=week&of=2026-03-09" in got["aude@example.com"]


def test_a_mail_is_text_html_and_the_chart(company: EmbeddedRunner, server: MailServer) -> None:
    digests(company, server).send(MONDAY, "maja")
    [(_, message)] = server.taken
    html = message.get_body(("html",))
    assert html is not None
    assert "cid:weeks" in html.get_content()
    [image] = [part for part in message.walk() if part.get_content_type() == "image/png"]
    assert image["Content-ID"] == "<weeks>"
    assert image.get_content().startswith(b"\x89PNG")
    assert message["Auto-Submitted"] == "auto-generated"


def test_it_is_sent_once_a_week(company: EmbeddedRunner, server: MailServer) -> None:
    for later in (timedelta(), timedelta(hours=1), timedelta(days=6)):
        digests(company, server).send(MONDAY + later)
    assert len(server.taken) == 3
    digests(company, server, Clock(MONDAY + timedelta(days=7))).send(MONDAY + timedelta(days=7))
    assert len(server.taken) == 6, "the next week"


@pytest.mark.parametrize("point", ["after_claim_commit", "before_post", "after_post_before_record"])
def test_a_killed_process_neither_loses_nor_repeats_a_report(
    company: EmbeddedRunner, server: MailServer, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    def _die(reached: str) -> None:
        if reached == point:
            raise Killed

    first = digests(company, server)
    with monkeypatch.context() as patched:
        patched.setattr(failpoints, "reached", _die)
        with pytest.raises(Killed):
            first.send(MONDAY, "maja")
    sent = len(server.taken)
    assert sent == (point == "after_post_before_record")
    soon = digests(company, server).send(MONDAY, "maja")[0].state
    assert soon == ("unknown" if sent else "later"), "another process may have it until the lease ends"
    later = MONDAY + LEASE + timedelta(seconds=1)
    digests(company, server, Clock(later)).send(later, "maja")
    assert len(server.taken) == 1


def test_a_reply_that_never_comes_leaves_it_unknown_and_is_not_repeated(company: EmbeddedRunner) -> None:
    with mail_server("reset") as server:
        assert digests(company, server).send(MONDAY, "maja")[0].state == "unknown"
        assert digests(company, server).send(MONDAY + timedelta(days=1), "maja")[0].state == "unknown"
        assert len(server.taken) == 1


def test_a_server_that_takes_nothing_now_gets_it_later(company: EmbeddedRunner, server: MailServer) -> None:
    server.behaviour = "later"
    found = digests(company, server).send(MONDAY, "maja")[0]
    assert (found.state, server.taken) == ("later", [])
    server.behaviour = "accept"
    later = MONDAY + timedelta(hours=1)
    assert digests(company, server, Clock(later)).send(later, "maja")[0].state == "sent"
    assert len(server.taken) == 1


def test_a_process_that_was_suspended_past_its_lease_sends_nothing(
    company: EmbeddedRunner, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(MONDAY)
    slow = digests(company, server, clock)

    def _suspend(reached: str) -> None:
        if reached == "before_post":
            monkeypatch.undo()
            clock.moment = MONDAY + LEASE + timedelta(minutes=1)
            assert digests(company, server, clock).send(clock.moment, "maja")[0].state == "sent"

    monkeypatch.setattr(failpoints, "reached", _suspend)
    assert slow.send(MONDAY, "maja")[0].state == "later"
    assert len(server.taken) == 1


def test_who_may_not_have_it_is_skipped_with_the_reason(company: EmbeddedRunner, server: MailServer) -> None:
    add_user(company.engine, "root", Role.ADMIN)
    add_user(company.engine, "ines", Role.MANAGEMENT, password=False)
    found = digests(company, server, digest_to="root=a@example.com,ines=b@example.com,none=c@example.com").send(MONDAY)
    assert [(result.state, result.why) for result in found] == [
        ("skipped", "may not read figures"),
        ("skipped", "the user is invited"),
        ("skipped", "no such user"),
    ]
    assert not server.taken


def test_addresses_are_stored_nowhere(company: EmbeddedRunner, server: MailServer) -> None:
    digests(company, server).send(MONDAY)
    with company.engine.connect() as connection:
        stored = connection.execute(select(deliveries)).all()
    assert len(stored) == 3
    assert "example.com" not in str(stored)


def test_it_is_due_on_its_day_in_its_time_zone(company: EmbeddedRunner, server: MailServer) -> None:
    paris = digests(company, server, digest_at="09:30", digest_timezone="Europe/Paris")
    assert not paris.is_due(MONDAY + timedelta(minutes=29))  # 09:29 there
    assert paris.is_due(MONDAY + timedelta(minutes=30))
    assert paris.is_due(MONDAY + timedelta(days=3)), "a process that was down on Monday catches up"
    assert not paris.is_due(MONDAY + timedelta(days=7, minutes=29))
    assert paris.period(MONDAY - timedelta(hours=8, minutes=30)).first.isoformat() == "2026-03-09", "Monday there"


def test_the_thread_sends_when_it_is_due(
    company: EmbeddedRunner, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(MONDAY - timedelta(hours=2))
    made = digests(company, server, clock)
    thread = DigestThread(made, replace(company.store, clock=_At(clock)))
    thread._check()
    assert not server.taken
    clock.moment = MONDAY
    thread._check()
    thread._check()
    assert len(server.taken) == 3


def test_recipients_without_a_mail_server_are_an_error(company: EmbeddedRunner, server: MailServer) -> None:
    with pytest.raises(ConfigurationError, match="UNVARNISHED_MAIL_FROM"):
        digests(company, server, mail_from=None).send(MONDAY)
    with pytest.raises(ConfigurationError, match="UNVARNISHED_SMTP_HOST"):
        digests(company, server, smtp_host=None).send(MONDAY)
    with pytest.raises(ConfigurationError, match="names olga, maja, aude"):
        digests(company, server).send(MONDAY, "nick")
