"""From the journal to Kafka: every event once, in order for each key, by one relay or several."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer

from pipeline.consumers.cluster.kafka import client
from pipeline.consumers.cluster.relay import RelayThread
from pipeline.settings import Settings
from pipeline.store.journal.journal import Entry
from pipeline.store.journal.shared_journal import SharedJournal
from pipeline.store.schema.journal import dead_letters, outbox
from pipeline.store.store import Store
from tests.support.builders import at, completed
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
