"""What a worker does with records that cannot be processed: publishes them, and stops when they are too many."""

import re
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import msgspec
from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError

from pipeline.consumers.cluster.sensors import Headers, SensorNotifier
from pipeline.domain.events.contract import BadEvent

_WINDOW_SECONDS = 60.0
_TRACE, _TRACE_VALUE = "traceparent", re.compile(rb"[0-9a-f-]{1,60}")  # joins a dead letter to its trace
_REASON_BYTES = 4_000  # of a reason in a header; the database holds all of it


class DeadLetterLimitExceeded(Exception):
    """So many records are dead letters that something else must be wrong: the worker stops, none of them is lost."""


class DeadLetterLimit:
    """Limits the dead letters of the last minute.

    A release that misreads every event, or a producer that sends garbage, would otherwise turn a whole topic into dead
    letters. The limit is exceeded by more than `most` dead letters that are also more than the `share` of all records.
    """

    def __init__(self, most: int, share: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._share = share
        self._clock = clock  # seconds
        self._batches: deque[tuple[float, int, int]] = deque()  # when, records, dead letters

    def record(self, records: int, dead: int) -> None:
        """Add a batch and the dead letters in it. Raises DeadLetterLimitExceeded."""
        now = self._clock()
        self._batches.append((now, records, dead))
        while self._batches[0][0] <= now - _WINDOW_SECONDS:
            self._batches.popleft()
        all_records = sum(records for _, records, _ in self._batches)
        all_dead = sum(dead for _, _, dead in self._batches)
        if all_dead > self._most and all_dead > self._share * all_records:
            raise DeadLetterLimitExceeded(
                f"{all_dead} of the last minute's {all_records} records are dead letters: more than "
                f"UNVARNISHED_MAX_DEAD_LETTERS_PER_MINUTE ({self._most}) and "
                f"UNVARNISHED_MAX_DEAD_LETTER_SHARE ({self._share:g}) allow"
            )


class DeadLetter(NamedTuple):
    """A record as it was received: what the value of a published dead letter contains, as MessagePack and sealed."""

    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]


_encode = msgspec.msgpack.Encoder().encode


class DeadLetterTopic:
    """Publishes dead letters. `seal` encrypts what they contain: it is unknown, so it may be anything."""

    def __init__(
        self, producer: AIOKafkaProducer, topic: str, sensors: SensorNotifier, seal: Callable[[bytes], bytes]
    ) -> None:
        self._producer = producer
        self._topic = topic
        self._sensors = sensors
        self._seal = seal

    async def publish(self, record: ConsumerRecord, bad: BadEvent) -> None:
        """Publish a record, sealed, with its origin and the reason. Returns when the broker has it.

        Raises KafkaError.
        """
        headers = [
            ("topic", record.topic.encode()),
            ("partition", str(record.partition).encode()),
            ("offset", str(record.offset).encode()),
            ("reason", bad.reason.encode("utf-8", "replace")[:_REASON_BYTES]),
            ("field", bad.field.encode("utf-8", "replace")[:_REASON_BYTES]),
        ]
        own = [(name, value or b"") for name, value in record.headers]  # they say how to read the record
        headers += [(name, value) for name, value in own if name == _TRACE and _TRACE_VALUE.fullmatch(value)]
        with suppress(MessageSizeTooLargeError, RecordListTooLargeError):
            await self._send(self._seal(_encode(DeadLetter(record.key, record.value or b"", own))), headers)
            return
        # This topic's limit is lower than that of the record's topic. The database holds the bytes, sealed.
        await self._send(b"", headers)

    async def _send(self, value: bytes, headers: Headers) -> None:
        await self._sensors.send(self._producer, self._topic, None, value, headers)
