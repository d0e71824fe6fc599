"""How a worker's clients are opened: those of aiokafka, in an event loop. Whoever needs no loop loads none of this."""

from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.helpers import create_ssl_context

from pipeline.consumers.cluster.kafka.client import RECORD_BYTES, options
from pipeline.settings import Settings


def worker_clients(settings: Settings, group: str) -> tuple[AIOKafkaConsumer, AIOKafkaProducer]:
    """A worker's consumer, which commits nothing by itself, and its producer for dead letters. To be made in a loop."""
    found = _async_options(settings)
    consumer = AIOKafkaConsumer(
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        session_timeout_ms=10_000,  # after that long without a heartbeat its partitions go to others
        heartbeat_interval_ms=3_000,
        rebalance_timeout_ms=20_000,  # for each member to finish its batch when the partitions are shared out anew
        max_poll_interval_ms=86_400_000,  # a batch is waited for as long as it takes: the watchdog ends what stalls
        # The same partition of each topic for the same worker: the events of one order meet there, not at a lock.
        partition_assignment_strategy=(RangePartitionAssignor,),
        **found,
    )
    letters = AIOKafkaProducer(acks="all", enable_idempotence=True, max_request_size=RECORD_BYTES, **found)
    return consumer, letters


def _async_options(settings: Settings) -> dict[str, Any]:
    """The same for aiokafka, which wants its certificates as a context."""
    found = options(settings)
    certificates = found.pop("ssl_cafile", None)
    if "SSL" in settings.kafka_security_protocol.split("_"):
        found["ssl_context"] = create_ssl_context(cafile=certificates)
    return found
