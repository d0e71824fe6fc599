"""A Faust app that runs tasks of our own: its command line, lifecycle, signals, supervision and sensors.

Faust's own consumer, agents and tables stay switched off: they lose events and are five times as slow
(docs/adr/0013-cluster.md). The consumer is a task of the app, on aiokafka, which Faust depends on.
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

from pipeline.consumers.cluster.dead_letters import DeadLetterLimitExceeded
from pipeline.consumers.cluster.sensors import MetricsSensor, SensorNotifier
from pipeline.consumers.runtime.background import stack_frames

Task = Callable[[asyncio.Event], Awaitable[None]]  # runs until the event is set
_log = logging.getLogger(__name__)
_lifecycle = logging.getLogger("faust.unvarnished")  # every step of a service's lifecycle


class Crashed(Exception):
    """A bug ended a task: the log has the details."""


class _NoConsumer(BootStrategy):
    enable_kafka = False


class App(faust.App):
    """What `faust -A MODULE worker` starts: tasks that run until a signal, or until one of them ends by a bug."""

    logger = _lifecycle
    BootStrategy = _NoConsumer

    def __init__(self, name: str) -> None:
        super().__init__(name, autodiscover=False, Worker=_Process)
        self.metrics_sensor = MetricsSensor()
        self.monitor = cast(Any, self.metrics_sensor)
        self.sensor_notifier = SensorNotifier(self, self.metrics_sensor)

    def add_task(self, name: str, task: Task) -> None:
        """Run this task, too. The task added last is stopped first, after it has completed its current step."""
        self.service(_as_any(_TaskService(name, task)))

    def add_web_task(self, task: Task) -> None:
        """Run this task as the app's web server, unless the command line says `--without-web`."""
        self.web_server(_TaskService("listener", task))

    def begin(self, loglevel: str, logfile: str | None) -> None:
        """Called in the worker's process before the tasks start, to open what they need."""

    async def on_first_start(self) -> None:
        """Create no folder: there are no tables, and the root of a container may be read-only."""


class _Process(faust.Worker):
    """Faust's process of a worker, with our logging, without its spinner and its signal handlers."""

    def __init__(self, app: App, *services: Any, loglevel: str, logfile: str | None = None, **options: Any) -> None:
        app.begin(loglevel, logfile)
        super().__init__(app, *services, loglevel=loglevel, override_logging=False, **options)
        self.spinner = None

    def _on_sigusr1(self) -> None:
        """Print where each thread and task is. Faust's handler also prints all variables, and so personal data."""
        faulthandler.dump_traceback(all_threads=True)
        for task in asyncio.all_tasks():
            print_task_stack(task, file=sys.stderr)

    def _on_sigusr2(self) -> None:
        """Ignore it. Faust's handler stops the process in a debugger."""


class _TaskService(Service):
    """Runs one task. The app waits for it when it stops, and ends if the task ends before."""

    logger = _lifecycle

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
                raise RuntimeError("it ended although nothing stopped it")
        except DeadLetterLimitExceeded as exceeded:
            _log.critical("the %s ends: %s", self._name, exceeded)
            raise Crashed(self._name) from None
        except Exception as bug:  # without its message, which may hold personal data
            _log.critical("the %s ends: %s", self._name, stack_frames(bug))
            raise Crashed(self._name) from None
        finally:
            self._over.set()

    @property
    def label(self) -> str:
        """The name that Faust prints."""
        return self._name

    async def on_stop(self) -> None:
        """Stop the task and wait until it has ended."""
        self._stopping.set()
        await self._over.wait()


def run(app: App, *arguments: str) -> NoReturn:
    """Run an app through Faust's own command line, as `faust -A MODULE worker` does, until SIGTERM or SIGINT.

    Raises SystemExit: 0 after a signal, 1 after a bug, or what `begin` exits with.
    """
    from faust.cli.faust import cli

    cli(args=["--quiet", "worker", *arguments], app=app)
    raise AssertionError("a worker ends its process")


def _as_any(service: Service) -> Any:
    """Faust accepts services as well as their classes, but its types name only the classes."""
    return service
