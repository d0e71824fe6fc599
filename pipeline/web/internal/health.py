"""Health and metrics of a process: `/livez`, `/readyz`, `/metrics`."""

import asyncio
from collections.abc import Callable, Sequence

from litestar import Response, get
from litestar.types import ControllerRouterHandler
from msgspec import Struct
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import Engine

from pipeline import metrics
from pipeline.consumers.runtime.write_queue import WriteQueue
from pipeline.store.db.engine import reading
from pipeline.store.reads.checks import ping
from pipeline.web.auth import OPEN
from pipeline.web.http.problems import Problem

_DATABASE_SECONDS = 3.0  # a probe usually gives up after five
_MAX_WAIT_SECONDS = 10.0  # how long events may wait to be written while the process still counts as ready


class Healthy(Struct, frozen=True):
    """The process is healthy."""

    status: str = "ok"


class _Database:
    """Checks whether the database responds, one check at a time: a stalled database must not use up all threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._check: asyncio.Task[None] | None = None

    async def responds(self) -> bool:
        """Whether the database responds within `_DATABASE_SECONDS`."""
        if self._check is None or self._check.done():
            self._check = asyncio.create_task(asyncio.to_thread(self._query))
        done, _ = await asyncio.wait([self._check], timeout=_DATABASE_SECONDS)
        return bool(done) and self._check.exception() is None

    def _query(self) -> None:
        with reading(self._engine) as connection:
            ping(connection)


ReadinessCheck = Callable[[], Sequence[str]]  # what keeps the process from working now; empty: nothing


def routes(engine: Engine, check: ReadinessCheck) -> list[ControllerRouterHandler]:
    """The health routes. A process is ready if `check` finds no problem and the database responds."""
    database = _Database(engine)

    @get("/livez", opt=OPEN, summary="Liveness: the process responds")
    async def livez() -> Healthy:
        return Healthy()

    async def _problems() -> Sequence[str]:
        found = check()
        return found if await database.responds() else [*found, "the database does not respond"]

    @get("/readyz", opt=OPEN, summary="Readiness: the process can work now")
    async def readyz() -> Healthy:
        problems = await _problems()
        if problems:
            raise Problem(503, "; ".join(problems), headers={"Retry-After": "5"})
        return Healthy()

    @get("/metrics", include_in_schema=False)
    async def metrics_page() -> Response[bytes]:
        metrics.READY.set(not await _problems())
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return [livez, readyz, metrics_page]


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
