"""`unvarnished up` without Kafka: events in, questions out and all pages, in one process on one database."""

from collections.abc import Callable, Sequence
from functools import partial

from pipeline.app import bootstrap, serving
from pipeline.app.installation import Installation
from pipeline.consumers.runtime.background import Background
from pipeline.settings import Settings

ExtraServices = Callable[[serving.Addresses], Sequence[Background]]


def _none(_: serving.Addresses) -> Sequence[Background]:
    return ()


def run(
    installation: Installation,
    settings: Settings,
    on_started: Callable[[serving.Addresses], None],
    extra_services: ExtraServices = _none,
) -> None:
    """Run until SIGTERM or SIGINT.

    `on_started` gets the addresses once both listeners answer; then the threads that `extra_services` returned start.
    Raises UserError before anything starts, UnexpectedExit if a bug ends a thread.
    """
    store = installation.store
    with bootstrap.bound_listeners(settings) as sockets:
        settings = sockets.with_public_url(settings)
        queue = bootstrap.write_queue(store, installation.runner, settings)
        dispatcher = bootstrap.dispatcher(store, settings, queue.wake)
        http = bootstrap.http_parts(sockets, installation, settings, queue, dispatcher.wake)
        # The channel's threads start before the dispatcher: an answer received earlier precedes the next question.
        watch, notices = bootstrap.clock_watch(installation, settings), bootstrap.notice_sender(store, settings)
        upkeep = (
            bootstrap.figure_metrics(store, settings),
            bootstrap.retention(installation, settings),
            bootstrap.level_monitor(installation),
        )
        mails = bootstrap.report_mails(installation, settings)
        threads = [watch, queue, *http.threads, dispatcher, notices, *mails, *upkeep]
        extra = extra_services(http.addresses)
        serving.run(store, http.listeners, threads, settings, partial(on_started, http.addresses), extra)
