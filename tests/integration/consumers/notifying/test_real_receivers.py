"""Incidents at a real Alertmanager, SMTP server and webhook: fired, grouped, told again, resolved, through kills."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from pipeline.consumers.notifying.sender import LEASE
from pipeline.domain.events.incidents import Cause
from pipeline.store.db.engine import connect
from tests.support.limits import until
from tests.support.receiving.alertmanager import Alertmanager, running
from tests.support.receiving.hooks import HookServer
from tests.support.receiving.incidents import change, publish, resolved
from tests.support.receiving.mail import MailServer
from tests.support.receiving.process import run_until_killed
from tests.support.receiving.sending import Clock, all_are, desk, failures, hook, sending


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = connect(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def pager() -> Iterator[HookServer]:
    """Who Alertmanager notifies."""
    with HookServer(lambda _: 200) as server:
        yield server


@pytest.fixture
def alertmanager(tmp_path: Path, pager: HookServer) -> Iterator[Alertmanager]:
    with running(tmp_path / "alertmanager", pager.url) as server:
        yield server


def file_for(alertmanager: Alertmanager) -> str:
    receiver = f'[[receivers]]\nname = "am"\ntype = "alertmanager"\nurl = "{alertmanager.url}"\n'
    return f'{receiver}[[routes]]\nreceivers = ["am"]\n'


def pages(pager: HookServer) -> list[tuple[str, list[tuple[str, str]]]]:
    """The notifications: state of the group, and severity and state of each alert in it."""
    found = [call.json for call in pager.calls]
    return [
        (one["status"], sorted((alert["labels"]["severity"], alert["status"]) for alert in one["alerts"]))
        for one in found
    ]


def cause_of(alerts: list[dict[str, Any]]) -> list[str]:
    return [alert["annotations"]["cause"] for alert in alerts]


def test_an_incident_fires_once_is_kept_alive_pages_again_only_for_a_higher_severity_and_resolves(
    engine: Engine, alertmanager: Alertmanager, pager: HookServer
) -> None:
    clock = Clock()
    with sending(engine, file_for(alertmanager), clock):
        publish(engine, change(at=clock(), opened_at=clock()))
        until(lambda: pages(pager) == [("firing", [("major", "firing")])], "it fires")

        ara = Cause("on_time", "region", "ARA")
        publish(engine, change(act=2, kind="incident.changed", change="regrouped", cause=ara, at=clock()))
        until(lambda: cause_of(alertmanager.alerts()) == ["region=ARA"], "the cause changes")
        until(lambda: all_are(engine, "am", "delivered", 2), "recorded")

        assert pages(pager) == [("firing", [("major", "firing")])]
        publish(
            engine,
            change(act=3, kind="incident.changed", change="escalated", severity="critical", rises=True, at=clock()),
        )
        until(lambda: ("critical", "firing") in pages(pager)[-1][1], "the higher severity pages")

        ends = alertmanager.alerts()[0]["endsAt"]
        clock.ahead = timedelta(minutes=1, seconds=5)
        until(lambda: alertmanager.alerts()[0]["endsAt"] > ends, "it is told again before it expires")

        clock.ahead = timedelta(0)
        publish(engine, resolved(act=4, severity="critical", at=clock()))
        until(lambda: pages(pager)[-1][0] == "resolved", "it resolves")
    firing = [page for page in pages(pager) if page[0] == "firing"]
    assert len(firing) <= 3  # opened, risen, and possibly the end of the earlier severity
    assert {call.json["groupLabels"]["incident"] for call in pager.calls} == {"I-1"}


def test_alerts_of_an_alertmanager_that_was_killed_come_back_and_page_nobody_again(
    engine: Engine, alertmanager: Alertmanager, pager: HookServer
) -> None:
    clock = Clock()
    with sending(engine, file_for(alertmanager), clock):
        publish(engine, change(at=clock(), opened_at=clock()))
        until(lambda: len(pages(pager)) == 1, "it fires")
        until(lambda: all_are(engine, "am", "delivered", 1), "recorded")
        alertmanager.kill()
        publish(engine, change("I-2", at=clock(), opened_at=clock()))
        alertmanager.start()
        clock.ahead = timedelta(minutes=1, seconds=5)
        until(lambda: len(alertmanager.alerts()) == 2, "both alerts")
        until(lambda: {call.json["groupLabels"]["incident"] for call in pager.calls} == {"I-1", "I-2"}, "the new one")


FAILPOINTS = ("after_claim_commit", "before_post", "after_post_before_record", "after_record")


@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_a_sender_killed_while_it_mails_loses_nothing_and_repeats_at_most_once(engine: Engine, failpoint: str) -> None:
    clock = Clock()
    publish(engine, change())
    with MailServer() as server:
        run_until_killed(engine.url.render_as_string(hide_password=False), desk(), server.settings, failpoint)
        clock.ahead = LEASE + timedelta(seconds=5)
        with sending(engine, desk(), clock, server.settings):
            until(lambda: all_are(engine, "desk", "delivered", 1), "delivered")
    assert len(server.messages) == (2 if failpoint == "after_post_before_record" else 1)
    assert len({message["Message-ID"] for message in server.messages}) == 1


@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_a_sender_killed_while_it_posts_loses_nothing_and_repeats_with_the_same_id(
    engine: Engine, failpoint: str
) -> None:
    clock = Clock()
    publish(engine, change())
    with HookServer() as server:
        run_until_killed(engine.url.render_as_string(hide_password=False), hook(server), None, failpoint)
        clock.ahead = LEASE + timedelta(seconds=5)
        with sending(engine, hook(server), clock):
            until(lambda: all_are(engine, "erp", "delivered", 1), "delivered")
    assert len(server.calls) == (2 if failpoint == "after_post_before_record" else 1)
    assert len({call.id for call in server.calls}) == 1


def test_a_mail_server_that_was_down_gets_what_it_missed_once(engine: Engine) -> None:
    clock = Clock()
    with MailServer() as server:
        pass
    with sending(engine, desk(), clock, server.settings):
        publish(engine, *(change(f"I-{n}") for n in range(5)))
        until(lambda: len(failures(engine, "desk")) == 5, "it is down")
        clock.ahead = timedelta(minutes=2)
        with server:
            until(lambda: all_are(engine, "desk", "delivered", 5), "delivered")
    assert len(server.messages) == len({message["Message-ID"] for message in server.messages}) == 5
