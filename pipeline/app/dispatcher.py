"""The dispatcher of a cluster: sends due questions, incidents to receivers and reports; serves health and metrics."""

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
    threads = [
        bootstrap.dispatcher(shared.store, settings),
        bootstrap.notice_sender(shared.store, settings),
        *bootstrap.report_mails(shared, settings),
        bootstrap.figure_metrics(shared.store, settings),
    ]
    with server.bind(settings.internal_host, settings.dispatcher_port, ProcessRole.DISPATCHER) as bound:
        threads.append(bootstrap.clock_watch(shared, settings))
        serving.run_with_health(ProcessRole.DISPATCHER, shared.store, settings, bound, threads, shared.clock.problems)
