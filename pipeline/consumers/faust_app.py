"""A worker as an app of Faust: its lifecycle, its signals and its supervision carry what we run inside.

Faust's own consumer, agents, tables and web stay switched off: they lose events and cost five times as much
(docs/adr/0013-cluster.md). What consumes is a service of the app, on aiokafka, which Faust brings along.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import faust
from faust.app.base import BootStrategy
from mode import Service

from pipeline.consumers.background import frames
from pipeline.consumers.poison import TooMany

Task = Callable[[asyncio.Event], Awaitable[None]]  # something that goes on until the event is set
_log = logging.getLogger(__name__)
_steps = logging.getLogger("faust.unvarnished")  # where every step of a service's life is told


class Crashed(Exception):
    """A bug ended a service: the log says where."""


class _ServicesOnly(BootStrategy):
    enable_kafka = False
    enable_web = False


class _App(faust.App):
    logger = _steps
    BootStrategy = _ServicesOnly

    async def on_first_start(self) -> None:
        """Make no folder: there are no tables, and the root of a container may be read-only."""


class _Running(Service):
    """One task, which is waited for when the app stops, and which the app does not survive."""

    logger = _steps

    def __init__(self, name: str, task: Task) -> None:
        super().__init__()
        self._name = name
        self._do = task
        self._stopping = asyncio.Event()
        self._over = asyncio.Event()

    @Service.task
    async def _run(self) -> None:
        try:
            await self._do(self._stopping)
            if not self.should_stop:
                raise RuntimeError("it ended without having been told to")
        except TooMany as too_many:
            _log.critical("the %s ends: %s", self._name, too_many)
            raise Crashed(self._name) from None
        except Exception as bug:  # its message may hold what an event said
            _log.critical("the %s ends: %s", self._name, frames(bug))
            raise Crashed(self._name) from None
        finally:
            self._over.set()

    async def on_stop(self) -> None:
        """Let it finish what it does."""
        self._stopping.set()
        await self._over.wait()


def run(**tasks: Task) -> NoReturn:
    """Run these until SIGTERM or SIGINT, or until one of them ends by a bug; the last one is stopped first.

    Raises SystemExit: 0 if it was told to end, 1 after a bug.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    app = _App("unvarnished", autodiscover=False, loop=loop)
    for name, task in tasks.items():
        app.service(_as_any(_Running(name, task)))
    worker = faust.Worker(app, loop=loop, quiet=True, redirect_stdouts=False, override_logging=False)
    worker.spinner = None
    worker.execute_from_commandline()


def _as_any(service: Service) -> Any:
    """Faust takes services as well as their classes, and says so of the classes only."""
    return service
