"""The worker of a cluster, an app of Faust: `unvarnished run worker`, or `faust -A pipeline.app.worker worker`.

It runs the loop that consumes Kafka, a listener with health and metrics, and a watchdog thread outside the event loop.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from socket import socket
from typing import Any, NamedTuple, NoReturn

from mode.utils.logging import level_number

from pipeline import logs
from pipeline.app import bootstrap, serving
from pipeline.app.errors import user_errors
from pipeline.app.installation import SharedInstallation, sign_in_token, wait_for_shared
from pipeline.app.process_role import ProcessRole
from pipeline.consumers.cluster import faust_app
from pipeline.consumers.cluster.dead_letters import DeadLetterLimit
from pipeline.consumers.cluster.kafka import client, worker_clients
from pipeline.consumers.cluster.kafka.topics import DEAD_LETTERS, EVENTS, EVIDENCE, GROUP, RECEIVED
from pipeline.consumers.cluster.progress import Progress
from pipeline.consumers.cluster.record_processor import RecordProcessor
from pipeline.consumers.cluster.runner import ClusterRunner
from pipeline.consumers.cluster.topic_watch import TopicWatch
from pipeline.consumers.cluster.watchdog import Lag, Watchdog
from pipeline.consumers.cluster.worker_loop import WorkerLoop, WorkerSetup
from pipeline.consumers.runtime.receipt_clock import ClockWatch
from pipeline.settings import Settings
from pipeline.web.auth.tokens import Tokens
from pipeline.web.http import server

_ANY_PORT = 1  # instead of 0, which Faust's settings do not accept


class _Opened(NamedTuple):
    """The parts that a worker opens when it starts."""

    shared: SharedInstallation
    progress: Progress
    lag: Lag
    watchdog: Watchdog
    clock_watch: ClockWatch
    topic_watch: TopicWatch


class Worker(faust_app.App):
    """The app. It opens its parts when a worker starts, not when this module is imported."""

    _settings: Settings
    _opened: _Opened
    _bound: socket  # unset with `--without-web`

    def __init__(self) -> None:
        super().__init__("unvarnished")
        self.on_configured.connect(self._read_settings)
        self.add_web_task(self._serve_health)
        self.add_task("consumer", self._consume)

    def begin(self, loglevel: str, logfile: str | None) -> None:
        """Bind the listener and open the database. Raises SystemExit, after a sentence on stderr, if it cannot."""
        settings = self._settings
        with user_errors():
            # Below `info` the libraries would log the content of events.
            logs.configure(ProcessRole.WORKER, settings.log_level, max(level_number(loglevel), logging.INFO), logfile)
            if self.conf.web_enabled:
                port = 0 if self.conf.web_port == _ANY_PORT else self.conf.web_port
                self._bound = server.bind(self.conf.web_bind, port, ProcessRole.WORKER)
            shared = wait_for_shared(settings)
        progress, prefix = Progress(), settings.kafka_topic_prefix
        self.metrics_sensor.prefix = prefix
        lag = Lag(partial(client.offset_client, settings), prefix + GROUP, progress, prefix)
        watchdog = Watchdog(progress, lag, settings.worker_stall_timeout_seconds)
        open_client = partial(client.offset_client, settings)
        retention = timedelta(hours=settings.kafka_input_retention_hours)
        topic_watch = TopicWatch(shared.store, prefix, open_client, retention)
        clock_watch = bootstrap.clock_watch(shared, settings)
        self._opened = _Opened(shared, progress, lag, watchdog, clock_watch, topic_watch)

    def _read_settings(self, _: Any, /, *configurations: Any, signal: Any, **__: Any) -> None:
        """Read the settings, and set Faust's from them. Options of its command line are applied later, and win."""
        with user_errors():
            self._settings = settings = Settings()
        [conf] = configurations
        conf.broker = ";".join(f"kafka://{server}" for server in settings.kafka_bootstrap_servers.split(","))
        conf.web_bind, conf.web_port = settings.internal_host, settings.worker_port or _ANY_PORT

    async def on_shutdown(self) -> None:
        """Close everything, once the tasks have ended."""
        for thread in (self._opened.watchdog, self._opened.clock_watch, self._opened.topic_watch):
            await asyncio.to_thread(thread.stop)
        self._opened.lag.close()
        self._opened.shared.store.engine.dispose()

    async def _serve_health(self, stopping: asyncio.Event) -> None:
        """Serve health and metrics, instead of Faust's web server."""
        settings, (shared, progress, _, watchdog, _, topic_watch) = self._settings, self._opened
        tokens = Tokens(shared.store.engine, settings, sign_in_token(settings), shared.clock)

        def _problems() -> Sequence[str]:  # once, if progress reports the clock, too
            ended = (*watchdog.problems(), *topic_watch.problems())
            return list(dict.fromkeys([*shared.clock.problems(), *progress.problems(), *ended]))

        app = server.health_app(shared.store.engine, tokens, _problems)
        ready = asyncio.Event()
        with self._bound as bound:
            serving_task = asyncio.create_task(server.serve([server.Listener(app, bound)], settings, stopping, ready))
            await ready.wait()
            serving.print_health_address(ProcessRole.WORKER, bound)
            await serving_task

    async def _consume(self, stopping: asyncio.Event) -> None:
        """Consume until `stopping` is set, watched by the watchdog."""
        settings, (shared, progress, _, watchdog, clock_watch, topic_watch) = self._settings, self._opened
        prefix = settings.kafka_topic_prefix
        runner = ClusterRunner(shared.store, shared.setup)
        work = WorkerSetup(
            runner,
            RecordProcessor(runner, prefix, shared.clock).process,
            DeadLetterLimit(settings.max_dead_letters_per_minute, settings.max_dead_letter_share),
            frozenset(prefix + topic for topic in (*RECEIVED, EVENTS, EVIDENCE)),
            prefix + DEAD_LETTERS,
            settings.kafka_batch_size,
            shared.store.vault.seal_bytes,
            shared.clock,
        )
        watchdog.start()
        clock_watch.start()
        topic_watch.start()
        clients = worker_clients.worker_clients(settings, prefix + GROUP)
        await WorkerLoop(*clients, work, progress, self.sensor_notifier, stopping).run()


app = Worker()


def run() -> NoReturn:
    """Run a worker until SIGTERM or SIGINT. Raises SystemExit: 0, 1 after a bug, 2 if it cannot run as configured."""
    faust_app.run(app, "--loglevel", "ERROR")
