"""The roles of a cluster as processes on Kafka and PostgreSQL: from an event to the pair, and recovery from faults."""

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
from kafka import KafkaAdminClient
from sqlalchemy import URL, text

from deploy.kafka import native
from pipeline.consumers.cluster.outbox_writer import OutboxWriter
from pipeline.consumers.intake import Incoming
from pipeline.domain.events.contract import BadEvent
from pipeline.store.journal.shared_journal import SharedJournal
from pipeline.store.people.vault import Vault
from pipeline.store.store import Store
from tests.support.builders import completed, contact, scanned
from tests.support.limits import until
from tests.support.paths import ROOT
from tests.support.provider import ACCOUNT, TOKEN, Provider
from tests.support.running.dead_letters import opened
from tests.support.running.roles import Cluster, cluster
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
    """One process of each role, shared by the tests that inject no fault: each has its own orders."""
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
    """A cluster for this test alone, without processes."""
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
    """The number of entries in the journal by type and id."""
    with made.engine.connect() as connection:
        return Counter((kind, name) for kind, name in connection.execute(text("SELECT type, id FROM journal")))


def count(made: Cluster, query: str) -> int:
    with made.engine.connect() as connection:
        return int(connection.execute(text(query)).scalar_one())


def test_a_delivery_by_http_leads_to_a_question_an_answer_and_a_published_pair(
    running: Cluster, provider: Provider
) -> None:
    client, phone = running.http_client(), "+447700900123"
    assert client.send_events([order("SO-http", phone), delivered("SO-http")])
    form = [("submission", "first"), ("arrival", "late"), ("goods", "complete"), ("score", "3"), ("comment", "")]
    assert client.submit_form(question(provider, phone), form)
    parts = "SELECT count(*) FROM handled JOIN journal USING (seq) WHERE id LIKE 'SO-http%' AND part <> ''"
    until(lambda: count(running, parts) == 3, "the pair in the evidence of two segments and the fleet")
    until(lambda: not count(running, "SELECT count(*) FROM outbox"), "an empty outbox")
    [pair] = [record for record in running.records("truth") if record.key == b"SO-http"]
    assert json.loads(pair.value)["data"]["verdict"] == "embellished"
    types = [json.loads(record.value)["type"] for record in running.records("feedback") if record.key == b"SO-http"]
    # An immediate answer may arrive before the event of its question.
    assert sorted(types) == ["feedback.received", "feedback.requested"]
    for process in running.processes:
        assert process.ready(), process.role


def test_events_produced_by_other_systems_lead_to_questions_in_either_cloudevents_mode(
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


def test_poison_messages_become_dead_letters_with_their_position_and_the_others_are_processed(running: Cluster) -> None:
    bad = order("SO-bad").replace(b'"ordered":10', b'"ordered":"ten"')
    running.produce("orders", [(bad, [*STRUCTURED, ("traceparent", b"00-1")]), (b"{", []), (order("SO-good"), [])])
    until(lambda: ("order.completed", "SO-good:completed") in journal(running), "the record after the poison messages")
    until(lambda: len(running.records("dead-letters")) == 2, "both dead letters")
    published = running.records("dead-letters")
    found = {
        opened(Vault(running.settings().master()), record.value).value: dict(record.headers) for record in published
    }
    assert all(b"ten" not in record.value for record in published), "sealed"
    assert found.keys() == {bad, b"{"}
    headers = found[bad]
    assert headers["topic"].decode() == f"{running.prefix}orders"
    assert headers["field"] == b"data.lines[0].ordered"
    assert headers["reason"] == b"Invalid decimal string"
    assert headers["traceparent"] == b"00-1"
    assert {"partition", "offset"} <= headers.keys()
    assert count(running, "SELECT count(*) FROM dead_letters") == 2


def test_a_record_on_our_own_topics_that_no_relay_wrote_is_a_poison_message(running: Cluster) -> None:
    before = count(running, "SELECT count(*) FROM dead_letters")
    for topic in ("unvarnished-events", "unvarnished-evidence"):
        running.produce(topic, [(order("SO-forged"), STRUCTURED)])
    until(lambda: count(running, "SELECT count(*) FROM dead_letters") == before + 2, "both dead letters")
    assert ("order.completed", "SO-forged:completed") not in journal(running)


def test_a_retried_dead_letter_that_is_valid_now_is_processed(running: Cluster) -> None:
    before = count(running, "SELECT count(*) FROM dead_letters")
    refused = BadEvent("an older version could not read this", "data")
    incoming = Incoming(order("SO-again"), "orders", "kafka:orders:0:1000000", refused, datetime.now(UTC))
    OutboxWriter(Store(running.engine, Vault(running.settings().master()), SharedJournal())).store_batches([[incoming]])

    command = (sys.executable, "-m", "pipeline", "dead-letters", "retry", "--format", "json")
    done = subprocess.run(command, cwd=ROOT, env=running.environment(), capture_output=True, text=True, check=True)

    assert json.loads(done.stdout)["new"] == 1
    assert count(running, "SELECT count(*) FROM dead_letters") == before, "the others are still invalid"
    until(lambda: count(running, "SELECT count(*) FROM orders WHERE order_id = 'SO-again'"), "the order")


def test_the_logs_trace_an_event_by_its_id(running: Cluster) -> None:
    assert running.http_client().send_events([order("SO-log")])
    until(lambda: count(running, "SELECT count(*) FROM orders WHERE order_id = 'SO-log'"), "the order")
    steps = [
        (line["role"], line["message"])
        for process in running.processes
        for line in process.logged()
        if line.get("event") == "SO-log:completed"
    ]
    assert [role for role, _ in steps] == ["web", "relay", "worker"]
    assert "+4477" not in "".join(process.log for process in running.processes)


def test_a_worker_killed_during_a_batch_loses_nothing_and_repeats_nothing(fresh: Cluster) -> None:
    first, second = fresh.start("worker", "worker", KAFKA_BATCH_SIZE="20")
    until(lambda: first.ready() and second.ready(), "both in the group")
    names = [f"SO-{n}" for n in range(200)]
    with fresh.blocker.begin() as connection:
        connection.execute(text("LOCK TABLE orders"))  # both have fetched a batch that they cannot complete
        fresh.produce("orders", [(order(name), STRUCTURED) for name in names])
        reported = [(delivered(name), STRUCTURED) for name in names]
        fresh.produce("deliveries", reported + reported[:50])
        until(lambda: count(fresh, "SELECT count(*) FROM pg_locks WHERE NOT granted") >= 2, "both batches")
        first.end(signal.SIGKILL)
    until(lambda: count(fresh, "SELECT count(*) FROM journal") == 400, "all of it")
    until(lambda: second.metric("unvarnished_lag_records") == 0, "no lag")
    assert set(journal(fresh).values()) == {1}
    assert count(fresh, "SELECT count(*) FROM asks WHERE purpose = 'delivery'") == 200
    assert second.end(signal.SIGTERM) == 0
    assert not fresh.records("dead-letters")


def test_a_topic_that_is_deleted_and_created_again_loses_no_event(fresh: Cluster) -> None:
    _, _, worker = fresh.start("web", "relay", "worker")
    client, topic = fresh.http_client(), f"{fresh.prefix}unvarnished-events"
    assert client.send_events([order(f"SO-{n}") for n in range(20)])
    until(lambda: count(fresh, "SELECT count(*) FROM orders") == 20, "the orders")
    until(lambda: count(fresh, "SELECT count(*) FROM state WHERE name = 'kafka.events_topic'"), "the topic's id")
    assert worker.end(signal.SIGTERM) == 0
    assert client.send_events([order("SO-lost")])
    until(lambda: not count(fresh, "SELECT count(*) FROM outbox"), "it is on the topic")
    with KafkaAdminClient(bootstrap_servers=fresh.bootstrap) as admin:
        admin.delete_topics([topic])
        until(lambda: topic not in admin.list_topics(), "the end of the topic")
    fresh.make_topics()
    assert client.send_events([order("SO-new")])
    [worker] = fresh.start("worker")
    until(lambda: count(fresh, "SELECT count(*) FROM orders") == 22, "both orders")
    assert worker.metric("unvarnished_topic_recreations_total") == 1
    assert any("deleted and created again" in line["message"] for line in worker.logged())


def test_too_many_poison_messages_stop_a_worker_before_it_drains_the_topic(fresh: Cluster) -> None:
    fresh.produce("orders", [(b"{", [])] * 60)
    [worker] = fresh.start("worker", MAX_DEAD_LETTERS_PER_MINUTE="5", KAFKA_BATCH_SIZE="10")
    assert worker.wait() == 1
    assert any("UNVARNISHED_MAX_DEAD_LETTERS_PER_MINUTE" in line["message"] for line in worker.logged())
    assert count(fresh, "SELECT count(*) FROM dead_letters") == 10
    assert not fresh.records("dead-letters")


def test_a_stalled_worker_is_not_ready_and_then_ends(fresh: Cluster) -> None:
    [worker] = fresh.start("worker", WORKER_STALL_TIMEOUT_SECONDS="4")
    until(worker.ready, "the worker in its group")
    with fresh.blocker.begin() as connection:
        connection.execute(text("LOCK TABLE journal"))
        fresh.produce("orders", [(order("SO-1"), STRUCTURED)])
        until(lambda: "none was processed" in worker.get("/readyz")[1], "the report of the watchdog")
        assert worker.metric("unvarnished_worker_stalled") == 1
        assert worker.wait() == 70


def test_while_the_broker_is_unavailable_events_are_accepted_and_processed_afterwards(
    tmp_path: Path, postgresql_database_url: str, kafka_node: native.Node
) -> None:
    with cluster(tmp_path, postgresql_database_url, kafka_node.bootstrap, "", NOTIFIER="console") as made:
        web, relay, worker = made.start("web", "relay", "worker")
        until(worker.ready, "the worker in its group")
        client = made.http_client()
        kafka_node.stop()
        assert client.send_events([order("SO-1")])
        until(lambda: not relay.ready(), "the relay reports that it is not ready")
        assert web.ready()
        kafka_node.start()
        until(lambda: count(made, "SELECT count(*) FROM orders"), "the order")
        until(lambda: relay.ready() and worker.ready(), "both ready again")
        assert made.processes == [web, relay, worker]
        for process in made.processes:
            process.signal(signal.SIGTERM)
        assert [process.wait() for process in made.processes] == [0, 0, 0]


def children(parent: int) -> dict[str, int]:
    """The process id of each role of a supervisor."""
    found = {}
    for line in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        command = Path(f"/proc/{line}/cmdline").read_text().split("\0")
        found[command[command.index("run") + 1]] = int(line)
    return found


def test_up_with_a_broker_runs_every_role_restarts_what_ends_and_stops_all(fresh: Cluster) -> None:
    [group] = fresh.start("up")
    relay = children(group.pid)["relay"]
    assert fresh.http_client().send_events([order("SO-1")])
    until(lambda: count(fresh, "SELECT count(*) FROM orders") == 1, "the order")
    os.kill(relay, signal.SIGKILL)
    assert fresh.http_client().send_events([order("SO-2")])
    until(lambda: count(fresh, "SELECT count(*) FROM orders") == 2, "the order after the restart of the relay")
    last = children(group.pid)
    assert "the relay ended (killed by signal 9) and is restarted" in group.log
    assert (set(last), last["relay"] != relay) == ({"web", "relay", "worker", "dispatcher"}, True)
    assert group.end(signal.SIGTERM) == 0
    assert not [pid for pid in last.values() if Path(f"/proc/{pid}").exists()]


def test_when_up_is_killed_its_processes_end(fresh: Cluster) -> None:
    [group] = fresh.start("up")
    assert group.ready()

    def _all() -> dict[str, int] | None:
        found = children(group.pid)
        return found if len(found) == 4 else None

    orphans = until(_all, "every role")
    assert group.end(signal.SIGKILL) == -signal.SIGKILL
    until(lambda: not [pid for pid in orphans.values() if Path(f"/proc/{pid}").exists()], "the end of every role")
