"""Reprocesses dead letters: after an upgrade or a correction some of them are valid events."""

from collections.abc import Callable, Sequence
from datetime import datetime

from pipeline.consumers.intake import Incoming, IngestResult
from pipeline.consumers.runtime.write_queue import BatchSink
from pipeline.store.db.engine import reading
from pipeline.store.journal import dead_letters
from pipeline.store.store import Store

_BATCH_SIZE = 500  # dead letters a transaction


def retry(store: Store, sink: BatchSink, now: Callable[[], datetime]) -> IngestResult:
    """Ingest all dead letters again, as received `now`. Those that fail again stay.

    Can be repeated after a crash: an event that was stored before counts as a duplicate.
    """
    with reading(store.engine) as connection:
        digests = dead_letters.retryable(connection)
    return IngestResult.total(
        _retry_batch(store, sink, now(), digests[start : start + _BATCH_SIZE])
        for start in range(0, len(digests), _BATCH_SIZE)
    )


def _retry_batch(store: Store, sink: BatchSink, now: datetime, digests: Sequence[str]) -> IngestResult:
    with reading(store.engine) as connection:
        rows = dead_letters.read(connection, digests)
    # One batch each, all in one transaction: so each has a result of its own.
    batches = [[Incoming(store.vault.open_bytes(row.raw), row.topic or None, row.position, None, now)] for row in rows]
    results = sink.store_batches(batches)
    stored = [row.digest for row, result in zip(rows, results, strict=True) if not (result.dead or result.conflicts)]
    with store.engine.begin() as connection:
        dead_letters.remove(connection, stored)
    return IngestResult.total(results)
