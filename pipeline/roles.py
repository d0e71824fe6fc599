"""The cluster's roles: each a process of its own, as many of each as are needed, and for one machine all as a group."""

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from sqlalchemy.exc import SQLAlchemyError

from pipeline import live, logs
from pipeline.app import Ended, Role, Shared, now, open_shared
from pipeline.consumers import kafka_io, worker_io
from pipeline.consumers.background import Background
from pipeline.consumers.cluster_runner import ClusterRunner
from pipeline.consumers.consuming import Consuming, Work
from pipeline.consumers.poison import Limit
from pipeline.consumers.progress import Progress
from pipeline.consumers.relay import RelayThread
from pipeline.consumers.runner import passes
from pipeline.consumers.stages import Stages
from pipeline.consumers.topics import DEAD_LETTERS, EVENTS, EVIDENCE, RECEIVED
from pipeline.consumers.watchdog import Lag, Watchdog
from pipeline.settings import Settings
from pipeline.web import health, server

GROUP = "unvarnished"  # of the workers, behind the prefix of the topics
_AGAIN_SECONDS = 1.0  # between two looks for a database that is away
_SHORTEST_SECONDS = 0.5  # between two starts of a role
_LONGEST_SECONDS = 30.0  # between two starts of one that ends again and again
_WELL_SECONDS = 60.0  # a role that ran for so long did not end because of how it was started
_UNUSABLE = 2  # what a process ends with if no further start would help
_log = logging.getLogger(__name__)

Tell = Callable[[str], None]  # is told where a process without pages shows its health, once it does


def run(
    role: Role, settings: Settings, tell_web: Callable[[live.Addresses], None], tell: Tell, supervised: bool = False
) -> None:
    """Be that role until SIGTERM or SIGINT; `supervised`: or until our stdin is closed.

    Raises WrongSetup, Unusable; Ended after a bug, a worker SystemExit.
    """
    logs.to_stderr(role, settings.log_level)
    if supervised:
        threading.Thread(target=_end_with_stdin, name="supervisor's end", daemon=True).start()
    shared = _opened(settings)
    if role is Role.WEB:
        live.web(shared, settings, tell_web)
    elif role is Role.WORKER:
        _worker(shared, settings, tell)
    elif role is Role.DISPATCHER:
        dispatcher = live.dispatcher_of(shared, settings)
        _beside_listener(shared, settings, settings.dispatcher_port, dispatcher, tuple, tell)
    else:
        relay = RelayThread(
            shared.engine,
            shared.vault,
            shared.setup.levels,
            settings.kafka_topic_prefix,
            partial(kafka_io.producer, settings),
            now,
        )
        _beside_listener(shared, settings, settings.relay_port, relay, relay.troubles, tell)


def _end_with_stdin() -> None:
    """Whoever started us holds the other end: when it is gone, however it went, nobody would stop us."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _opened(settings: Settings) -> Shared:
    """The database, as soon as it is there: roles start in any order, and one that is started anew finds it away."""
    while True:
        try:
            return open_shared(settings)
        except SQLAlchemyError as error:
            if not passes(error):
                raise
            _log.error("the database says: %s", str(getattr(error, "orig", None) or error).splitlines()[0])
            time.sleep(_AGAIN_SECONDS)


def _beside_listener(
    shared: Shared, settings: Settings, port: int, thread: Background, troubles: health.Troubles, tell: Tell
) -> None:
    """One thread that does the work, and a listener that shows how it is."""
    with server.bind(settings.internal_host, port) as found:
        app = server.role_app(shared.engine, live.token_of(settings), troubles)
        listeners = [server.Listener(app, found)]
        try:
            asyncio.run(live.serve(listeners, [thread], settings, partial(tell, server.address(found))))
        finally:
            shared.engine.dispose()


def _worker(shared: Shared, settings: Settings, tell: Tell) -> None:
    """The Faust app: a service that consumes, one that shows how it is, and the watchdog outside its loop."""
    from pipeline.consumers import faust_app  # it takes as long to load as everything else: only a worker waits

    prefix, progress = settings.kafka_topic_prefix, Progress()
    group = prefix + GROUP
    runner = ClusterRunner(shared.engine, shared.vault, shared.setup)
    work = Work(
        runner,
        Stages(runner, prefix, now).process,
        Limit(settings.dead_letters_a_minute, settings.dead_letter_share),
        frozenset(prefix + topic for topic in (*RECEIVED, EVENTS, EVIDENCE)),
        prefix + DEAD_LETTERS,
        prefix,
        settings.kafka_batch,
        now,
    )
    lag = Lag(partial(kafka_io.looker, settings), group, progress, prefix)
    watchdog = Watchdog(progress, lag, settings.stall_seconds)
    with server.bind(settings.internal_host, settings.worker_port) as found:
        app = server.role_app(
            shared.engine, live.token_of(settings), lambda: [*progress.troubles(), *watchdog.troubles()]
        )

        async def _show(stopping: asyncio.Event) -> None:
            ready = asyncio.Event()
            serving = asyncio.create_task(server.serve([server.Listener(app, found)], settings, stopping, ready))
            await ready.wait()
            tell(server.address(found))
            await serving

        async def _consume(stopping: asyncio.Event) -> None:
            await Consuming(*worker_io.worker_clients(settings, group), work, progress, stopping).run()

        watchdog.start()
        try:
            faust_app.run(listener=_show, consumer=_consume)
        finally:
            watchdog.stop()
            lag.close()
            shared.engine.dispose()


def run_all(settings: Settings) -> None:
    """Every role as a process of its own, started anew when it ends, until SIGTERM or SIGINT.

    Raises WrongSetup and Unusable before anything is started; Ended if a role cannot start.
    """
    logs.to_stderr("up", settings.log_level)
    open_shared(settings).engine.dispose()  # the schema is up to date before several look at it
    environment = os.environ | {"UNVARNISHED_SIGN_IN_TOKEN": live.token_of(settings)}
    unusable = asyncio.run(_group(environment))
    if unusable is not None:
        raise Ended(f"the {unusable} cannot run: what it said is above")


async def _group(environment: Mapping[str, str]) -> Role | None:
    """Returns the role that cannot run, if that is why they ended."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    found = await asyncio.gather(*(_keep(role, environment, stopping) for role in Role))
    return next((role for role, able in zip(Role, found, strict=True) if not able), None)


async def _keep(role: Role, environment: Mapping[str, str], stopping: asyncio.Event) -> bool:
    """Run a role, again and again. False: it will never run with these settings, and the others have to end, too."""
    wait = _SHORTEST_SECONDS
    command = [sys.executable, "-m", "pipeline", "run", role, "--supervised"]
    while not stopping.is_set():
        started = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdin=asyncio.subprocess.PIPE, start_new_session=True
        )
        ended, told = asyncio.create_task(process.wait()), asyncio.create_task(stopping.wait())
        await asyncio.wait([ended, told], return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if not ended.done():
            process.send_signal(signal.SIGTERM)
        code = await ended
        if code == _UNUSABLE:
            stopping.set()
            return False
        if not stopping.is_set():
            _log.warning("the %s has ended (%s): it is started again", role, _how(code))
        if time.monotonic() - started > _WELL_SECONDS:
            wait = _SHORTEST_SECONDS
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), wait)
        wait = min(2 * wait, _LONGEST_SECONDS)
    return True


def _how(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
