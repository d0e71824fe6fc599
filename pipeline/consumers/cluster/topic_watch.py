"""Notices that a topic between relay and workers was deleted and created again, and publishes what was lost with it.

An event leaves the outbox once the broker has it, and is marked as handled once a worker has processed it. What is
neither waiting nor marked was on the topic. It is published again; what a worker gets twice has no second effect.

Comparisons that were on the topic of the evidence are counted only: published again, they would be counted in levels
that were added since.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta

import msgspec
from kafka import KafkaAdminClient
from kafka.errors import KafkaError
from msgspec import Struct
from sqlalchemy import Connection

from pipeline import metrics
from pipeline.consumers.cluster.kafka.topics import EVENTS, EVIDENCE
from pipeline.consumers.runtime.background import Background
from pipeline.consumers.runtime.retries import is_transient
from pipeline.store.journal import republish, state
from pipeline.store.journal.retention import first_since
from pipeline.store.journal.shared_journal import shard_of
from pipeline.store.store import Store

CHECK_SECONDS = 10.0
_FACT, _EVIDENCE_FACT = "kafka.events_topic", "kafka.evidence_topic"
_log = logging.getLogger(__name__)


class _Known(Struct):
    """The topic that was seen last: its id, and the place of the journal from which on every event is marked."""

    id: str
    since: int


class _Data(Struct):
    order_id: str | None = None
    tracking_number: str | None = None


class _Envelope(Struct):
    data: _Data


_known = msgspec.json.Decoder(_Known).decode
_envelope = msgspec.json.Decoder(_Envelope).decode


class TopicWatch(Background):
    """Compares the ids of the topics with those they had before: at the start, then every ten seconds."""

    def __init__(
        self,
        store: Store,
        prefix: str,
        open_client: Callable[[], KafkaAdminClient],
        retention: timedelta,
    ) -> None:
        super().__init__("topic watch")
        self._store = store
        self._topics = (prefix + EVENTS, prefix + EVIDENCE)
        self._open_client = open_client
        self._retention = retention  # of the topic: older events are not on it
        self._client: KafkaAdminClient | None = None

    def check(self) -> int:
        """Returns the number of events that are published again. Raises KafkaError, and database errors."""
        self._client = self._client or self._open_client()
        events, evidence = self._topics
        # A topic with an error is deleted, and not created again yet.
        ids = {
            str(found["name"]): str(found["topic_id"])
            for found in self._client.describe_topics(list(self._topics))
            if not found["error_code"]
        }
        with self._store.engine.begin() as connection:
            n = compare(connection, ids[events], self._retention) if events in ids else None
            lost = compare_evidence(connection, ids[evidence], self._retention) if evidence in ids else None
        if lost is not None:
            metrics.TOPIC_RECREATED.inc()
            _log.error("the topic %s was deleted and created again; comparisons that were on it: %d", evidence, lost)
        if n is None:
            return 0
        metrics.TOPIC_RECREATED.inc()
        _log.error(
            "the topic %s was deleted and created again; events that were on it are published again: %d", events, n
        )
        return n

    def problems(self) -> Sequence[str]:
        """Its own failure, in a sentence."""
        return [] if self.alive else ["the topic watch has ended"]

    def _work(self) -> None:
        wait = 0.0
        try:
            while self._pause(wait):
                self._try_check()
                wait = CHECK_SECONDS
        finally:
            self._close()

    def _try_check(self) -> None:
        try:
            self.check()
        except KafkaError:
            self._close()  # the loop reports it
        except Exception as error:
            if not is_transient(error):
                raise

    def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(KafkaError):
                client.close()


def compare(connection: Connection, topic_id: str, retention: timedelta) -> int | None:
    """Note the id of the topic, and put what was on an earlier one back into the outbox, if there was one.

    `retention`: of the topic, by the time of the newest event. Returns the number of events; None: the topic is the
    same. One process does it, others wait for it.
    """
    first = _recreated(connection, _FACT, topic_id, retention)
    if first is None:
        return None
    lost = republish.published_unhandled(connection, first)
    republish.add(connection, {seq: shard_of(_key(payload)) for seq, payload in lost.items()})
    return len(lost)


def compare_evidence(connection: Connection, topic_id: str, retention: timedelta) -> int | None:
    """The same for the topic of the evidence. Returns how many comparisons no worker had begun to count."""
    first = _recreated(connection, _EVIDENCE_FACT, topic_id, retention)
    return None if first is None else republish.comparisons_unhandled(connection, first)


def _recreated(connection: Connection, fact: str, topic_id: str, retention: timedelta) -> int | None:
    """Note the id of a topic. Returns the place of the journal from which on events were on it before; None: the topic
    is the same.
    """
    settled = state.settle(connection, fact, _text(_Known(topic_id, republish.newest(connection))))
    known = _known(state.get(connection, fact, lock=True) or settled)
    if known.id == topic_id:
        return None
    state.put(connection, fact, _text(_Known(topic_id, known.since)))
    return max(known.since + 1, first_since(connection, state.clock_of(connection) - retention))


def _text(known: _Known) -> str:
    return msgspec.json.encode(known).decode()


def _key(payload: str) -> str:
    data = _envelope(payload.encode()).data
    return data.order_id or data.tracking_number or ""
