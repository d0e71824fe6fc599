"""Real topics between the relay and the workers of a cluster, for tests that run one after the other."""

from collections.abc import Sequence
from contextlib import closing
from functools import lru_cache

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from pipeline.app.installation import now
from pipeline.consumers.cluster.kafka import client, topics
from pipeline.consumers.cluster.kafka.records import relayed_event
from pipeline.consumers.cluster.relay import RelayThread
from pipeline.consumers.cluster.relayed_event import RelayedEvent
from pipeline.domain.detection.segments import Level
from pipeline.settings import Settings
from pipeline.store.store import Store


class Wire:
    """The topics of one installation, with one partition each: events come back in the order of publication."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        settings = Settings(kafka_bootstrap_servers=bootstrap, kafka_topic_prefix=prefix, kafka_partitions=1)
        topics.create(settings)
        self._prefix = prefix
        self._producer: KafkaProducer = client.producer(settings)
        self._consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
        self._partitions = [TopicPartition(prefix + topic, 0) for topic in (topics.EVENTS, topics.EVIDENCE)]
        self._consumer.assign(self._partitions)

    def relay(self, store: Store, levels: Sequence[Level]) -> RelayThread:
        """A relay from a database to these topics. Events of earlier relays are skipped."""
        self._consumer.seek_to_end(*self._partitions)
        for partition in self._partitions:
            self._consumer.position(partition)  # at once: otherwise only at the next poll
        return RelayThread(store, levels, self._prefix, lambda: self._producer, now)

    def read(self) -> list[RelayedEvent]:
        """All events on the topics that were not read yet, in the order of the journal."""
        ends = self._consumer.end_offsets(self._partitions)
        found: list[RelayedEvent] = []
        while any((self._consumer.position(one) or 0) < ends[one] for one in self._partitions):
            for partition, records in self._consumer.poll(timeout_ms=1_000).items():
                found += [relayed_event(one, partition == self._partitions[1]) for one in records]
        return sorted(found, key=lambda one: (one.seq, bool(one.part)))  # the parts of a pair keep their order

    def close(self) -> None:
        """Close the clients."""
        with closing(self._consumer), closing(self._producer):
            pass


@lru_cache
def wire(bootstrap: str, prefix: str) -> Wire:
    """The topics of this prefix: opened once in a process."""
    return Wire(bootstrap, prefix)
