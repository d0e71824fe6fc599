"""Opens a worker's clients, those of aiokafka. Only workers import it: aiokafka needs an event loop."""

from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.helpers import create_ssl_context

from pipeline.consumers.cluster.kafka.client import RECORD_BYTES, options
from pipeline.settings import Settings


def worker_clients(settings: Settings, group: str) -> tuple[AIOKafkaConsumer, AIOKafkaProducer]:
    """A worker's consumer, which never commits by itself, and its producer for dead letters. Needs a running loop."""
    found = _async_options(settings)
    consumer = AIOKafkaConsumer(
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        session_timeout_ms=10_000,  # without a heartbeat for this long, its partitions are assigned to others
        heartbeat_interval_ms=3_000,
        rebalance_timeout_ms=20_000,  # for each member to complete its batch in a rebalance
        max_poll_interval_ms=86_400_000,  # no limit on the time for a batch: the watchdog ends a stalled worker
        # One worker gets the same partition of each topic: the events of an order do not wait for each other's locks.
        partition_assignment_strategy=(RangePartitionAssignor,),
        **found,
    )
    dead_letters = AIOKafkaProducer(acks="all", enable_idempotence=True, max_request_size=RECORD_BYTES, **found)
    return consumer, dead_letters


def _async_options(settings: Settings) -> dict[str, Any]:
    """The options of kafka-python as aiokafka expects them, with the certificates as an SSL context."""
    found = options(settings)
    certificates = found.pop("ssl_cafile", None)
    if "SSL" in settings.kafka_security_protocol.split("_"):
        found["ssl_context"] = create_ssl_context(cafile=certificates)
    return found
