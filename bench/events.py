"""The events of a benchmark: orders, each completed, dispatched and delivered, with a person who may be asked."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from typing import NamedTuple

from kafka import KafkaAdminClient, KafkaProducer

from bench.peers.work import OUT
from pipeline.bench.running import completed, event
from pipeline.consumers.cluster.kafka import topics
from pipeline.settings import Settings

PARTITIONS = 4
_ACCOUNTS = 20_000
_TICK_SECONDS = 0.01


class Told(NamedTuple):
    """One event and where it goes."""

    topic: str
    key: bytes
    value: bytes


def told() -> Iterator[Told]:
    """Without end, in the order in which it happens."""
    now = datetime.now(UTC)
    for n in count():
        order_id, who = f"SO-{n}", f"{n % _ACCOUNTS}"
        places = {"region": f"R{n % 7}", "depot": f"D{n % 31}", "carrier": f"C{n % 11}"}
        data = completed(order_id, who, f"+1202555{100 + n % 100:04}", now, places)
        yield Told("orders", order_id.encode(), event("order.completed", f"{order_id}:completed", now, data))
        for status in ("dispatched", "delivered"):
            at = (now - timedelta(minutes=n % 90)).isoformat()
            data = {"order_id": order_id, "status": status, "at": at}
            yield Told("deliveries", order_id.encode(), event("delivery.updated", f"{order_id}:{status}", now, data))


def make_topics(bootstrap: str, prefix: str) -> None:
    """The contract's topics, and the one for what contenders send."""
    topics.create(Settings(kafka_bootstrap_servers=bootstrap, kafka_topic_prefix=prefix, kafka_partitions=PARTITIONS))
    with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
        admin.create_topics({prefix + OUT: {"num_partitions": PARTITIONS, "replication_factor": 1}})


def load(bootstrap: str, prefix: str, events: int, skip: int = 0) -> None:
    """Send so many events, those behind the first `skip`; all of them are there when it returns."""
    made = list(islice(told(), skip, skip + events))  # before, so that they come faster than anybody takes them
    with _producer(bootstrap) as producer:
        for one in made:
            producer.send(prefix + one.topic, one.value, one.key)
        producer.flush()


def trickle(bootstrap: str, prefix: str, skip: int, events: int, a_second: float) -> None:
    """Send events at that pace, those behind the first `skip`."""
    begun = time.monotonic()
    with _producer(bootstrap) as producer:
        for n, one in enumerate(islice(told(), skip, skip + events)):
            while n > (time.monotonic() - begun) * a_second:
                time.sleep(_TICK_SECONDS)
            producer.send(prefix + one.topic, one.value, one.key)
        producer.flush()


def _producer(bootstrap: str) -> KafkaProducer:
    return KafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=2, batch_size=200_000)
