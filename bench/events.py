"""The events of a benchmark: orders, each completed, dispatched and delivered, with one contact to ask."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from typing import NamedTuple

from kafka import KafkaAdminClient, KafkaProducer

from bench.peers.work import OUT
from pipeline.bench.harness import event, order_data
from pipeline.consumers.cluster.kafka import topics
from pipeline.settings import Settings

PARTITIONS = 4
_ACCOUNTS = 20_000
_TICK_SECONDS = 0.01


class SourceRecord(NamedTuple):
    """One event, its topic and its key."""

    topic: str
    key: bytes
    value: bytes


def source_records() -> Iterator[SourceRecord]:
    """Endless events, in the order in which they happen."""
    now = datetime.now(UTC)
    for n in count():
        order_id, who = f"SO-{n}", f"{n % _ACCOUNTS}"
        dimensions = {"region": f"R{n % 7}", "depot": f"D{n % 31}", "carrier": f"C{n % 11}"}
        data = order_data(order_id, who, f"+1202555{100 + n % 100:04}", now, dimensions)
        yield SourceRecord("orders", order_id.encode(), event("order.completed", f"{order_id}:completed", now, data))
        for status in ("dispatched", "delivered"):
            at = (now - timedelta(minutes=n % 90)).isoformat()
            data = {"order_id": order_id, "status": status, "at": at}
            yield SourceRecord(
                "deliveries", order_id.encode(), event("delivery.updated", f"{order_id}:{status}", now, data)
            )


def make_topics(bootstrap: str, prefix: str) -> None:
    """Create the contract's topics, and one for the messages of contenders."""
    topics.create(Settings(kafka_bootstrap_servers=bootstrap, kafka_topic_prefix=prefix, kafka_partitions=PARTITIONS))
    with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
        admin.create_topics({prefix + OUT: {"num_partitions": PARTITIONS, "replication_factor": 1}})


def load(bootstrap: str, prefix: str, events: int, skip: int = 0) -> None:
    """Publish that many events after the first `skip`. Returns when the broker has all of them."""
    made = list(
        islice(source_records(), skip, skip + events)
    )  # generated first: publishing must be faster than any contender
    with _producer(bootstrap) as producer:
        for one in made:
            producer.send(prefix + one.topic, one.value, one.key)
        producer.flush()


def send_steadily(bootstrap: str, prefix: str, skip: int, events: int, a_second: float) -> None:
    """Publish that many events after the first `skip`, at a steady pace."""
    begun = time.monotonic()
    with _producer(bootstrap) as producer:
        for n, one in enumerate(islice(source_records(), skip, skip + events)):
            while n > (time.monotonic() - begun) * a_second:
                time.sleep(_TICK_SECONDS)
            producer.send(prefix + one.topic, one.value, one.key)
        producer.flush()


def _producer(bootstrap: str) -> KafkaProducer:
    return KafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=2, batch_size=200_000)
