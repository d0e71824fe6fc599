"""Notices reach their receivers at least once and in order, whatever hangs, fails or is killed meanwhile."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from pipeline.consumers.notifying.sender import LEASE
from pipeline.store.db.engine import connect, reading
from pipeline.store.notices import deliveries, notices
from tests.support.limits import until
from tests.support.receiving.hooks import HookServer
from tests.support.receiving.incidents import change, publish, resolved
from tests.support.receiving.mail import MailServer, settings_of
from tests.support.receiving.sending import Clock, all_are, desk, hook, sender, sending, states


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = connect(database_url)
    yield engine
    engine.dispose()


def test_every_change_of_every_incident_arrives_once_and_in_order(engine: Engine) -> None:
    incidents = [f"I-{n}" for n in range(10)]
    kinds = ("incident.opened", "incident.acknowledged", "incident.assigned", "incident.closed")
    changes = [change(each, act, kind) for act, kind in enumerate(kinds, 1) for each in incidents]
    with HookServer() as server, sending(engine, hook(server)):
        publish(engine, *reversed(changes))
        until(lambda: all_are(engine, "erp", "delivered", 40), "all delivered")
    got = [(call.json["data"]["incident_id"], call.json["data"]["act"]) for call in server.calls]
    assert len(got) == len(set(got)) == 40
    for each in incidents:
        assert [act for incident, act in got if incident == each] == [1, 2, 3, 4]


def test_a_notice_published_twice_is_sent_once(engine: Engine) -> None:
    with HookServer() as server, sending(engine, hook(server)):
        publish(engine, change())
        until(lambda: all_are(engine, "erp", "delivered", 1), "delivered")
        publish(engine, change())
        publish(engine, change(act=2))
        until(lambda: all_are(engine, "erp", "delivered", 2), "the next one")
    assert len(server.calls) == 2


def test_a_failing_receiver_is_tried_again_with_the_same_id(engine: Engine) -> None:
    with HookServer(lambda n: 204 if n > 2 else 503) as server, sending(engine, hook(server)):
        publish(engine, change())
        until(lambda: all_are(engine, "erp", "delivered", 1), "delivered")
    assert len(server.calls) == 3
    assert len({call.id for call in server.calls}) == 1


def test_a_later_change_waits_for_an_earlier_one_that_is_retried(engine: Engine) -> None:
    with HookServer(lambda n: 204 if n > 2 else 503) as server, sending(engine, hook(server)):
        publish(engine, change(), change(act=2, kind="incident.acknowledged"))
        until(lambda: all_are(engine, "erp", "delivered", 2), "delivered")
    assert [call.json["data"]["act"] for call in server.calls] == [1, 1, 1, 2]


def test_what_a_receiver_refuses_is_a_dead_letter_that_can_be_sent_again(engine: Engine) -> None:
    with HookServer(lambda n: 204 if n > 1 else 422) as server, sending(engine, hook(server)):
        publish(engine, change())
        until(lambda: states(engine, "erp") == [("dead", "status 422")], "given up")
        with engine.begin() as connection:
            assert deliveries.retry_dead(connection, "erp", datetime.now(UTC)) == 1
        until(lambda: all_are(engine, "erp", "delivered", 1), "delivered")


def test_after_three_days_a_notice_is_given_up(engine: Engine) -> None:
    clock = Clock()
    with HookServer(lambda _: 500) as server, sending(engine, hook(server), clock):
        publish(engine, change())
        until(lambda: server.calls, "a first attempt")
        clock.ahead = timedelta(days=3, hours=1)
        until(lambda: states(engine, "erp") == [("dead", "given up: status 500")], "given up")


def test_a_receiver_that_hangs_delays_nobody(engine: Engine) -> None:
    with HookServer() as hanging, HookServer() as healthy:
        hanging.hanging.set()
        with sending(engine, hook(hanging, "stuck") + hook(healthy), concurrency=2):
            publish(engine, *(change(f"I-{n}") for n in range(50)))
            until(lambda: all_are(engine, "erp", "delivered", 50), "the healthy one has all", seconds=9)
            assert not hanging.calls
            hanging.hanging.clear()
            hanging.released.set()
            until(lambda: all_are(engine, "stuck", "delivered", 50), "the other one, too")


def test_what_was_claimed_ahead_and_not_sent_when_the_sender_stops_waits_as_before(engine: Engine) -> None:
    """The one on its way is finished; the others are neither sent nor lost, and no attempt of them counts."""
    hanging_from = 40

    def answer(n: int) -> int:
        if n == hanging_from:
            server.hanging.set()
        return 204

    with HookServer(answer) as server:
        with sending(engine, hook(server), concurrency=1) as running:
            publish(engine, *(change(f"I-{n}") for n in range(300)))
            until(lambda: len(server.calls) == hanging_from, "the receiver hangs")
            until(lambda: ("sending", "") in states(engine, "erp"), "more are claimed")
            running._stopping = True
            server.hanging.clear()
            server.released.set()
        found = [state for state, _ in states(engine, "erp")]
        assert set(found) == {"delivered", "pending"}
        assert len(server.calls) == found.count("delivered")
        with sending(engine, hook(server)):
            until(lambda: all_are(engine, "erp", "delivered", 300), "the rest")
        assert len(server.calls) == len({call.id for call in server.calls}) == 300


def test_many_incidents_reach_alertmanager_in_a_few_requests(engine: Engine) -> None:
    alertmanager = '[[receivers]]\nname = "am"\ntype = "alertmanager"\nurl = "{}"\n[[routes]]\nreceivers = ["am"]\n'
    with HookServer(lambda _: 200) as server, sending(engine, alertmanager.format(server.url)):
        publish(engine, *(change(f"I-{n}") for n in range(500)))
        until(lambda: all_are(engine, "am", "delivered", 500), "all delivered")
        calls = list(server.calls)
    told = [alert["labels"]["incident"] for call in calls for alert in call.json]
    assert {f"I-{n}" for n in range(500)} <= set(told)
    assert len(calls) < 100


def test_a_process_that_died_while_sending_is_replaced_when_its_lease_ends(engine: Engine) -> None:
    clock = Clock()
    publish(engine, change())
    with HookServer() as server:
        dead = sender(engine, hook(server), clock)
        dead._route(clock())
        assert dead._claim(dead._receivers.by_name["erp"], clock(), 1)
        with sending(engine, hook(server), clock):
            assert not server.calls
            clock.ahead = LEASE + timedelta(seconds=1)
            until(lambda: all_are(engine, "erp", "delivered", 1), "delivered")
        dead._store.engine.dispose()


def test_two_senders_deliver_each_notice_once(engine: Engine) -> None:
    with HookServer() as server, sending(engine, hook(server)), sending(engine, hook(server)):
        for n in range(40):
            publish(engine, change(f"I-{n}"))
        until(lambda: all_are(engine, "erp", "delivered", 40), "all delivered")
    assert len(server.calls) == len({call.id for call in server.calls}) == 40


def test_people_get_only_the_newest_of_what_waited_and_no_end_of_what_they_never_heard_of(engine: Engine) -> None:
    clock = Clock()
    with MailServer() as server:
        with sending(engine, desk(), clock, settings_of(1)):
            publish(engine, change(), change("I-2"))
            until(lambda: [reason for _, reason in states(engine, "desk") if reason], "an attempt failed")
            publish(engine, change(act=2, kind="incident.changed", change="escalated", severity="critical", rises=True))
        publish(engine, resolved("I-2"))
        clock.ahead = timedelta(minutes=5)
        with sending(engine, desk(), clock, server.settings):
            until(lambda: server.messages, "a mail")
            until(lambda: not [state for state, _ in states(engine, "desk") if state in ("pending", "sending")], "done")
    assert [message["Subject"] for message in server.messages] == ["[critical] depot Lyon: escalated (on_time)"]
    assert sorted(states(engine, "desk")) == [
        ("delivered", ""),
        ("muted", "never_told"),
        ("superseded", "a newer change"),
        ("superseded", "a newer change"),
    ]


def test_minor_incidents_come_in_one_digest(engine: Engine) -> None:
    clock = Clock()
    digest = 'severity = ["minor"]\ndigest = "08:00"\n[[routes]]\nreceivers = ["desk"]\n'
    with MailServer() as server, sending(engine, desk(digest), clock, server.settings):
        publish(engine, change("I-1", severity="minor"), change("I-2", severity="minor"), change("I-3"))
        until(lambda: len(server.messages) == 1, "the major one at once")
        clock.ahead = timedelta(days=1)
        until(lambda: all_are(engine, "desk", "delivered", 3), "the digest")
    assert [message["Subject"] for message in server.messages][1:] == ["Digest: 2 incidents"]


def test_an_incident_outside_the_scope_is_not_sent_and_the_reason_is_kept(engine: Engine) -> None:
    with HookServer() as server, sending(engine, hook(server) + 'scope = ["depot=Paris"]\n'):
        publish(engine, change())
        until(lambda: states(engine, "erp") == [("muted", "out_of_scope")], "decided")
    assert not server.calls


def test_without_receivers_notices_are_kept_as_routed_and_expire(engine: Engine) -> None:
    with sending(engine, ""):
        publish(engine, change())
        until(lambda: _nothing_unrouted(engine), "routed")
    with engine.begin() as connection:
        assert notices.delete_expired(connection, datetime(2027, 1, 1, tzinfo=UTC), 10) == 1


def test_a_notice_that_waits_does_not_expire(engine: Engine) -> None:
    with HookServer(lambda _: 503) as server, sending(engine, hook(server)):
        publish(engine, change())
        until(lambda: server.calls, "an attempt")
    with engine.begin() as connection:
        assert notices.delete_expired(connection, datetime(2027, 1, 1, tzinfo=UTC), 10) == 0


def _nothing_unrouted(engine: Engine) -> bool:
    with suppress(Exception), reading(engine) as connection:
        return not notices.any_unrouted(connection)
    return False
