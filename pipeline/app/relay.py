"""The relay of a cluster: publishes the outbox to Kafka, and serves its health."""

from functools import partial

from pipeline import logs
from pipeline.app import serving
from pipeline.app.installation import now, wait_for_shared
from pipeline.app.process_role import ProcessRole
from pipeline.consumers.cluster.kafka import client
from pipeline.consumers.cluster.relay import RelayThread
from pipeline.settings import Settings
from pipeline.web.http import server


def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. Raises UserError, UnexpectedExit."""
    logs.configure(ProcessRole.RELAY, settings.log_level)
    shared = wait_for_shared(settings)
    open_producer = partial(client.producer, settings)
    relay = RelayThread(shared.store, shared.setup.levels, settings.kafka_topic_prefix, open_producer, now)
    with server.bind(settings.internal_host, settings.relay_port, ProcessRole.RELAY) as bound:
        serving.run_with_health(ProcessRole.RELAY, shared.store, settings, bound, [relay], relay.problems)
