"""Runs the threads and HTTP listeners of a process until it is stopped."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from functools import partial
from socket import socket
from typing import NamedTuple

from pipeline.app.errors import UnexpectedExit
from pipeline.app.installation import now, sign_in_token
from pipeline.app.process_role import ProcessRole
from pipeline.consumers.runtime.background import Background
from pipeline.settings import Settings
from pipeline.store.store import Store
from pipeline.web.auth.tokens import Tokens
from pipeline.web.http import server
from pipeline.web.internal import health


class Addresses(NamedTuple):
    """URLs of a running installation. `keys`: the API keys that work; without one no system can send events.

    `sign_in`: while the start token works, a link that works once. `token`: the generated start token while it works.

    `levels`: the segment levels that are counted, as settings write them.
    """

    public: str
    internal: str
    sign_in: str
    keys: int
    levels: str
    token: str | None = None


async def serve(
    listeners: Sequence[server.Listener],
    threads: Sequence[Background],
    settings: Settings,
    on_started: Callable[[], None],
    extra_services: Sequence[Background] = (),
) -> None:
    """Run threads and listeners until SIGTERM or SIGINT.

    `on_started` is called once the listeners answer; then the `extra_services` start. Everything stops in the opposite
    order of its start, so the first thread finishes what the later ones handed to it. Raises UnexpectedExit if a bug
    ends one of them.
    """
    stopping, ready = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    last_first = (*reversed(extra_services), *reversed(threads))
    for thread in last_first:
        thread.ended.add_done_callback(lambda _: loop.call_soon_threadsafe(stopping.set))
    for thread in threads:
        thread.start()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(listeners, settings, stopping, ready))
            await ready.wait()
            if not stopping.is_set():
                on_started()
                for service in extra_services:
                    service.start()
    finally:
        for thread in last_first:
            await asyncio.to_thread(thread.stop)
    _check_for_bugs(last_first)


def _check_for_bugs(threads: Sequence[Background]) -> None:
    for thread in threads:
        if thread.ended.done() and thread.ended.exception() is not None:
            raise UnexpectedExit(f"a bug ended the {thread.name}: see the log. No accepted event is lost")


def run(
    store: Store,
    listeners: Sequence[server.Listener],
    threads: Sequence[Background],
    settings: Settings,
    on_started: Callable[[], None],
    extra_services: Sequence[Background] = (),
) -> None:
    """Run `serve` as this process's main loop, and close the database at the end."""
    try:
        asyncio.run(serve(listeners, threads, settings, on_started, extra_services))
    finally:
        store.engine.dispose()


def run_with_health(
    role: ProcessRole,
    store: Store,
    settings: Settings,
    bound: socket,
    threads: Sequence[Background],
    problems: health.ReadinessCheck = tuple,
) -> None:
    """Run the threads of a process without pages, and a listener with its health and metrics.

    `problems` returns why they cannot work now.
    """
    tokens = Tokens(store.engine, settings, sign_in_token(settings), now)
    app = server.health_app(store.engine, tokens, problems)
    run(store, [server.Listener(app, bound)], threads, settings, partial(print_health_address, role, bound))


def print_health_address(role: ProcessRole, bound: socket) -> None:
    """Print where a process without pages serves its health and metrics."""
    print(f"{role}: {server.address(bound)}", flush=True)
