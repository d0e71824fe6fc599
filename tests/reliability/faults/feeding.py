"""Brings what is told into a cluster, by every way in, until each event is acknowledged: whatever happens meanwhile."""

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

from pipeline.consumers.cluster.outbox_writer import Appender
from pipeline.consumers.intake import Incoming
from pipeline.demo.door import Door
from tests.reliability.faults.told import Item, Way

_PORTION = 50  # events brought side by side
_AGAIN_SECONDS = 0.2  # until something that was not acknowledged is brought again
_ACK_SECONDS = 10.0
_STRUCTURED = [("content-type", b"application/cloudevents+json")]
_ORDER = re.compile(rb'"order_id":"([^"]+)"')

Headers = list[tuple[str, bytes]]


class Feeding:
    """A thread for each way in, so that one which is closed holds up no other."""

    def __init__(self, items: Sequence[Item], door: Door, appender: Appender, bootstrap: str, prefix: str) -> None:
        ways: dict[Way, _Way] = {
            Way.HTTP: _Posting(door),
            Way.KAFKA: _Producing(bootstrap, prefix),
            Way.JOURNAL: _Storing(appender),
        }
        self._threads = [_Feeder([item for item in items if item.way is way], in_) for way, in_ in ways.items()]
        for thread in self._threads:
            thread.start()

    def last(self, seconds: float) -> None:
        """Spread what is left over so many seconds."""
        for thread in self._threads:
            thread.pace = max(1.0, thread.left / seconds) if seconds else float("inf")

    @property
    def left(self) -> int:
        """How much is not acknowledged yet. Raises what ended one of the threads."""
        for thread in self._threads:
            if thread.failed is not None:
                raise thread.failed
        return sum(thread.left for thread in self._threads)

    @property
    def acknowledged(self) -> list[Item]:
        """What is."""
        return [item for thread in self._threads for item in thread.acknowledged]

    def stop(self) -> None:
        """Bring nothing more."""
        for thread in self._threads:
            thread.stopped.set()
        for thread in self._threads:
            thread.join()


class _Feeder(threading.Thread):
    def __init__(self, items: Sequence[Item], way: "_Way") -> None:
        super().__init__(name="feeder", daemon=True)
        self._items = items
        self._way = way
        self.stopped = threading.Event()
        self.pace = float("inf")  # events a second
        self.acknowledged: list[Item] = []
        self.failed: Exception | None = None

    @property
    def left(self) -> int:
        return len(self._items) - len(self.acknowledged)

    def run(self) -> None:
        try:
            for start in range(0, len(self._items), _PORTION):
                begun = time.monotonic()
                portion = self._items[start : start + _PORTION]
                self._until_acknowledged(portion)
                if self.stopped.wait(max(0.0, begun + len(portion) / self.pace - time.monotonic())):
                    return
        except Exception as error:
            self.failed = error
        finally:
            self._way.close()

    def _until_acknowledged(self, items: Sequence[Item]) -> None:
        while items and not self.stopped.is_set():
            left = self._way.bring(items)
            self.acknowledged += [item for item in items if item not in left]
            items = left
            if items:
                self.stopped.wait(_AGAIN_SECONDS)


class _Way(Protocol):
    def bring(self, items: Sequence[Item]) -> Sequence[Item]:
        """Try it once. Returns what was not acknowledged."""

    def close(self) -> None:
        """Done."""


class _Posting:
    def __init__(self, door: Door) -> None:
        self._door = door

    def bring(self, items: Sequence[Item]) -> Sequence[Item]:
        return [] if self._door.bring([item.raw for item in items]) else items

    def close(self) -> None:
        pass


class _Storing:
    def __init__(self, appender: Appender) -> None:
        self._appender = appender

    def bring(self, items: Sequence[Item]) -> Sequence[Item]:
        told = [Incoming(item.raw, item.topic, "form", None, item.received_at) for item in items]
        try:
            self._appender.absorb_all([told])
        except DBAPIError:
            return items
        return []

    def close(self) -> None:
        pass


class _Producing:
    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._servers = bootstrap
        self._prefix = prefix
        self._producer: KafkaProducer | None = None

    def bring(self, items: Sequence[Item]) -> Sequence[Item]:
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
        """Every second one in binary mode; and of every third nobody says that it belongs to its order."""
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
