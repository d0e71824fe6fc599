"""Starts one process of a cluster: `unvarnished run ROLE`. Any number of each role may run, on any machine."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline.app.process_role import ProcessRole

if TYPE_CHECKING:
    from pipeline.app.serving import Addresses
    from pipeline.settings import Settings


def run(
    role: ProcessRole,
    settings: "Settings",
    on_web_started: Callable[["Addresses"], None],
    supervised: bool = False,
) -> None:
    """Run one process until SIGTERM or SIGINT; with `supervised`, also until stdin is closed.

    Raises UserError if it cannot run with these settings, UnexpectedExit after a bug. A worker raises SystemExit,
    however it ends.
    """
    if supervised:
        threading.Thread(target=_terminate_with_supervisor, name="supervisor watch", daemon=True).start()
    if role is ProcessRole.WORKER:
        from pipeline.app import worker

        worker.run()
    elif role is ProcessRole.WEB:
        from pipeline.app import web

        web.run(settings, on_web_started)
    elif role is ProcessRole.DISPATCHER:
        from pipeline.app import dispatcher

        dispatcher.run(settings)
    else:
        from pipeline.app import relay

        relay.run(settings)


def _terminate_with_supervisor() -> None:
    """Terminate this process when stdin is closed: the supervisor has ended and could no longer stop it."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
