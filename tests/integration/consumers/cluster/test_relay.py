"""From the journal to Kafka: every event once, in order for each key, by one relay or several."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer

from pipeline.consumers.cluster.kafka import client
from pipeline.consumers.cluster.outbox_writer import OutboxWriter
from pipeline.consumers.cluster.relay import RelayThread
from pipeline.consumers.cluster.runner import ClusterRunner
from pipeline.consumers.intake import Incoming
from pipeline.domain.asking.policy import Policy
from pipeline.domain.setup import Setup
from pipeline.settings import Settings
from pipeline.store.journal.journal import Entry
from pipeline.store.journal.shared_journal import SharedJournal
from pipeline.store.schema.journal import dead_letters, outbox
from pipeline.store.store import Store
from tests.support.builders import at, completed, scanned, tracked
from tests.support.limits import until
from tests.support.running.embedded import LEVELS, VAULT
from tests.support.running.roles import PARTITIONS, Cluster, cluster

JOURNAL = SharedJournal()
EVENTS = "unvarnished-events"


@pytest.fixture
def made(tmp_path: Path, postgresql_database_url: str, kafka_bootstrap: str, topic_prefix: str) -> Iterator[Cluster]:
    with cluster(tmp_path, postgresql_database_url, kafka_bootstrap, topic_prefix) as empty:
        yield empty


@pytest.fixture
def relay(made: Cluster) -> Iterator[Callable[[], RelayThread]]:
    """Start a relay. May be called several times."""
    started: list[RelayThread] = []

    def _producer() -> KafkaProducer:
        return client.producer(Settings(kafka_bootstrap_servers=made.bootstrap))

    def _start() -> RelayThread:
        one = RelayThread(Store(made.engine, VAULT, JOURNAL), LEVELS, made.prefix, _producer, lambda: datetime.now(UTC))
        started.append(one)
        one.start()
        return one

    yield _start
    for one in started:
        one.stop()
        assert one.ended.exception() is None


def entries(*order_ids: str, **data: Any) -> list[Entry]:
    """Orders as the intake appends them to the journal, each with its own id."""
    made = []
    for n, order_id in enumerate(order_ids):
        name = f"{order_id}:{n}"
        raw = completed(order_id, event_id=name, **data).decode()
        made.append(Entry("erp", name, "order.completed", False, at(), raw, order_id))
    return made


def append(made: Cluster, some: Sequence[Entry]) -> None:
    with made.engine.begin() as connection:
        JOURNAL.append(connection, some)


def waiting(made: Cluster) -> int:
    return len(made.rows(outbox))


def published_seqs(made: Cluster) -> dict[bytes, list[int]]:
    """The positions in the journal of the published events, by key."""
    found = defaultdict(list)
    for record in sorted(made.records(EVENTS), key=lambda record: (record.partition, record.offset)):
        found[record.key].append(int(dict(record.headers)["seq"]))
    return found


def test_two_relays_publish_everything_once_and_each_key_in_its_order(
    made: Cluster, relay: Callable[[], RelayThread]
) -> None:
    append(made, entries(*(f"SO-{n % 40}" for n in range(1_000))))
    relay()
    relay()
    for start in range(5):
        append(made, entries(*(f"SO-{n}-{start}" for n in range(40))))
    until(lambda: not waiting(made), "everything published")
    published = published_seqs(made)
    assert sum(map(len, published.values())) == 1_200
    assert all(several == sorted(set(several)) for several in published.values())


def test_an_event_committed_late_is_not_skipped(made: Cluster, relay: Callable[[], RelayThread]) -> None:
    relay()
    with made.engine.begin() as late:
        [seq] = JOURNAL.append(late, entries("SO-late"))
        append(made, entries("SO-early"))
        until(lambda: b"SO-early" in published_seqs(made), "the later event")
        assert b"SO-late" not in published_seqs(made)
    until(lambda: published_seqs(made).get(b"SO-late") == [seq], "the late event")


@pytest.fixture
def small_topic(kafka_bootstrap: str, topic_prefix: str) -> None:
    """The topic of events exists with a smaller message limit than ours."""
    with KafkaAdminClient(bootstrap_servers=kafka_bootstrap) as admin:
        admin.create_topics(
            {topic_prefix + EVENTS: {"num_partitions": PARTITIONS, "configs": {"max.message.bytes": "20000"}}}
        )


@pytest.mark.usefixtures("small_topic")
def test_an_event_that_the_broker_refuses_becomes_a_dead_letter_and_the_rest_is_published(
    made: Cluster, relay: Callable[[], RelayThread]
) -> None:
    before, behind = [f"SO-{n}" for n in range(20)], [f"SO-{n}" for n in range(20, 40)]
    many = [{"sku": f"GLV-{n}", "ordered": 1, "delivered": 1} for n in range(1_000)]
    append(made, [*entries(*before), *entries("SO-large", lines=many), *entries(*behind)])
    one = relay()
    until(lambda: not waiting(made), "an empty outbox")
    assert {key.decode() for key in published_seqs(made)} == {*before, *behind}
    [row] = made.rows(dead_letters)
    assert (row["position"], row["topic"]) == ("journal:21", "")
    assert "MessageSizeTooLargeError" in row["reason"]
    assert not one.problems()


def worker(made: Cluster) -> ClusterRunner:
    return ClusterRunner(Store(made.engine, VAULT, JOURNAL), Setup(LEVELS, 1.0, Policy()))


def from_carrier(raw: bytes) -> Incoming:
    return Incoming(raw, "deliveries", "http:carrier", None, at())


def test_a_carriers_event_is_published_with_the_events_of_its_order(
    made: Cluster, relay: Callable[[], RelayThread]
) -> None:
    with_number = completed("SO-7", shipments=[{"tracking_number": "1Z 999"}])
    worker(made).process_events([Incoming(with_number, "orders", "kafka:orders:0:1", None, at())], at())
    OutboxWriter(Store(made.engine, VAULT, JOURNAL)).store_batches(
        [[from_carrier(tracked("1z-999")), from_carrier(tracked("1z-000")), from_carrier(scanned("SO-7"))]]
    )
    relay()
    until(lambda: not waiting(made), "everything published")
    records = made.records(EVENTS)
    assert sorted(record.key for record in records) == [b"1Z000", b"SO-7", b"SO-7"]
    assert len({record.partition for record in records if record.key == b"SO-7"}) == 1


def test_a_carriers_event_that_no_order_claims_in_time_is_published_as_a_dead_letter(
    made: Cluster, relay: Callable[[], RelayThread]
) -> None:
    raw = tracked("1Z999", signed_by="Dana at the dock")
    worker(made).process_events([from_carrier(raw)], at())
    worker(made).tick(at(days=13.9), 10)
    assert not waiting(made)
    worker(made).tick(at(days=14), 10)
    worker(made).tick(at(days=15), 10)
    relay()
    until(lambda: not waiting(made), "everything published")
    [letter] = made.records("dead-letters")
    headers = dict(letter.headers)
    assert (headers["topic"], headers["field"]) == (f"{made.prefix}deliveries".encode(), b"data.tracking_number")
    assert b"no order" in headers["reason"]
    assert json.loads(letter.value)["id"] == json.loads(raw)["id"]
    assert b"Dana" not in letter.value
    assert made.records(EVENTS) == []
    assert [row["position"] for row in made.rows(dead_letters)] == [f"journal:{int(headers['seq'])}"]
