"""What a worker does with records that nobody can process: tells where they are, and stops when they are too many."""

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError

from pipeline.consumers.cluster.sensors import Headers, Sensing
from pipeline.domain.events.contract import BadEvent

_MINUTE = 60.0  # seconds
_REASON_BYTES = 4_000  # of a reason in a header; all of it is in the database


class TooMany(Exception):
    """So many records are poison that something else is wrong: nothing more is set aside."""


class Limit:
    """Whether too much of the last minute's records was poison: both more than so many and more than such a share."""

    def __init__(self, most: int, share: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._share = share
        self._clock = clock
        self._seen: deque[tuple[float, int, int]] = deque()

    def note(self, records: int, dead: int) -> None:
        """A batch of so many records, so many of them poison. Raises TooMany."""
        now = self._clock()
        self._seen.append((now, records, dead))
        while self._seen[0][0] <= now - _MINUTE:
            self._seen.popleft()
        all_records = sum(records for _, records, _ in self._seen)
        all_dead = sum(dead for _, _, dead in self._seen)
        if all_dead > self._most and all_dead > self._share * all_records:
            raise TooMany(
                f"{all_dead} of the last minute's {all_records} records are poison, more than UNVARNISHED_"
                f"DEAD_LETTERS_A_MINUTE ({self._most}) and UNVARNISHED_DEAD_LETTER_SHARE ({self._share:g}) allow"
            )


class Letters:
    """The topic of dead letters, as a worker writes it."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, sensing: Sensing) -> None:
        self._producer = producer
        self._topic = topic
        self._sensing = sensing

    async def publish(self, record: ConsumerRecord, bad: BadEvent) -> None:
        """Set a record aside as it came, with where it was and what is wrong; returns when the broker has it.

        Raises KafkaError.
        """
        headers = [
            ("topic", record.topic.encode()),
            ("partition", str(record.partition).encode()),
            ("offset", str(record.offset).encode()),
            ("reason", bad.reason.encode("utf-8", "replace")[:_REASON_BYTES]),
            ("field", bad.field.encode("utf-8", "replace")[:_REASON_BYTES]),
        ]
        # Its own headers say how it has to be read; where it was said before cannot say anything else.
        taken = {name for name, _ in headers}
        headers += [(name, value) for name, value in record.headers if name not in taken]
        with suppress(MessageSizeTooLargeError, RecordListTooLargeError):
            await self._send(record.key, record.value or b"", headers)
            return
        # The topic takes less than the one it came from. The bytes stand in the database, sealed.
        await self._send(record.key, b"", headers[:5])

    async def _send(self, key: bytes | None, value: bytes, headers: Headers) -> None:
        await self._sensing.send(self._producer, self._topic, key, value, headers)
