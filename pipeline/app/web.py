"""The web process of a cluster: both listeners. It stores what it receives; workers and dispatchers do the rest."""

from collections.abc import Callable
from functools import partial

from pipeline import logs
from pipeline.app import bootstrap, serving
from pipeline.app.installation import wait_for_shared
from pipeline.app.process_role import ProcessRole
from pipeline.consumers.cluster.outbox_writer import OutboxWriter
from pipeline.settings import Settings


def run(settings: Settings, on_started: Callable[[serving.Addresses], None]) -> None:
    """Run until SIGTERM or SIGINT; `on_started` gets the addresses once both listeners answer.

    Raises UserError, UnexpectedExit.
    """
    logs.configure(ProcessRole.WEB, settings.log_level)
    shared = wait_for_shared(settings)
    with bootstrap.bound_listeners(settings) as sockets:
        settings = sockets.with_public_url(settings)
        queue = bootstrap.write_queue(shared.store, OutboxWriter(shared.store), settings)
        http = bootstrap.http_parts(sockets, shared, settings, queue)
        watch = bootstrap.clock_watch(shared, settings)
        threads = [watch, queue, *http.threads, bootstrap.retention(shared, settings)]
        threads.append(bootstrap.level_monitor(shared))
        serving.run(shared.store, http.listeners, threads, settings, partial(on_started, http.addresses))
