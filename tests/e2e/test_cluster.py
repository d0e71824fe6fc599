"""The roles of a cluster as processes, on Kafka and PostgreSQL: from an event to the pair, and what survives what."""

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import URL, text

from deploy.kafka import native
from pipeline.consumers.cluster.outbox_writer import Appender
from pipeline.consumers.intake import Incoming
from pipeline.domain.events.contract import BadEvent
from pipeline.store.people.vault import Vault
from tests.support.builders import completed, contact, scanned
from tests.support.paths import ROOT
from tests.support.provider import ACCOUNT, TOKEN, Provider
from tests.support.running.roles import Cluster, cluster, until
from tests.support.servers.kafka import KafkaBroker
from tests.support.servers.postgres import PostgresServer

pytestmark = [pytest.mark.e2e, pytest.mark.reliability]

STRUCTURED = [("content-type", b"application/cloudevents+json")]


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with Provider(tmp_path_factory.mktemp("provider") / "journal") as running:
        yield running


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: PostgresServer,
    _migrated_postgres_database: URL,
    kafka_broker: KafkaBroker,
    provider: Provider,
) -> Iterator[Cluster]:
    """One process of each role, shared by the tests that break nothing: each has orders of its own."""
    database = postgres_server.create_database(template=_migrated_postgres_database.database or "")
    url = database.render_as_string(hide_password=False)
    twilio = {
        "NOTIFIER": "twilio_sms",
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_FROM": "+15005550006",
        "TWILIO_URL": provider.url,
    }
    folder = tmp_path_factory.mktemp("cluster")
    with cluster(folder, url, kafka_broker.bootstrap, kafka_broker.new_prefix(), **twilio) as made:
        made.start("web", "relay", "worker", "dispatcher")
        yield made
    postgres_server.drop_database(database)


@pytest.fixture
def fresh(tmp_path: Path, postgresql_database_url: str, kafka_bootstrap: str, topic_prefix: str) -> Iterator[Cluster]:
    """A cluster of the test's own, with no process yet."""
    with cluster(tmp_path, postgresql_database_url, kafka_bootstrap, topic_prefix, NOTIFIER="console") as made:
        yield made


def order(order_id: str, phone: str = "+447700900123") -> bytes:
    return completed(order_id, time=datetime.now(UTC), contacts=[contact(phone=phone)], account={"id": order_id})


def delivered(order_id: str) -> bytes:
    return scanned(order_id, time=datetime.now(UTC))


def question(provider: Provider, phone: str) -> str:
    """The token of the link that was sent to a phone."""
    body = until(
        lambda: next((made.fields["Body"] for made in provider.made if made.fields["To"] == phone), None), "a question"
    )
    found = re.search(r"/f/([\w-]+)", body)
    assert found
    return found[1]


def journal(made: Cluster) -> Counter[tuple[str, str]]:
    """How often each event stands in the journal, by type and id."""
    with made.engine.connect() as connection:
        return Counter((kind, name) for kind, name in connection.execute(text("SELECT type, id FROM journal")))


def count(made: Cluster, query: str) -> int:
    with made.engine.connect() as connection:
        return int(connection.execute(text(query)).scalar_one())


def test_a_delivery_by_http_is_asked_about_answered_and_told_as_a_pair(running: Cluster, provider: Provider) -> None:
    door, phone = running.door(), "+447700900123"
    assert door.bring([order("SO-http", phone), delivered("SO-http")])
    said = [("submission", "first"), ("arrival", "late"), ("goods", "complete"), ("score", "3"), ("comment", "")]
    assert door.fill_in(question(provider, phone), said)
    parts = "SELECT count(*) FROM handled JOIN journal USING (seq) WHERE id LIKE 'SO-http%' AND part <> ''"
    until(lambda: count(running, parts) == 3, "the pair in the evidence of two segments and the fleet")
    until(lambda: not count(running, "SELECT count(*) FROM outbox"), "an empty outbox")
    [pair] = [record for record in running.told("truth") if record.key == b"SO-http"]
    assert json.loads(pair.value)["data"]["verdict"] == "embellished"
    told = [json.loads(record.value)["type"] for record in running.told("feedback") if record.key == b"SO-http"]
    # Who answers at once may be quicker than the news that they were asked.
    assert sorted(told) == ["feedback.received", "feedback.requested"]
    for process in running.processes:
        assert process.ready(), process.role


def test_what_other_systems_produce_is_asked_about_in_either_mode_of_cloudevents(
    running: Cluster, provider: Provider
) -> None:
    phone = "+447700900124"
    event = json.loads(delivered("SO-kafka"))
    binary = [(f"ce_{name}", event[name].encode()) for name in ("specversion", "id", "source", "type", "time")]
    running.produce("orders", [(order("SO-kafka", phone), STRUCTURED)])
    running.produce("deliveries", [(json.dumps(event["data"]).encode(), binary)])
    assert question(provider, phone)
    received = {key for key in journal(running) if key[1].startswith("SO-kafka")}
    assert {kind for kind, _ in received} >= {"order.completed", "delivery.updated"}
    assert not count(running, "SELECT count(*) FROM outbox JOIN journal USING (seq) WHERE source = 'erp'")


def test_poison_goes_to_the_dead_letters_with_its_place_and_the_rest_goes_on(running: Cluster) -> None:
    bad = order("SO-bad").replace(b'"ordered":10', b'"ordered":"ten"')
    running.produce("orders", [(bad, [*STRUCTURED, ("traceparent", b"00-1")]), (b"{", []), (order("SO-good"), [])])
    until(lambda: ("order.completed", "SO-good:completed") in journal(running), "what stands behind the poison")
    until(lambda: len(running.told("dead-letters")) == 2, "both dead letters")
    letters = {record.value: dict(record.headers) for record in running.told("dead-letters")}
    assert letters.keys() == {bad, b"{"}
    headers = letters[bad]
    assert headers["topic"].decode() == f"{running.prefix}orders"
    assert headers["field"] == b"data.lines[0].ordered"
    assert headers["reason"] == b"Expected `float`, got `str`"
    assert headers["traceparent"] == b"00-1"
    assert {"partition", "offset"} <= headers.keys()
    assert count(running, "SELECT count(*) FROM dead_letters") == 2


def test_a_record_on_our_own_topics_that_no_relay_wrote_is_poison_and_no_bug(running: Cluster) -> None:
    before = count(running, "SELECT count(*) FROM dead_letters")
    for topic in ("unvarnished-events", "unvarnished-evidence"):
        running.produce(topic, [(order("SO-forged"), STRUCTURED)])
    until(lambda: count(running, "SELECT count(*) FROM dead_letters") == before + 2, "both set aside")
    assert ("order.completed", "SO-forged:completed") not in journal(running)


def test_a_dead_letter_that_can_be_read_by_now_goes_the_way_of_every_event(running: Cluster) -> None:
    before = count(running, "SELECT count(*) FROM dead_letters")
    refused = BadEvent("an older version could not read this", "data")
    letter = Incoming(order("SO-again"), "orders", "kafka:orders:0:1000000", refused, datetime.now(UTC))
    Appender(running.engine, Vault(running.settings().master())).absorb_all([[letter]])

    command = (sys.executable, "-m", "pipeline", "dead-letters", "retry", "--format", "json")
    done = subprocess.run(command, cwd=ROOT, env=running.environment(), capture_output=True, text=True, check=True)

    assert json.loads(done.stdout)["new"] == 1
    assert count(running, "SELECT count(*) FROM dead_letters") == before, "the others cannot be read now either"
    until(lambda: count(running, "SELECT count(*) FROM orders WHERE order_id = 'SO-again'"), "the order")


def test_the_way_of_an_event_can_be_followed_in_the_logs_by_its_id(running: Cluster) -> None:
    assert running.door().bring([order("SO-log")])
    until(lambda: count(running, "SELECT count(*) FROM orders WHERE order_id = 'SO-log'"), "the order")
    steps = [
        (line["role"], line["message"])
        for process in running.processes
        for line in process.logged()
        if line.get("event") == "SO-log:completed"
    ]
    assert [role for role, _ in steps] == ["web", "relay", "worker"]
    assert "+4477" not in "".join(process.log for process in running.processes)


def test_a_worker_that_is_killed_in_its_batch_loses_nothing_and_does_nothing_twice(fresh: Cluster) -> None:
    first, second = fresh.start("worker", "worker", KAFKA_BATCH="20")
    until(lambda: first.ready() and second.ready(), "both in the group")
    names = [f"SO-{n}" for n in range(200)]
    with fresh.onlooker.begin() as connection:
        connection.execute(text("LOCK TABLE orders"))  # both have taken what they cannot finish
        fresh.produce("orders", [(order(name), STRUCTURED) for name in names])
        fresh.produce("deliveries", [(delivered(name), STRUCTURED) for name in names + names[:50]])
        until(lambda: count(fresh, "SELECT count(*) FROM pg_locks WHERE NOT granted") >= 2, "both batches")
        first.end(signal.SIGKILL)
    until(lambda: count(fresh, "SELECT count(*) FROM journal") == 400, "all of it")
    until(lambda: second.metric("unvarnished_lag_records") == 0, "no lag")
    assert set(journal(fresh).values()) == {1}
    assert count(fresh, "SELECT count(*) FROM asks WHERE purpose = 'delivery'") == 200
    assert second.end(signal.SIGTERM) == 0
    assert not fresh.told("dead-letters")


def test_too_much_poison_stops_a_worker_before_the_topic_is_drained(fresh: Cluster) -> None:
    fresh.produce("orders", [(b"{", [])] * 60)
    [worker] = fresh.start("worker", DEAD_LETTERS_A_MINUTE="5", KAFKA_BATCH="10")
    assert worker.wait() == 1
    assert any("UNVARNISHED_DEAD_LETTERS_A_MINUTE" in line["message"] for line in worker.logged())
    assert count(fresh, "SELECT count(*) FROM dead_letters") == 10
    assert not fresh.told("dead-letters")


def test_a_worker_that_has_work_and_does_none_is_not_ready_and_then_ends(fresh: Cluster) -> None:
    [worker] = fresh.start("worker", STALL_SECONDS="4")
    until(worker.ready, "the worker in its group")
    with fresh.onlooker.begin() as connection:
        connection.execute(text("LOCK TABLE journal"))
        fresh.produce("orders", [(order("SO-1"), STRUCTURED)])
        until(lambda: "none was processed" in worker.get("/readyz")[1], "the watchdog's complaint")
        assert worker.metric("unvarnished_worker_stalled") == 1
        assert worker.wait() == 70


def test_while_the_broker_is_away_events_are_taken_and_afterwards_they_go_on(
    tmp_path: Path, postgresql_database_url: str, kafka_node: native.Node
) -> None:
    with cluster(tmp_path, postgresql_database_url, kafka_node.bootstrap, "", NOTIFIER="console") as made:
        web, relay, worker = made.start("web", "relay", "worker")
        until(worker.ready, "the worker in its group")
        door = made.door()
        kafka_node.stop()
        assert door.bring([order("SO-1")])
        until(lambda: not relay.ready(), "the relay's complaint")
        assert web.ready()
        kafka_node.start()
        until(lambda: count(made, "SELECT count(*) FROM orders"), "the order")
        until(lambda: relay.ready() and worker.ready(), "both ready again")
        assert made.processes == [web, relay, worker]
        for process in made.processes:
            process.signal(signal.SIGTERM)
        assert [process.wait() for process in made.processes] == [0, 0, 0]


def children(parent: int) -> dict[str, int]:
    """The process of each role that a group runs."""
    found = {}
    for line in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        command = Path(f"/proc/{line}/cmdline").read_text().split("\0")
        found[command[command.index("run") + 1]] = int(line)
    return found


def test_up_with_a_broker_runs_every_role_starts_anew_what_ends_and_ends_them_all(fresh: Cluster) -> None:
    [group] = fresh.start("up")
    relay = children(group.pid)["relay"]
    assert fresh.door().bring([order("SO-1")])
    until(lambda: count(fresh, "SELECT count(*) FROM orders") == 1, "the order")
    os.kill(relay, signal.SIGKILL)
    assert fresh.door().bring([order("SO-2")])
    until(lambda: count(fresh, "SELECT count(*) FROM orders") == 2, "the order behind a new relay")
    last = children(group.pid)
    assert "the relay has ended (killed by signal 9): it is started again" in group.log
    assert (set(last), last["relay"] != relay) == ({"web", "relay", "worker", "dispatcher"}, True)
    assert group.end(signal.SIGTERM) == 0
    assert not [pid for pid in last.values() if Path(f"/proc/{pid}").exists()]


def test_when_up_is_killed_its_roles_end_by_themselves(fresh: Cluster) -> None:
    [group] = fresh.start("up")
    assert group.ready()

    def _all() -> dict[str, int] | None:
        found = children(group.pid)
        return found if len(found) == 4 else None

    orphans = until(_all, "every role")
    assert group.end(signal.SIGKILL) == -signal.SIGKILL
    until(lambda: not [pid for pid in orphans.values() if Path(f"/proc/{pid}").exists()], "no role that runs on")
