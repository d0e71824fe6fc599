"""An installation on the network, for `up` and `demo`: writer, dispatcher and both listeners in one process.

Apart from `app.py`, because what serves the web takes longer to load than most commands take to run.
"""

import asyncio
import logging
import secrets
import signal
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import NamedTuple

from pipeline.app.installation import Ended, Installation, Role, Shared, now, open_installation
from pipeline.consumers.cluster.outbox_writer import Appender
from pipeline.consumers.intake import Incoming, Taken
from pipeline.consumers.runtime.background import Background
from pipeline.consumers.runtime.spool_replayer import Drain
from pipeline.consumers.runtime.write_queue import Absorber, Bounds, Writer
from pipeline.consumers.sending import status_reports
from pipeline.consumers.sending.dispatcher import Dispatcher
from pipeline.consumers.sending.inbox_poll import InboundPoll
from pipeline.consumers.sending.sender import Wording
from pipeline.demo.answering import Answering
from pipeline.demo.company import LEVELS as DEMO_LEVELS
from pipeline.demo.company import Company
from pipeline.demo.deliveries import Deliveries
from pipeline.demo.door import Door
from pipeline.demo.installed import Installed
from pipeline.notifiers import registry
from pipeline.settings import Settings
from pipeline.store.db.engine import reading
from pipeline.store.journal.spool import Spool
from pipeline.store.people import api_keys
from pipeline.store.reads import demo_phone as phone_store
from pipeline.web.http import server
from pipeline.web.http.services import Services
from pipeline.web.internal import health
from pipeline.web.internal.demo_phone import phone
from pipeline.web.public import webhooks

# What the live demo is told where the user says nothing. Whoever delivers every few seconds would soon have asked
# everybody, and at night no phone would ring; and nobody but this machine is to play along.
DEMO_SETTINGS = {
    "quiet_hours": "00:00-00:00",
    "contact_rest_days": 0.0,
    "account_cap": 1_000_000,
    "public_host": "127.0.0.1",
}
_log = logging.getLogger(__name__)
DEMO_KEY = "the-demo-itself"  # a new one at every start, under this name


class Addresses(NamedTuple):
    """Where a running installation is reached."""

    public: str
    internal: str
    sign_in: str
    keys: int  # API keys that work: without one nobody can send anything


# What else runs in the process, once both listeners answer.
Beside = Callable[[Addresses], Sequence[Background]]


def up(
    installation: Installation, settings: Settings, tell: Callable[[Addresses], None], beside: Beside = lambda _: ()
) -> None:
    """Everything in one process until SIGTERM or SIGINT: the writer with its timers, and both listeners.

    `tell` is called once they answer. Raises Ended if a bug stops it.
    """
    _run(installation, settings, tell, beside, installation.runtime.runner, dispatching=True)


def web(shared: Shared, settings: Settings, tell: Callable[[Addresses], None]) -> None:
    """The same with both listeners only: what comes in is stored, and the cluster's other roles do the rest."""
    _run(shared, settings, tell, lambda _: (), Appender(shared.engine, shared.vault), dispatching=False)


def _run(
    installation: Installation | Shared,
    settings: Settings,
    tell: Callable[[Addresses], None],
    beside: Beside,
    runner: Absorber,
    dispatching: bool,
) -> None:
    with (
        server.bind(settings.public_host, settings.public_port) as public,
        server.bind(settings.internal_host, settings.internal_port) as internal,
    ):
        settings = settings.otherwise(public_url=server.address(public))
        token = token_of(settings)
        home = server.address(internal)
        with reading(installation.engine) as connection:
            keys = len(api_keys.working(connection))
        addresses = Addresses(server.address(public), home, f"{home}/sign-in?token={token}", keys)
        bounds = Bounds(settings.batch, settings.waiting_events, settings.waiting_bytes)
        writer = Writer(runner, bounds, now)
        dispatcher = dispatcher_of(installation, settings, writer.nudge) if dispatching else None
        services = services_of(installation, settings, writer, dispatcher)
        provider_routes, drains = _provider_calls(services, settings, writer)
        listeners = [
            server.Listener(server.public_app(services, *provider_routes), public),
            server.Listener(
                server.internal_app(services, token, health.of_writer(writer), *_phone_routes(settings)), internal
            ),
        ]
        # What a customer said earlier comes before the next question.
        threads: list[Background] = [writer, *drains, *_inbound_poll(installation, settings, writer)]
        if dispatcher is not None:
            threads.append(dispatcher)
        try:
            asyncio.run(serve(listeners, threads, settings, partial(tell, addresses), beside(addresses)))
        finally:
            installation.engine.dispose()


async def serve(
    listeners: Sequence[server.Listener],
    threads: Sequence[Background],
    settings: Settings,
    tell: Callable[[], None],
    then: Sequence[Background] = (),
) -> None:
    """Run these threads and listeners until SIGTERM or SIGINT.

    `tell` is called once the listeners answer; `then` the others start. All are stopped in the opposite order of their
    start: a writer that comes first finishes what all handed in. Raises Ended if a bug stops one of them.
    """
    stopping, ready = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    everybody = (*reversed(then), *reversed(threads))
    for thread in everybody:
        thread.ended.add_done_callback(lambda _: loop.call_soon_threadsafe(stopping.set))
    for thread in threads:
        thread.start()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(listeners, settings, stopping, ready))
            await ready.wait()
            if not stopping.is_set():
                tell()
                for other in then:
                    other.start()
    finally:
        for thread in everybody:
            await asyncio.to_thread(thread.stop)
    for thread in everybody:
        if thread.ended.done() and thread.ended.exception() is not None:
            raise Ended(f"a bug ended the {thread.name}: the log says where. Nothing that was accepted is lost")


def token_of(settings: Settings) -> str:
    """What opens the internal listener: as it is set, or a new one."""
    return settings.sign_in_token.get_secret_value() if settings.sign_in_token else secrets.token_urlsafe(32)


def tell_health(role: Role, address: str) -> None:
    """Print where a process without pages shows how it is."""
    print(f"{role}: {address}", flush=True)


def go_on(
    settings: Settings, company: Company, pace: float, most: int | None, tell: Callable[[Addresses], None]
) -> None:
    """The demo's company live, like `up`: `pace` orders a minute through the door, `most` in all, and some answers."""
    settings = settings.otherwise(**DEMO_SETTINGS).model_copy(update={"notifier": "phone"})  # nobody real is asked
    installation = open_installation(settings, DEMO_LEVELS, simulated=True, sending=True)

    def _beside(found: Addresses) -> Sequence[Background]:
        with installation.engine.begin() as connection:
            door = Door(found.public, api_keys.renew(connection, DEMO_KEY, now()))
        installed = Installed(installation.engine, installation.runtime)
        return (
            Deliveries(installed, company, door, pace, most, now),
            Answering(installed, Company(company.seed, company.start), door, pace),
        )

    up(installation, settings, tell, _beside)


def dispatcher_of(
    installation: Installation | Shared, settings: Settings, told: Callable[[], None] = lambda: None
) -> Dispatcher:
    """What sends the questions, by the channel the settings name. Raises Unusable if they do not suffice."""
    return Dispatcher(
        installation.engine,
        installation.vault,
        settings.policy,
        registry.notifiers(settings, phone_store.Shelf(installation.engine)),
        Wording(settings.company_name, settings.public_url.rstrip("/")),
        now,
        width=settings.dispatcher_width,
        told=told,
    )


def _provider_calls(
    services: Services, settings: Settings, writer: Writer
) -> tuple[Sequence[server.Routes], Sequence[Background]]:
    """The provider's webhooks, and what takes in the calls that waited for the database; where there is a provider."""
    account, token = settings.twilio_account_sid, settings.twilio_auth_token
    if settings.notifier != "twilio_sms" or account is None or token is None:
        return (), ()
    who = webhooks.Provider(account, [token.get_secret_value()], status_reports.status)
    spool = Spool(settings.data_dir / "spool", services.vault, settings.spool_bytes)
    drain = Drain(spool, services.engine, webhooks.out_of_the_spool(services, who), writer.nudge)
    return (partial(webhooks.routes, provider=who, spool=spool),), (drain,)


def _inbound_poll(installation: Installation | Shared, settings: Settings, writer: Writer) -> Sequence[Background]:
    """What looks for texts that the provider's webhook lost, where there is a list of them."""
    inbox = registry.inbox(settings)
    if inbox is None:
        return ()
    every = timedelta(minutes=settings.inbound_poll_minutes)
    vault, told = installation.vault, writer.nudge
    return (InboundPoll(installation.engine, vault, inbox, webhooks.READER, now, every=every, told=told),)


def _phone_routes(settings: Settings) -> Sequence[server.Routes]:
    """The demo's phones, where messages go to them."""
    return (phone.routes,) if settings.notifier == "phone" else ()


def services_of(
    installation: Installation | Shared, settings: Settings, writer: Writer, dispatcher: Dispatcher | None = None
) -> Services:
    """What the routes may use."""

    async def _submit(batch: Sequence[Incoming]) -> Taken:
        taken = await asyncio.wrap_future(writer.submit(batch))
        if _log.isEnabledFor(logging.DEBUG):
            for event in (incoming.checked for incoming in batch if incoming.checked is not None):
                _log.debug("durable", extra={"event": event.id})
        if dispatcher is not None:  # a question may have become due
            dispatcher.wake()
        return taken

    return Services(installation.engine, installation.vault, installation.setup, settings, _submit, now)
