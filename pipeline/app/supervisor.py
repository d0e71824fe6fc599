"""Runs every process of a cluster on this machine, and restarts each one that ends: `unvarnished up` with Kafka."""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress

from pipeline import logs
from pipeline.app.errors import CANNOT_RUN, UnexpectedExit
from pipeline.app.installation import open_shared, sign_in_token
from pipeline.app.process_role import ProcessRole
from pipeline.settings import Settings

_MIN_RESTART_SECONDS = 0.5  # before the first restart of a process
_MAX_RESTART_SECONDS = 30.0  # before a restart of one that keeps ending; doubles up to this
_HEALTHY_SECONDS = 60.0  # a process that ran this long starts with the shortest wait again
_log = logging.getLogger(__name__)


def run_all(settings: Settings) -> None:
    """Run one process of each role until SIGTERM or SIGINT.

    Raises UserError before anything starts, UnexpectedExit if a process cannot run with these settings.
    """
    logs.configure("up", settings.log_level)
    open_shared(settings).store.engine.dispose()  # migrates the schema once, before several processes connect
    environment = os.environ | {"UNVARNISHED_GENERATED_SIGN_IN_TOKEN": sign_in_token(settings)}
    failed = asyncio.run(_supervise(environment))
    if failed is not None:
        raise UnexpectedExit(f"the {failed} cannot run: see its message above")


async def _supervise(environment: Mapping[str, str]) -> ProcessRole | None:
    """Returns the role that cannot run, if that is why all of them ended."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    can_run = await asyncio.gather(*(_keep_running(role, environment, stopping) for role in ProcessRole))
    return next((role for role, able in zip(ProcessRole, can_run, strict=True) if not able), None)


async def _keep_running(role: ProcessRole, environment: Mapping[str, str], stopping: asyncio.Event) -> bool:
    """Start the process again whenever it ends. False: it cannot run with these settings, and the others must stop."""
    wait = _MIN_RESTART_SECONDS
    while not stopping.is_set():
        started = time.monotonic()
        code = await _run_once(role, environment, stopping)
        if code == CANNOT_RUN:
            stopping.set()
            return False
        if not stopping.is_set():
            _log.warning("the %s ended (%s) and is restarted", role, _describe(code))
        if time.monotonic() - started > _HEALTHY_SECONDS:
            wait = _MIN_RESTART_SECONDS
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), wait)
        wait = min(2 * wait, _MAX_RESTART_SECONDS)
    return True


async def _run_once(role: ProcessRole, environment: Mapping[str, str], stopping: asyncio.Event) -> int:
    """Run the process until it ends or `stopping` is set, and return its exit code; -n after signal n."""
    command = [sys.executable, "-m", "pipeline", "run", role, "--supervised"]
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdin=asyncio.subprocess.PIPE, start_new_session=True
    )
    ended, stop_requested = asyncio.create_task(process.wait()), asyncio.create_task(stopping.wait())
    await asyncio.wait([ended, stop_requested], return_when=asyncio.FIRST_COMPLETED)
    stop_requested.cancel()
    if not ended.done():
        process.send_signal(signal.SIGTERM)
    return await ended


def _describe(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
