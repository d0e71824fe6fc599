"""An app of Faust that carries services of our own: its command line, lifecycle, signals, supervision and sensors.

Faust's own consumer, agents and tables stay switched off: they lose events and cost five times as much
(docs/adr/0013-cluster.md). What consumes is a service of the app, on aiokafka, which Faust brings along.
"""

import asyncio
import faulthandler
import logging
import sys
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, cast

import faust
from faust.app.base import BootStrategy
from mode import Service
from mode.utils.tracebacks import print_task_stack

from pipeline.consumers.cluster.poison import TooMany
from pipeline.consumers.cluster.sensors import Measures, Sensing
from pipeline.consumers.runtime.background import frames

Task = Callable[[asyncio.Event], Awaitable[None]]  # something that goes on until the event is set
_log = logging.getLogger(__name__)
_steps = logging.getLogger("faust.unvarnished")  # where every step of a service's life is told


class Crashed(Exception):
    """A bug ended a service: the log says where."""


class _OwnConsumer(BootStrategy):
    enable_kafka = False


class App(faust.App):
    """What `faust -A MODULE worker` starts: tasks that run until it is told to end, or one of them ends by a bug."""

    logger = _steps
    BootStrategy = _OwnConsumer

    def __init__(self, name: str) -> None:
        super().__init__(name, autodiscover=False, Worker=_Process)
        self.measures = Measures()
        self.monitor = cast(Any, self.measures)
        self.sensing = Sensing(self, self.measures)

    def carry(self, name: str, task: Task) -> None:
        """Run this as well. What is carried last is stopped first, after it has finished what it does."""
        self.service(_as_any(_Running(name, task)))

    def show(self, task: Task) -> None:
        """Run this as the app's web server, unless the command line says `--without-web`."""
        self.web_server(_Running("listener", task))

    def begin(self, loglevel: str, logfile: str | None) -> None:
        """Called in the worker's process before anything of the app is started: what it needs is opened here."""

    async def on_first_start(self) -> None:
        """Make no folder: there are no tables, and the root of a container may be read-only."""


class _Process(faust.Worker):
    """Faust's process of a worker, but for its logging, its spinner and what it does when it is asked how it is."""

    def __init__(self, app: App, *services: Any, loglevel: str, logfile: str | None = None, **options: Any) -> None:
        app.begin(loglevel, logfile)
        super().__init__(app, *services, loglevel=loglevel, override_logging=False, **options)
        self.spinner = None

    def _on_sigusr1(self) -> None:
        """Tell where each thread and task is. Faust would tell every variable, too, and so what the events say."""
        faulthandler.dump_traceback(all_threads=True)
        for task in asyncio.all_tasks():
            print_task_stack(task, file=sys.stderr)

    def _on_sigusr2(self) -> None:
        """Go on. Faust would stand still in a debugger."""


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

    @property
    def label(self) -> str:
        """What Faust calls it."""
        return self._name

    async def on_stop(self) -> None:
        """Let it finish what it does."""
        self._stopping.set()
        await self._over.wait()


def run(app: App, *arguments: str) -> NoReturn:
    """Run an app by Faust's own command line, as `faust -A MODULE worker` does, until SIGTERM or SIGINT.

    Raises SystemExit: 0 if it was told to end, 1 after a bug, or what `begin` ends with.
    """
    from faust.cli.faust import cli

    cli(args=["--quiet", "worker", *arguments], app=app)
    raise AssertionError("a worker ends its process")


def _as_any(service: Service) -> Any:
    """Faust takes services as well as their classes, and says so of the classes only."""
    return service
