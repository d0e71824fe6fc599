"""Sends a workload into a cluster over every intake, and retries until each event is acknowledged."""

import re
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol
from zlib import crc32

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError
from sqlalchemy.exc import DBAPIError

from pipeline.consumers.cluster.outbox_writer import OutboxWriter
from pipeline.consumers.intake import Incoming
from pipeline.demo.http_client import HttpClient
from tests.reliability.faults.workload import Intake, Item

_BATCH = 50  # events sent together
_RETRY_SECONDS = 0.2  # until an event that was not acknowledged is sent again
_ACK_SECONDS = 10.0
_STRUCTURED = [("content-type", b"application/cloudevents+json")]
_ORDER = re.compile(rb'"order_id":"([^"]+)"')

Headers = list[tuple[str, bytes]]


class LoadGenerator:
    """One thread for each intake, so that an unavailable one does not delay the others."""

    def __init__(
        self, items: Sequence[Item], client: HttpClient, outbox_writer: OutboxWriter, bootstrap: str, prefix: str
    ) -> None:
        ways: dict[Intake, _IntakeClient] = {
            Intake.HTTP: _HttpIntake(client),
            Intake.KAFKA: _KafkaIntake(bootstrap, prefix),
            Intake.JOURNAL: _JournalIntake(outbox_writer),
        }
        self._threads = [
            _Sender([item for item in items if item.intake is intake], in_) for intake, in_ in ways.items()
        ]
        for thread in self._threads:
            thread.start()

    def spread_over(self, seconds: float) -> None:
        """Send the remaining events evenly over that many seconds; 0: as fast as possible."""
        for thread in self._threads:
            thread.pace = max(1.0, thread.left / seconds) if seconds else float("inf")

    @property
    def left(self) -> int:
        """The number of events that are not acknowledged yet. Raises the error that ended one of the threads."""
        for thread in self._threads:
            if thread.failed is not None:
                raise thread.failed
        return sum(thread.left for thread in self._threads)

    @property
    def acknowledged(self) -> list[Item]:
        """The events that are acknowledged."""
        return [item for thread in self._threads for item in thread.acknowledged]

    def stop(self) -> None:
        """Stop sending."""
        for thread in self._threads:
            thread.stopped.set()
        for thread in self._threads:
            thread.join()


class _Sender(threading.Thread):
    def __init__(self, items: Sequence[Item], intake: "_IntakeClient") -> None:
        super().__init__(name="feeder", daemon=True)
        self._items = items
        self._way = intake
        self.stopped = threading.Event()
        self.pace = float("inf")  # events a second
        self.acknowledged: list[Item] = []
        self.failed: Exception | None = None

    @property
    def left(self) -> int:
        return len(self._items) - len(self.acknowledged)

    def run(self) -> None:
        try:
            for start in range(0, len(self._items), _BATCH):
                begun = time.monotonic()
                batch = self._items[start : start + _BATCH]
                self._until_acknowledged(batch)
                if self.stopped.wait(max(0.0, begun + len(batch) / self.pace - time.monotonic())):
                    return
        except Exception as error:
            self.failed = error
        finally:
            self._way.close()

    def _until_acknowledged(self, items: Sequence[Item]) -> None:
        while items and not self.stopped.is_set():
            left = self._way.send(items)
            self.acknowledged += [item for item in items if item not in left]
            items = left
            if items:
                self.stopped.wait(_RETRY_SECONDS)


class _IntakeClient(Protocol):
    def send(self, items: Sequence[Item]) -> Sequence[Item]:
        """Send the events once. Returns those that were not acknowledged."""

    def close(self) -> None:
        """Close the connection."""


class _HttpIntake:
    def __init__(self, client: HttpClient) -> None:
        self._client = client

    def send(self, items: Sequence[Item]) -> Sequence[Item]:
        return [] if self._client.send_events([item.raw for item in items]) else items

    def close(self) -> None:
        pass


class _JournalIntake:
    def __init__(self, outbox_writer: OutboxWriter) -> None:
        self._outbox_writer = outbox_writer

    def send(self, items: Sequence[Item]) -> Sequence[Item]:
        batch = [Incoming(item.raw, item.topic, "form", None, item.received_at) for item in items]
        try:
            self._outbox_writer.store_batches([batch])
        except DBAPIError:
            return items
        return []

    def close(self) -> None:
        pass


class _KafkaIntake:
    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._servers = bootstrap
        self._prefix = prefix
        self._producer: KafkaProducer | None = None

    def send(self, items: Sequence[Item]) -> Sequence[Item]:
        try:
            producer = self._producer = self._producer or KafkaProducer(
                bootstrap_servers=self._servers, acks="all", linger_ms=5, bootstrap_timeout_ms=2_000
            )
            sent = [(item, self._send(producer, item)) for item in items]
        except KafkaError:
            self.close()
            return items
        left = []
        for item, future in sent:
            try:
                future.get(_ACK_SECONDS)
            except KafkaError:
                left.append(item)
        if left:
            self.close()
        return left

    def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(KafkaError):
                producer.close(1)

    def _send(self, producer: KafkaProducer, item: Item) -> Any:
        """Produce the event: every second one in binary mode, every third one without the order as its key."""
        order = _ORDER.search(item.raw)
        number = crc32(item.id.encode())
        value, headers = _binary(item.raw) if number % 2 else (item.raw, _STRUCTURED)
        key = order[1] if order and number % 3 else None
        return producer.send(self._prefix + item.topic, value, key, headers)


class _Whole(msgspec.Struct):
    data: msgspec.Raw


def _binary(raw: bytes) -> tuple[bytes, Headers]:
    whole = msgspec.json.decode(raw, type=_Whole)
    attributes = {name: value for name, value in msgspec.json.decode(raw).items() if name != "data"}
    headers = [(f"ce_{name}", _text(value).encode()) for name, value in attributes.items()]
    return bytes(whole.data), [("content-type", b"application/json"), *headers]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
