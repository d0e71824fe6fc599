"""Health and metrics of a process: `/livez`, `/readyz`, `/metrics`."""

import asyncio
import time
from collections.abc import Callable, Sequence

from litestar import Response, get
from litestar.types import ControllerRouterHandler
from msgspec import Struct
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import Engine

from pipeline import metrics
from pipeline.consumers.runtime.write_queue import WriteQueue
from pipeline.domain.access.permissions import Permission
from pipeline.store.db.transient import reason_of
from pipeline.store.db.write_probe import try_write
from pipeline.web.auth.access import OPEN, needs
from pipeline.web.http.problems import Problem

_DATABASE_SECONDS = 3.0  # a probe usually gives up after five
_VALID_SECONDS = 0.5  # how long a result counts, so that many requests do not mean many writes
_SILENT = "the database does not respond"
_MAX_WAIT_SECONDS = 10.0  # how long events may wait to be written while the process still counts as ready


class Healthy(Struct, frozen=True):
    """The process is healthy."""

    status: str = "ok"


class _Database:
    """Tries whether the database can be written to, once at a time: a stalled one must not use up all threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._check: asyncio.Task[None] | None = None
        self._checked_at = float("-inf")

    async def problems(self) -> Sequence[str]:
        """Why nothing can be written, within `_DATABASE_SECONDS`; empty if it can."""
        if self._check is None or (self._check.done() and time.monotonic() - self._checked_at > _VALID_SECONDS):
            self._check = asyncio.create_task(asyncio.to_thread(self._query))
            self._checked_at = time.monotonic()
        done, _ = await asyncio.wait([self._check], timeout=_DATABASE_SECONDS)
        if not done:
            return [_SILENT]
        error = self._check.exception()
        return [] if error is None else [reason_of(error)]

    def _query(self) -> None:
        try_write(self._engine)


ReadinessCheck = Callable[[], Sequence[str]]  # what keeps the process from working now; empty: nothing


def routes(engine: Engine, check: ReadinessCheck) -> list[ControllerRouterHandler]:
    """The health routes. A process is ready if `check` finds no problem and the database can be written to."""
    database = _Database(engine)

    @get("/livez", opt=OPEN, summary="Liveness: the process responds")
    async def get_liveness() -> Healthy:
        return Healthy()

    async def _problems() -> Sequence[str]:
        return [*check(), *await database.problems()]

    @get("/readyz", opt=OPEN, summary="Readiness: the process can work now")
    async def get_readiness() -> Healthy:
        problems = await _problems()
        if problems:
            raise Problem(503, "; ".join(problems), headers={"Retry-After": "5"})
        return Healthy()

    @get("/metrics", opt=needs(Permission.METRICS), include_in_schema=False)
    async def metrics_page() -> Response[bytes]:
        metrics.READY.set(not await _problems())
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return [get_liveness, get_readiness, metrics_page]


def queue_problems(queue: WriteQueue) -> ReadinessCheck:
    """The readiness check of a process that accepts events."""

    def _check() -> Sequence[str]:
        if not queue.alive:
            return ["the write queue has stopped"]
        if queue.unavailable:
            return ["the write queue cannot reach the database"]
        if queue.longest_wait > _MAX_WAIT_SECONDS:
            return [f"events wait longer than {_MAX_WAIT_SECONDS:.0f} seconds to be written"]
        return []

    return _check
