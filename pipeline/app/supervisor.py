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

from pipeline import logs
from pipeline.app import serving
from pipeline.app.installation import Ended, Role, Shared, now, open_shared, open_shared_when_there
from pipeline.consumers.cluster.kafka import client
from pipeline.consumers.cluster.relay import RelayThread
from pipeline.consumers.runtime.background import Background
from pipeline.settings import Settings
from pipeline.web.http import server
from pipeline.web.internal import health

_SHORTEST_SECONDS = 0.5  # between two starts of a role
_LONGEST_SECONDS = 30.0  # between two starts of one that ends again and again
_WELL_SECONDS = 60.0  # a role that ran for so long did not end because of how it was started
_UNUSABLE = 2  # what a process ends with if no further start would help
_log = logging.getLogger(__name__)


def run(
    role: Role, settings: Settings, tell_web: Callable[[serving.Addresses], None], supervised: bool = False
) -> None:
    """Be that role until SIGTERM or SIGINT; `supervised`: or until our stdin is closed.

    Raises WrongSetup, Unusable; Ended after a bug; a worker SystemExit, whatever it ends with.
    """
    if supervised:
        threading.Thread(target=_end_with_stdin, name="supervisor's end", daemon=True).start()
    if role is Role.WORKER:
        from pipeline.app import worker

        worker.run()
    logs.begin(role, settings.log_level)
    shared = open_shared_when_there(settings)
    if role is Role.WEB:
        serving.web(shared, settings, tell_web)
    elif role is Role.DISPATCHER:
        _beside_listener(
            role, shared, settings, settings.dispatcher_port, serving.dispatcher_of(shared, settings), tuple
        )
    else:
        relay = RelayThread(
            shared.engine,
            shared.vault,
            shared.setup.levels,
            settings.kafka_topic_prefix,
            partial(client.producer, settings),
            now,
        )
        _beside_listener(role, shared, settings, settings.relay_port, relay, relay.troubles)


def _end_with_stdin() -> None:
    """Whoever started us holds the other end: when it is gone, however it went, nobody would stop us."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _beside_listener(
    role: Role, shared: Shared, settings: Settings, port: int, thread: Background, troubles: health.Troubles
) -> None:
    """One thread that does the work, and a listener that shows how it is."""
    with server.bind(settings.internal_host, port) as found:
        app = server.role_app(shared.engine, serving.token_of(settings), troubles)
        listeners = [server.Listener(app, found)]
        try:
            tell = partial(serving.tell_health, role, server.address(found))
            asyncio.run(serving.serve(listeners, [thread], settings, tell))
        finally:
            shared.engine.dispose()


def run_all(settings: Settings) -> None:
    """Every role as a process of its own, started anew when it ends, until SIGTERM or SIGINT.

    Raises WrongSetup and Unusable before anything is started; Ended if a role cannot start.
    """
    logs.begin("up", settings.log_level)
    open_shared(settings).engine.dispose()  # the schema is up to date before several look at it
    environment = os.environ | {"UNVARNISHED_SIGN_IN_TOKEN": serving.token_of(settings)}
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
