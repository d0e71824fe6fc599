"""The one place where things are wired together: settings in, a running installation out."""

import asyncio
import secrets
import signal
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from socket import socket
from typing import NamedTuple

import msgspec
from sqlalchemy import Engine

from pipeline.consumers import provider
from pipeline.consumers.dispatcher import Dispatcher, Wording
from pipeline.consumers.embedded import Embedded
from pipeline.consumers.intake import Incoming, Taken
from pipeline.consumers.writer import Bounds, Writer
from pipeline.demo import drive
from pipeline.demo.company import Company
from pipeline.domain.events import FeedbackRequested, decode
from pipeline.domain.segments import parse_levels
from pipeline.notifiers import channels
from pipeline.settings import DEFAULT_LEVELS, Settings
from pipeline.store import api_keys, journal
from pipeline.store import phone as phone_store
from pipeline.store.engine import connect, migrate, reading
from pipeline.store.unit_of_work import Setup
from pipeline.store.vault import Vault
from pipeline.web import phone, server, webhooks
from pipeline.web.services import Services

_FROZEN = "setup"


class Frozen(msgspec.Struct, frozen=True):
    """What a database was started with: other thresholds would make another history of the same pairs."""

    levels: str
    alerts_a_year: float
    simulated: bool
    cluster: bool = False  # several processes count the journal's places otherwise than one


class WrongSetup(Exception):
    """The database was started with something else than what is asked of it now."""


@dataclass(frozen=True)
class Installation:
    """A database that is up to date, and the runtime on it."""

    engine: Engine
    vault: Vault
    setup: Setup
    runtime: Embedded


@dataclass(frozen=True)
class Shared:
    """A database that is up to date and that several processes work on."""

    engine: Engine
    vault: Vault
    setup: Setup


def open_database(settings: Settings, cluster: bool = False) -> Engine:
    """The database of these settings, its schema up to date."""
    engine = connect(settings.url, cluster)
    migrate(settings.url)
    return engine


def open_installation(
    settings: Settings, levels: str | None = None, simulated: bool = False, sending: bool = False
) -> Installation:
    """Everything needed to process events. `levels` is what a source suggests where the settings say nothing;
    `sending`: questions are really sent, by a dispatcher.

    Raises WrongSetup if the database was started with other levels, another budget, for the other world or a cluster.
    """
    engine = open_database(settings)
    frozen = _freeze(engine, settings, levels, simulated, cluster=False)
    setup = Setup(parse_levels(frozen.levels), frozen.alerts_a_year, settings.policy, sending)
    vault = Vault(settings.master())
    return Installation(engine, vault, setup, Embedded(engine, vault, setup, settings.batch))


def open_shared(settings: Settings) -> Shared:
    """What every process of a cluster needs of the database. Questions are sent there, by dispatchers.

    Raises WrongSetup as `open_installation` does, ValueError if the database cannot be shared.
    """
    engine = open_database(settings, cluster=True)
    frozen = _freeze(engine, settings, None, simulated=False, cluster=True)
    setup = Setup(parse_levels(frozen.levels), frozen.alerts_a_year, settings.policy, sending=True)
    return Shared(engine, Vault(settings.master()), setup)


def _freeze(engine: Engine, settings: Settings, suggested: str | None, simulated: bool, cluster: bool) -> Frozen:
    levels = settings.levels or suggested or DEFAULT_LEVELS
    wanted = Frozen(levels, settings.alerts_a_year, simulated, cluster)
    with engine.begin() as connection:
        text = journal.settle(connection, _FROZEN, msgspec.json.encode(wanted).decode())
    frozen = msgspec.json.decode(text, type=Frozen)
    try:
        _compare(frozen, wanted)
    except WrongSetup:
        engine.dispose()
        raise
    return frozen


def _compare(frozen: Frozen, wanted: Frozen) -> None:
    if frozen.simulated != wanted.simulated:
        what = "a simulated company" if frozen.simulated else "real events"
        raise WrongSetup(f"this database holds {what}; use another UNVARNISHED_DATA_DIR or UNVARNISHED_DATABASE_URL")
    if frozen.cluster != wanted.cluster:
        what = "of a cluster" if frozen.cluster else "of one process"
        raise WrongSetup(f"this database is {what}; they count its journal differently. Use another one")
    for name in ("levels", "alerts_a_year"):
        if getattr(frozen, name) != getattr(wanted, name):
            raise WrongSetup(
                f"this database was started with {name} {getattr(frozen, name)!r}, not {getattr(wanted, name)!r}: "
                f"set UNVARNISHED_{name.upper()} to that, or use another database"
            )


class Totals(NamedTuple):
    """What became of everything that was taken in."""

    new: int
    duplicates: int
    dead: int


def replay_history(installation: Installation, history: Iterable[Incoming], progress: Callable[[int], None]) -> Totals:
    """Take a history through the processors; `progress` is told how many of its events are done."""
    done = Totals(0, 0, 0)
    for taken in installation.runtime.take(history):
        done = Totals(*(sum(pair) for pair in zip(done, taken, strict=True)))
        progress(sum(done))
    return done


class Ended(Exception):
    """A bug stopped what should have gone on."""


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
    writer = Writer(installation.engine, installation.runtime.runner, bounds, _now)
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
        _now,
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

    return Services(installation.engine, installation.vault, installation.setup, settings, _submit, _now)


def _now() -> datetime:
    return datetime.now(UTC)


def create_key(engine: Engine, name: str, history: bool) -> str:
    """A new API key, for the only time in plain text."""
    with engine.begin() as connection:
        return api_keys.create(connection, name, history, _now())


def revoke_key(engine: Engine, name: str) -> None:
    """End an API key."""
    with engine.begin() as connection:
        api_keys.revoke(connection, name, _now())


def play_demo(
    installation: Installation, seed: int, days: int, progress: Callable[[int, int], None] | None = None
) -> None:
    """Simulate the demo's company, from where an earlier run of the same seed ended."""
    drive.run(_DemoRuntime(installation), Company(seed), days, progress)


class _DemoRuntime:
    """The runtime as the demo's driver knows it."""

    def __init__(self, installation: Installation) -> None:
        self._engine = installation.engine
        self._runtime = installation.runtime

    def take(self, items: Iterable[tuple[datetime, Incoming]]) -> None:
        """Store and process events received at these moments."""
        for _ in self._runtime.take(incoming._replace(received_at=moment) for moment, incoming in items):
            pass

    def requests_after(self, seq: int) -> list[tuple[int, datetime, FeedbackRequested]]:
        """The questions asked since a place in the journal."""
        with reading(self._engine) as connection:
            stored = journal.read_type(connection, "feedback.requested", seq)
        return [(entry.seq, entry.received_at, decode(entry.payload.encode()).data) for entry in stored]

    def get(self, name: str) -> str | None:
        """A remembered fact."""
        with reading(self._engine) as connection:
            return journal.get(connection, name)

    def put(self, name: str, value: str) -> None:
        """Remember a fact."""
        with self._engine.begin() as connection:
            journal.put(connection, name, value)
