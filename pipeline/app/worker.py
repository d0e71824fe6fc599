"""A worker of the cluster, an app of Faust: `unvarnished run worker`, or `faust -A pipeline.app.worker worker`.

It carries the loop that consumes, a listener that shows how it is, and a watchdog outside the event loop of both.
"""

import asyncio
import logging
from functools import partial
from socket import socket
from typing import Any, NamedTuple, NoReturn

from mode.utils.logging import level_number

from pipeline import logs
from pipeline.app import serving
from pipeline.app.errors import complaints
from pipeline.app.installation import Role, Shared, now, open_shared_when_there
from pipeline.consumers.cluster import faust_app
from pipeline.consumers.cluster.kafka import client, worker_clients
from pipeline.consumers.cluster.kafka.topics import DEAD_LETTERS, EVENTS, EVIDENCE, GROUP, RECEIVED
from pipeline.consumers.cluster.poison import Limit
from pipeline.consumers.cluster.progress import Progress
from pipeline.consumers.cluster.runner import ClusterRunner
from pipeline.consumers.cluster.stages import Stages
from pipeline.consumers.cluster.watchdog import Lag, Watchdog
from pipeline.consumers.cluster.worker_loop import Consuming, Work
from pipeline.settings import Settings
from pipeline.web.http import server

_ANY_PORT = 1  # what stands for it in Faust's settings, which know no 0


class _Opened(NamedTuple):
    """What a worker works with."""

    shared: Shared
    progress: Progress
    lag: Lag
    watchdog: Watchdog


class Worker(faust_app.App):
    """The app. Whatever it needs is opened when a worker begins, not when this module is imported."""

    _settings: Settings
    _opened: _Opened
    _listening: socket  # unless it runs without web

    def __init__(self) -> None:
        super().__init__("unvarnished")
        self.on_configured.connect(self._read_settings)
        self.show(self._show)
        self.carry("consumer", self._consume)

    def begin(self, loglevel: str, logfile: str | None) -> None:
        """Open the listener and the database. Raises SystemExit, with a sentence on stderr, if they cannot be."""
        settings = self._settings
        with complaints():
            # Below `info` they would tell what the events say.
            logs.begin(Role.WORKER, settings.log_level, max(level_number(loglevel), logging.INFO), logfile)
            if self.conf.web_enabled:
                port = 0 if self.conf.web_port == _ANY_PORT else self.conf.web_port
                self._listening = server.bind(self.conf.web_bind, port)
            shared = open_shared_when_there(settings)
        progress, prefix = Progress(), settings.kafka_topic_prefix
        self.measures.prefix = prefix
        lag = Lag(partial(client.looker, settings), prefix + GROUP, progress, prefix)
        watchdog = Watchdog(progress, lag, settings.stall_seconds)
        self._opened = _Opened(shared, progress, lag, watchdog)

    def _read_settings(self, _: Any, /, *configurations: Any, signal: Any, **__: Any) -> None:
        """Read our settings, and have them in Faust's. What its command line says comes after this, and counts."""
        with complaints():
            self._settings = settings = Settings()
        [conf] = configurations
        conf.broker = ";".join(f"kafka://{server}" for server in settings.kafka_bootstrap_servers.split(","))
        conf.web_bind, conf.web_port = settings.internal_host, settings.worker_port or _ANY_PORT

    async def on_shutdown(self) -> None:
        """Let go of everything, once all that it carries has ended."""
        await asyncio.to_thread(self._opened.watchdog.stop)
        self._opened.lag.close()
        self._opened.shared.engine.dispose()

    async def _show(self, stopping: asyncio.Event) -> None:
        """Health and metrics, as Faust's web server."""
        settings, (shared, progress, _, watchdog) = self._settings, self._opened
        app = server.role_app(
            shared.engine, serving.token_of(settings), lambda: [*progress.troubles(), *watchdog.troubles()]
        )
        ready = asyncio.Event()
        with self._listening as found:
            answering = asyncio.create_task(server.serve([server.Listener(app, found)], settings, stopping, ready))
            await ready.wait()
            serving.tell_health(Role.WORKER, server.address(found))
            await answering

    async def _consume(self, stopping: asyncio.Event) -> None:
        """The work itself, and what looks at it from outside."""
        settings, (shared, progress, _, watchdog) = self._settings, self._opened
        prefix = settings.kafka_topic_prefix
        runner = ClusterRunner(shared.engine, shared.vault, shared.setup)
        work = Work(
            runner,
            Stages(runner, prefix, now).process,
            Limit(settings.dead_letters_a_minute, settings.dead_letter_share),
            frozenset(prefix + topic for topic in (*RECEIVED, EVENTS, EVIDENCE)),
            prefix + DEAD_LETTERS,
            settings.kafka_batch,
            now,
        )
        watchdog.start()
        clients = worker_clients.worker_clients(settings, prefix + GROUP)
        await Consuming(*clients, work, progress, self.sensing, stopping).run()


app = Worker()


def run() -> NoReturn:
    """Be a worker until SIGTERM or SIGINT. Raises SystemExit: 0, 1 after a bug, 2 if it cannot be started so."""
    faust_app.run(app, "--loglevel", "ERROR")
