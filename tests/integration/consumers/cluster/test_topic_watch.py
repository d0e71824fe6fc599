"""The topic between relay and workers is deleted and created again, while events are on it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from kafka import KafkaAdminClient

from pipeline.consumers.cluster.kafka import client
from pipeline.consumers.cluster.kafka.records import relayed_event
from pipeline.consumers.cluster.outbox_writer import OutboxWriter
from pipeline.consumers.cluster.relay import RelayThread
from pipeline.consumers.cluster.runner import ClusterRunner
from pipeline.consumers.cluster.topic_watch import TopicWatch
from pipeline.consumers.intake import Incoming
from pipeline.domain.asking.policy import Policy
from pipeline.domain.setup import Setup
from pipeline.metrics import TOPIC_RECREATED
from pipeline.store.journal.shared_journal import SharedJournal
from pipeline.store.schema.journal import outbox
from pipeline.store.schema.orders import orders
from pipeline.store.store import Store
from tests.support.builders import answered, at, completed, scanned, tracked
from tests.support.limits import until
from tests.support.metrics import value
from tests.support.running.embedded import LEVELS, VAULT
from tests.support.running.roles import Cluster, cluster

EVENTS, EVIDENCE = "unvarnished-events", "unvarnished-evidence"


@pytest.fixture
def made(tmp_path: Path, postgresql_database_url: str, kafka_bootstrap: str, topic_prefix: str) -> Iterator[Cluster]:
    with cluster(tmp_path, postgresql_database_url, kafka_bootstrap, topic_prefix) as empty:
        yield empty


class Parts:
    """A relay, a worker and the watch of a cluster, which do one step at a time."""

    def __init__(self, made: Cluster) -> None:
        self._made = made
        self._store = Store(made.engine, VAULT, SharedJournal())
        self.worker = ClusterRunner(self._store, Setup(LEVELS, 1.0, Policy()))
        settings = made.settings()
        self.watch = TopicWatch(self._store, made.prefix, lambda: client.offset_client(settings), timedelta(days=7))
        self._relay = RelayThread(self._store, LEVELS, made.prefix, lambda: client.producer(settings), lambda: at())

    def accept(self, *raws: bytes) -> None:
        OutboxWriter(self._store).store_batches([[Incoming(raw, None, "http:erp", None, at()) for raw in raws]])

    def relay(self) -> list[bytes]:
        """Publish the outbox. Returns the keys of everything on the topic."""
        self._relay.run_once()
        return sorted(record.key for record in self._made.records(EVENTS))

    def work(self) -> int:
        """Process everything on the topic, as a worker does that reads it from its begin. Returns what was new."""
        records = [relayed_event(record, False) for record in self._made.records(EVENTS)]
        return self.worker.process_events(records, at()).new

    def recreate(self, topic: str = EVENTS) -> None:
        name = self._made.prefix + topic
        with KafkaAdminClient(bootstrap_servers=self._made.bootstrap) as admin:
            admin.delete_topics([name])
            until(lambda: name not in admin.list_topics(), "the end of the topic")
        self._made.make_topics()

    def close(self) -> None:
        self.watch._close()
        self._relay._close()


@pytest.fixture
def parts(made: Cluster) -> Iterator[Parts]:
    opened = Parts(made)
    yield opened
    opened.close()


def test_what_was_published_and_not_processed_is_published_again_and_processed_once(
    made: Cluster, parts: Parts
) -> None:
    assert parts.watch.check() == 0
    parts.accept(completed("SO-1"))
    parts.relay()
    assert parts.work() == 1
    parts.accept(completed("SO-2"), tracked("1Z 999"))
    assert parts.relay() == [b"1Z999", b"SO-1", b"SO-2"]
    parts.accept(completed("SO-3"))
    from_kafka = Incoming(completed("SO-4"), "orders", "kafka:orders:0:1", None, at())
    assert parts.worker.process_events([from_kafka], at()).new == 1

    parts.recreate()
    assert parts.watch.check() == 2
    assert len(made.rows(outbox)) == 3, "and the one that was waiting all the time"
    assert parts.relay() == [b"1Z999", b"SO-2", b"SO-3"]
    assert (parts.work(), parts.work()) == (3, 0)
    assert sorted(row["order_id"] for row in made.rows(orders)) == ["SO-1", "SO-2", "SO-3", "SO-4"]
    assert parts.watch.check() == 0


def test_comparisons_that_were_on_the_topic_of_the_evidence_are_counted_in_the_log(
    made: Cluster, parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    parts.accept(completed("SO-1", at(hours=-9)))
    parts.relay()
    parts.work()
    assert parts.watch.check() == 0
    parts.accept(scanned("SO-1", at(hours=-8)), answered("SO-1", at(hours=-7), arrival="late"))
    parts.relay()
    assert parts.work() == 2, "what follows is a comparison"
    parts.relay()
    before = value(TOPIC_RECREATED)
    parts.recreate(EVIDENCE)
    assert parts.watch.check() == 0
    assert value(TOPIC_RECREATED) == before + 1
    assert "comparisons that were on it: 1" in caplog.text
    assert parts.watch.check() == 0
    assert value(TOPIC_RECREATED) == before + 1


def test_a_missing_topic_is_no_new_one(made: Cluster, parts: Parts) -> None:
    parts.accept(completed("SO-1"))
    assert parts.watch.check() == 0
    parts.relay()
    with KafkaAdminClient(bootstrap_servers=made.bootstrap) as admin:
        admin.delete_topics([made.prefix + EVENTS])
        until(lambda: made.prefix + EVENTS not in admin.list_topics(), "the end of the topic")
    assert parts.watch.check() == 0
    assert made.rows(outbox) == []
    made.make_topics()
    assert parts.watch.check() == 0, "accepted before the topic was seen for the first time"
