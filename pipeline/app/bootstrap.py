"""Builds the parts that several processes are made of, each from the settings."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from socket import socket
from typing import NamedTuple

from pipeline.app.administration import users as user_administration
from pipeline.app.administration.digest import Digests, DigestThread
from pipeline.app.installation import Installation, SharedInstallation, ages_of, policy_of, sign_in_token
from pipeline.app.serving import Addresses
from pipeline.consumers.intake import Incoming, IngestResult
from pipeline.consumers.notifying.sender import NoticeSender
from pipeline.consumers.runtime.background import Background
from pipeline.consumers.runtime.figure_metrics import FigureMetrics
from pipeline.consumers.runtime.level_monitor import LevelMonitor
from pipeline.consumers.runtime.receipt_clock import ClockWatch
from pipeline.consumers.runtime.retention import Retention
from pipeline.consumers.runtime.spool_replayer import SpoolReplayer
from pipeline.consumers.runtime.write_queue import BatchSink, QueueLimits, WriteQueue
from pipeline.consumers.sending.dispatcher import Dispatcher
from pipeline.consumers.sending.inbox_poll import InboxPoll
from pipeline.consumers.sending.sender import MessageContext
from pipeline.domain.asking.channels import SMS, Channel
from pipeline.domain.detection.segments import format_levels
from pipeline.notifiers import registry
from pipeline.notifiers.receivers import registry as receiver_registry
from pipeline.notifiers.registry import ConfiguredChannel
from pipeline.settings import Settings
from pipeline.store.asks import phone_messages as phone_store
from pipeline.store.journal.spool import Spool
from pipeline.store.people import api_keys
from pipeline.store.store import Store
from pipeline.web.http import server
from pipeline.web.http.services import Services
from pipeline.web.internal import channel_pages, health
from pipeline.web.public import provider_webhooks
from pipeline.web.public.inbound import READER
from pipeline.web.public.provider_webhooks import ProviderWebhooks

_log = logging.getLogger(__name__)


class Sockets(NamedTuple):
    """The bound sockets of both listeners."""

    public: socket
    internal: socket

    def with_public_url(self, settings: Settings) -> Settings:
        """The settings with the public listener's own address as public_url, unless one is configured."""
        return settings.with_defaults(public_url=server.address(self.public))


class HttpParts(NamedTuple):
    """The listeners of a process with pages, the threads that its channel needs, and the URLs to print."""

    listeners: Sequence[server.Listener]
    threads: Sequence[Background]
    addresses: Addresses


@contextmanager
def bound_listeners(settings: Settings) -> Iterator[Sockets]:
    """Bind both listeners. Raises ConfigurationError if an address is in use."""
    with (
        server.bind(settings.public_host, settings.public_port, "public") as public,
        server.bind(settings.internal_host, settings.internal_port, "internal") as internal,
    ):
        yield Sockets(public, internal)


def write_queue(store: Store, sink: BatchSink, settings: Settings) -> WriteQueue:
    """The thread that writes all events of this process."""
    limits = QueueLimits(settings.batch_size, settings.max_pending_events, settings.max_pending_bytes)
    return WriteQueue(sink, limits, store.clock)


def retention(installation: Installation | SharedInstallation, settings: Settings) -> Retention:
    """The thread that deletes expired rows and carries out erasures that are due."""
    store = installation.store
    return Retention(store, installation.setup.levels, ages_of(settings), store.clock)


def level_monitor(installation: Installation | SharedInstallation) -> LevelMonitor:
    """The thread that compares the number of segments with the capacities."""
    return LevelMonitor(installation.store, installation.setup)


def clock_watch(installation: Installation | SharedInstallation, settings: Settings) -> ClockWatch:
    """The thread that records the time of receipt, and resolves doubts about it by the clocks of providers."""
    store = installation.store
    clocks = [made.adapter.clock for made in _channels(store, settings) if made.adapter.clock is not None]
    return ClockWatch(store.engine, installation.clock, clocks)


def dispatcher(store: Store, settings: Settings, on_committed: Callable[[], None] = lambda: None) -> Dispatcher:
    """The thread that sends questions over the configured channel. Raises ConfigurationError if that is incomplete.

    `on_committed` is called after each commit, for the events that the sending emitted.
    """
    return Dispatcher(
        store,
        policy_of(settings),
        {configured.channel.name: configured.adapter.notifier for configured in _channels(store, settings)},
        MessageContext(settings.company_name, settings.public_url.rstrip("/"), settings.own_words),
        store.clock,
        concurrency=settings.dispatcher_concurrency,
        on_committed=on_committed,
    )


def notice_sender(store: Store, settings: Settings) -> NoticeSender:
    """The thread that sends incidents to the configured receivers. Raises ConfigurationError that names the field."""
    receivers = receiver_registry.configured(settings)
    return NoticeSender(store, receivers, store.clock, concurrency=settings.receiver_concurrency)


def report_mails(installation: Installation | SharedInstallation, settings: Settings) -> list[Background]:
    """The thread that sends the weekly report, if it has recipients.

    Raises ConfigurationError if recipients are set, and no mail can be sent.
    """
    if not settings.digest_to:
        return []
    digests = Digests(installation.store, installation.setup, settings)
    digests.check()
    return [DigestThread(digests, installation.store)]


def figure_metrics(store: Store, settings: Settings) -> FigureMetrics:
    """The thread that sets the metrics of incidents and figures."""
    return FigureMetrics(store, settings.measured_levels, settings.metric_segments, store.clock)


def http_parts(
    sockets: Sockets,
    installation: Installation | SharedInstallation,
    settings: Settings,
    queue: WriteQueue,
    on_stored: Callable[[], None] = lambda: None,
) -> HttpParts:
    """Both listeners with all their routes. `on_stored` is called after each batch of events: a question may be due."""
    services = _services(installation, settings, queue, on_stored)
    channels = _channels(services.store, settings)
    webhook_routes, replayers = _webhooks(services, channels, queue)
    pages = [channel_pages.PAGES[name] for configured in channels for name in configured.adapter.pages]
    token = sign_in_token(settings)
    public = server.public_app(services, *webhook_routes)
    internal = server.internal_app(services, token, _problems(services.store, queue), *pages)
    return HttpParts(
        [server.Listener(public, sockets.public), server.Listener(internal, sockets.internal)],
        [*replayers, *_inbox_polls(services.store, channels, settings, queue)],
        _addresses(sockets, services, settings, token),
    )


def _services(
    installation: Installation | SharedInstallation,
    settings: Settings,
    queue: WriteQueue,
    on_stored: Callable[[], None],
) -> Services:
    async def _submit(batch: Sequence[Incoming]) -> IngestResult:
        result = await asyncio.wrap_future(queue.submit(batch))
        if _log.isEnabledFor(logging.DEBUG):
            for received in (incoming.checked for incoming in batch if incoming.checked is not None):
                _log.debug("durable", extra={"event": received.event.id})
        on_stored()
        return result

    return Services(installation.store, installation.setup, settings, _submit, installation.store.clock)


def _problems(store: Store, queue: WriteQueue) -> health.ReadinessCheck:
    of_queue = health.queue_problems(queue)
    return lambda: [*store.clock.problems(), *of_queue()]


def _addresses(sockets: Sockets, services: Services, settings: Settings, token: str) -> Addresses:
    internal = server.address(sockets.internal)
    with services.store.engine.begin() as connection:
        keys = len(api_keys.valid_keys(connection))
        levels = format_levels(services.current_setup(connection).levels)
        setting_up = user_administration.start_token_works(connection, settings)
        path = user_administration.new_start_path(connection) if setting_up else "/sign-in"
    sign_in = f"{settings.internal_url or internal}{path}"
    to_print = token if setting_up and settings.sign_in_token is None else None
    return Addresses(server.address(sockets.public), internal, sign_in, keys, levels, to_print)


def _channels(store: Store, settings: Settings) -> Sequence[ConfiguredChannel]:
    """The channels of this installation. Raises ConfigurationError if their settings are incomplete."""
    return registry.configured_channels(settings, phone_store.PhoneStore(store.engine, store.vault))


def _webhooks(
    services: Services, channels: Sequence[ConfiguredChannel], queue: WriteQueue
) -> tuple[Sequence[server.Routes], Sequence[Background]]:
    """The providers' webhooks, and the replay of calls that were spooled while the database was unavailable."""
    store, settings = services.store, services.settings
    routes, replayers = list[server.Routes](), list[Background]()
    for configured in channels:
        if configured.adapter.webhooks is None:
            continue
        provider = ProviderWebhooks(configured.channel, configured.adapter.webhooks)
        spool = Spool(spool_folder(settings.data_dir, configured.channel), store.vault, settings.max_spool_bytes)
        handle = provider_webhooks.spooled_call_handler(services, provider)
        replayers.append(SpoolReplayer(spool, store.engine, handle, queue.wake))
        routes.append(partial(provider_webhooks.routes, provider=provider, spool=spool))
    return routes, replayers


def _inbox_polls(
    store: Store, channels: Sequence[ConfiguredChannel], settings: Settings, queue: WriteQueue
) -> Sequence[Background]:
    """The polls for inbound texts that no webhook delivered, for each channel that has a list of them."""
    interval = timedelta(minutes=settings.inbound_poll_minutes)
    return [
        InboxPoll(
            store,
            configured.channel,
            configured.adapter.inbox,
            READER,
            store.clock,
            every=interval,
            on_committed=queue.wake,
        )
        for configured in channels
        if configured.adapter.inbox is not None
    ]


def spool_folder(data_dir: Path, channel: Channel) -> Path:
    """Where the webhook calls of a channel are spooled. SMS was the first channel, so its folder has no name."""
    return data_dir / ("spool" if channel == SMS else f"spool-{channel.name}")
