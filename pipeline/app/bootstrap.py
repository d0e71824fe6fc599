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

from pipeline.app.installation import Installation, SharedInstallation, ages_of, now, policy_of, sign_in_token
from pipeline.app.serving import Addresses
from pipeline.consumers.intake import Incoming, IngestResult
from pipeline.consumers.notifying.sender import NoticeSender
from pipeline.consumers.runtime.background import Background
from pipeline.consumers.runtime.figure_metrics import FigureMetrics
from pipeline.consumers.runtime.retention import Retention
from pipeline.consumers.runtime.spool_replayer import SpoolReplayer
from pipeline.consumers.runtime.write_queue import BatchSink, QueueLimits, WriteQueue
from pipeline.consumers.sending.dispatcher import Dispatcher
from pipeline.consumers.sending.inbox_poll import InboxPoll
from pipeline.consumers.sending.sender import MessageContext
from pipeline.domain.asking.channels import SMS, Channel
from pipeline.notifiers import registry
from pipeline.notifiers.receivers import registry as receiver_registry
from pipeline.notifiers.registry import ConfiguredChannel
from pipeline.settings import Settings
from pipeline.store.asks import phone_messages as phone_store
from pipeline.store.db.engine import reading
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


def write_queue(sink: BatchSink, settings: Settings) -> WriteQueue:
    """The thread that writes all events of this process."""
    limits = QueueLimits(settings.batch_size, settings.max_pending_events, settings.max_pending_bytes)
    return WriteQueue(sink, limits, now)


def retention(store: Store, settings: Settings) -> Retention:
    """The thread that deletes expired rows."""
    return Retention(store, ages_of(settings), now)


def dispatcher(store: Store, settings: Settings, on_committed: Callable[[], None] = lambda: None) -> Dispatcher:
    """The thread that sends questions over the configured channel. Raises ConfigurationError if that is incomplete.

    `on_committed` is called after each commit, for the events that the sending emitted.
    """
    return Dispatcher(
        store,
        policy_of(settings),
        {configured.channel.name: configured.adapter.notifier for configured in _channels(store, settings)},
        MessageContext(settings.company_name, settings.public_url.rstrip("/")),
        now,
        concurrency=settings.dispatcher_concurrency,
        on_committed=on_committed,
    )


def notice_sender(store: Store, settings: Settings) -> NoticeSender:
    """The thread that sends incidents to the configured receivers. Raises ConfigurationError that names the field."""
    receivers = receiver_registry.configured(settings)
    return NoticeSender(store, receivers, now, concurrency=settings.receiver_concurrency)


def figure_metrics(store: Store, settings: Settings) -> FigureMetrics:
    """The thread that sets the metrics of incidents and figures."""
    return FigureMetrics(store, settings.measured_levels, settings.metric_segments, now)


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
    internal = server.internal_app(services, token, health.queue_problems(queue), *pages)
    return HttpParts(
        [server.Listener(public, sockets.public), server.Listener(internal, sockets.internal)],
        [*replayers, *_inbox_polls(services.store, channels, settings, queue)],
        _addresses(sockets, services.store, token),
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

    return Services(installation.store, installation.setup, settings, _submit, now)


def _addresses(sockets: Sockets, store: Store, token: str) -> Addresses:
    internal = server.address(sockets.internal)
    with reading(store.engine) as connection:
        keys = len(api_keys.valid_keys(connection))
    return Addresses(server.address(sockets.public), internal, f"{internal}/sign-in?token={token}", keys)


def _channels(store: Store, settings: Settings) -> Sequence[ConfiguredChannel]:
    """The channels of this installation. Raises ConfigurationError if their settings are incomplete."""
    return registry.configured_channels(settings, phone_store.PhoneStore(store.engine))


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
            store, configured.channel, configured.adapter.inbox, READER, now, every=interval, on_committed=queue.wake
        )
        for configured in channels
        if configured.adapter.inbox is not None
    ]


def spool_folder(data_dir: Path, channel: Channel) -> Path:
    """Where the webhook calls of a channel are spooled. SMS was the first channel, so its folder has no name."""
    return data_dir / ("spool" if channel == SMS else f"spool-{channel.name}")
