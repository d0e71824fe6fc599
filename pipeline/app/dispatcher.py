"""The dispatcher of a cluster: sends due questions, and incidents to receivers, and serves its health."""

from pipeline import logs
from pipeline.app import bootstrap, serving
from pipeline.app.installation import wait_for_shared
from pipeline.app.process_role import ProcessRole
from pipeline.settings import Settings
from pipeline.web.http import server


def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. Raises UserError, UnexpectedExit."""
    logs.configure(ProcessRole.DISPATCHER, settings.log_level)
    shared = wait_for_shared(settings)
    dispatcher = bootstrap.dispatcher(shared.store, settings)
    notices = bootstrap.notice_sender(shared.store, settings)
    with server.bind(settings.internal_host, settings.dispatcher_port, ProcessRole.DISPATCHER) as bound:
        threads = [bootstrap.clock_watch(shared, settings), dispatcher, notices]
        serving.run_with_health(ProcessRole.DISPATCHER, shared.store, settings, bound, threads, shared.clock.problems)
