"""Real topics between a cluster's relay and its workers, used step by step by one test after the other."""

from collections.abc import Sequence
from contextlib import closing
from functools import lru_cache

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from sqlalchemy import Engine

from pipeline.app.installation import now
from pipeline.consumers.cluster.kafka import client, topics
from pipeline.consumers.cluster.kafka.records import relayed
from pipeline.consumers.cluster.relay import RelayThread
from pipeline.consumers.cluster.runner import Relayed
from pipeline.domain.detection.segments import Level
from pipeline.settings import Settings
from pipeline.store.people.vault import Vault


class Wire:
    """The topics of one installation, with a partition each: what is told comes back in the order of telling."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        settings = Settings(kafka_bootstrap_servers=bootstrap, kafka_topic_prefix=prefix, kafka_partitions=1)
        topics.create(settings)
        self._prefix = prefix
        self._producer: KafkaProducer = client.producer(settings)
        self._consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
        self._partitions = [TopicPartition(prefix + topic, 0) for topic in (topics.EVENTS, topics.EVIDENCE)]
        self._consumer.assign(self._partitions)

    def relay(self, engine: Engine, vault: Vault, levels: Sequence[Level]) -> RelayThread:
        """A relay of a database onto these topics; what an earlier one told is left where it is."""
        self._consumer.seek_to_end(*self._partitions)
        for partition in self._partitions:
            self._consumer.position(partition)  # now, and not with the next poll
        return RelayThread(engine, vault, levels, self._prefix, lambda: self._producer, now)

    def told(self) -> list[Relayed]:
        """Everything on the topics that was not handed over yet, in the order of the journal."""
        ends = self._consumer.end_offsets(self._partitions)
        found: list[Relayed] = []
        while any((self._consumer.position(one) or 0) < ends[one] for one in self._partitions):
            for partition, records in self._consumer.poll(timeout_ms=1_000).items():
                found += [relayed(one, partition == self._partitions[1]) for one in records]
        return sorted(found, key=lambda one: (one.seq, bool(one.part)))  # the parts of a pair stay as they were told

    def close(self) -> None:
        """No more."""
        with closing(self._consumer), closing(self._producer):
            pass


@lru_cache
def wire(bootstrap: str, prefix: str) -> Wire:
    """The one of that name in this process."""
    return Wire(bootstrap, prefix)
