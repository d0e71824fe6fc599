"""Whether it lives, whether it is ready, and its metrics."""

import asyncio
from collections.abc import Callable, Sequence

from litestar import Response, get
from litestar.types import ControllerRouterHandler
from msgspec import Struct
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import Engine, select

from pipeline import metrics
from pipeline.consumers.runtime.write_queue import Writer
from pipeline.store.db.engine import reading
from pipeline.store.schema.tables import state
from pipeline.web.auth.token import OPEN
from pipeline.web.http.problems import Problem

_DATABASE_SECONDS = 3.0  # a probe usually gives up after five
_BEHIND_SECONDS = 10.0  # how long events may wait before others should be asked to take them


class Well(Struct, frozen=True):
    """All is well."""

    status: str = "ok"


class _Database:
    """Asks whether the database answers, once at a time: a stalled one must not use up every thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._asking: asyncio.Task[None] | None = None

    async def answers(self) -> bool:
        """Whether it answers in time."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(asyncio.to_thread(self._ask))
        done, _ = await asyncio.wait([self._asking], timeout=_DATABASE_SECONDS)
        return bool(done) and self._asking.exception() is None

    def _ask(self) -> None:
        with reading(self._engine) as connection:
            connection.execute(select(state.c.name).limit(1)).first()


Troubles = Callable[[], Sequence[str]]  # what keeps a process from its work now, in sentences


def routes(engine: Engine, troubles: Troubles) -> list[ControllerRouterHandler]:
    """The routes, on the internal listener. Ready: no troubles, and the database answers."""
    database = _Database(engine)

    @get("/livez", opt=OPEN, summary="Is the process alive")
    async def livez() -> Well:
        return Well()

    async def _why_not() -> Sequence[str]:
        found = troubles()
        return found if await database.answers() else [*found, "the database does not answer"]

    @get("/readyz", opt=OPEN, summary="Can it do its work now")
    async def readyz() -> Well:
        trouble = await _why_not()
        if trouble:
            raise Problem(503, "; ".join(trouble), headers={"Retry-After": "5"})
        return Well()

    @get("/metrics", include_in_schema=False)
    async def measured() -> Response[bytes]:
        metrics.READY.set(not await _why_not())
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return [livez, readyz, measured]


def of_writer(writer: Writer) -> Troubles:
    """What keeps events from being taken."""

    def _troubles() -> Sequence[str]:
        if not writer.alive:
            return ["the writer has ended"]
        if writer.away:
            return ["the writer does not reach the database"]
        if writer.behind > _BEHIND_SECONDS:
            return [f"events wait longer than {_BEHIND_SECONDS:.0f} seconds to be written"]
        return []

    return _troubles
