"""An installation on the network, for `unvarnished up`: the writer, the dispatcher and both listeners in one process.

Apart from `app.py`, because what serves the web takes longer to load than most commands take to run.
"""

import asyncio
import secrets
import signal
from collections.abc import Callable, Sequence
from functools import partial
from socket import socket
from typing import NamedTuple

from pipeline.app import Ended, Installation, now
from pipeline.consumers import provider
from pipeline.consumers.dispatcher import Dispatcher, Wording
from pipeline.consumers.intake import Incoming, Taken
from pipeline.consumers.writer import Bounds, Writer
from pipeline.notifiers import channels
from pipeline.settings import Settings
from pipeline.store import api_keys
from pipeline.store import phone as phone_store
from pipeline.store.engine import reading
from pipeline.web import phone, server, webhooks
from pipeline.web.services import Services


class Addresses(NamedTuple):
    """Where a running installation is reached."""

    public: str
    internal: str
    sign_in: str
    keys: int  # API keys that work: without one nobody can send anything


def up(installation: Installation, settings: Settings, tell: Callable[[Addresses], None]) -> None:
    """Everything in one process until SIGTERM or SIGINT: the writer with its timers, and both listeners.

    `tell` is called once they answer. Raises Ended if a bug stops it.
    """
    with (
        server.bind(settings.public_host, settings.public_port) as public,
        server.bind(settings.internal_host, settings.internal_port) as internal,
    ):
        asyncio.run(_up(installation, settings, tell, public, internal))


async def _up(
    installation: Installation,
    settings: Settings,
    tell: Callable[[Addresses], None],
    public: socket,
    internal: socket,
) -> None:
    token = settings.sign_in_token.get_secret_value() if settings.sign_in_token else secrets.token_urlsafe(32)
    bounds = Bounds(settings.batch, settings.waiting_events, settings.waiting_bytes)
    writer = Writer(installation.engine, installation.runtime.runner, bounds, now)
    dispatcher = dispatcher_of(installation, settings, writer)
    services = services_of(installation, settings, writer, dispatcher)
    with reading(installation.engine) as connection:
        keys = len(api_keys.working(connection))
    home = server.address(internal)
    addresses = Addresses(server.address(public), home, f"{home}/sign-in?token={token}", keys)

    stopping, ready = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    for thread in (writer, dispatcher):
        thread.ended.add_done_callback(lambda _: loop.call_soon_threadsafe(stopping.set))
    listeners = [
        server.Listener(server.public_app(services, *_provider_routes(settings)), public),
        server.Listener(server.internal_app(services, token, writer, *_phone_routes(settings)), internal),
    ]
    writer.start()
    dispatcher.start()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(listeners, settings, stopping, ready))
            await ready.wait()
            if not stopping.is_set():
                tell(addresses)
    finally:
        await asyncio.to_thread(dispatcher.stop)
        await asyncio.to_thread(writer.stop)  # last: it finishes what everybody handed in
        installation.engine.dispose()
    for name, thread in (("writer", writer), ("dispatcher", dispatcher)):
        if thread.ended.exception() is not None:
            raise Ended(f"a bug ended the {name}: the log says where. Nothing that was accepted is lost")


def dispatcher_of(installation: Installation, settings: Settings, writer: Writer) -> Dispatcher:
    """What sends the questions, by the channel the settings name. Raises Unusable if they do not suffice."""
    return Dispatcher(
        installation.engine,
        installation.vault,
        settings.policy,
        channels.notifiers(settings, phone_store.Shelf(installation.engine)),
        Wording(settings.company_name, settings.public_url.rstrip("/")),
        now,
        width=settings.dispatcher_width,
        told=writer.nudge,
    )


def _provider_routes(settings: Settings) -> Sequence[server.Routes]:
    """The provider's webhooks, where there is a provider."""
    account, token = settings.twilio_account_sid, settings.twilio_auth_token
    if settings.notifier != "twilio_sms" or account is None or token is None:
        return ()
    who = webhooks.Provider(account, [token.get_secret_value()], provider.status)
    return (partial(webhooks.routes, provider=who),)


def _phone_routes(settings: Settings) -> Sequence[server.Routes]:
    """The demo's phones, where messages go to them."""
    return (phone.routes,) if settings.notifier == "phone" else ()


def services_of(
    installation: Installation, settings: Settings, writer: Writer, dispatcher: Dispatcher | None = None
) -> Services:
    """What the routes may use."""

    async def _submit(batch: Sequence[Incoming]) -> Taken:
        taken = await asyncio.wrap_future(writer.submit(batch))
        if dispatcher is not None:  # a question may have become due
            dispatcher.wake()
        return taken

    return Services(installation.engine, installation.vault, installation.setup, settings, _submit, now)
