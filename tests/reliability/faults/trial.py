"""One trial: a cluster of processes, events that come in, something that breaks meanwhile, and a judgement."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.kafka.native import Node
from pipeline.app.installation import Shared, open_shared
from pipeline.consumers.cluster.kafka.topics import GROUP
from pipeline.consumers.cluster.outbox_writer import Appender
from pipeline.store.db.engine import migrate
from tests.reliability.faults import judging
from tests.reliability.faults.feeding import Feeding
from tests.reliability.faults.quiet import SETUP, quiet
from tests.reliability.faults.told import Item, disturbed
from tests.reliability.faults.watching import (
    Seen,
    Watch,
    first_effect,
    longest_standstill,
    progress_of_dispatchers,
    progress_of_relays,
    progress_of_workers,
)
from tests.support.provider import ACCOUNT, TOKEN, Provider
from tests.support.running.roles import PARTITIONS, Cluster, Process, cluster, until
from tests.support.servers.postgres import PostgresServer, postgres_server
from tests.support.sound import unsound

ROLES = ("web", "relay", "relay", "worker", "worker", "dispatcher", "dispatcher")
# By who has to go on.
PROGRESS: dict[str, Callable[[list[Seen], float], float | None]] = {
    "worker": progress_of_workers,
    "relay": progress_of_relays,
    "dispatcher": progress_of_dispatchers,
    "anybody": first_effect,
    "everybody": longest_standstill,
}
SETTLE_SECONDS = 300.0
_LOST_SECONDS = 90.0  # without progress, after which nobody waits any longer
_TICKED_SECONDS = 5.0  # that all has to be quiet: timers and dispatchers look once a second


@dataclass(frozen=True)
class Ground:
    """What all trials stand on. `node`: the broker, where it may be stopped."""

    bootstrap: str
    server: PostgresServer
    folder: Path
    node: Node | None = None


@dataclass
class Result:
    """What came of a trial. `progress` seconds by what broke."""

    name: str
    told: int
    progress: dict[str, list[float]] = field(default_factory=dict)
    settled: float = 0.0  # seconds from the last event to nothing left to do
    unknown: int = 0  # questions that are looked for: a killed dispatcher had them in hand
    wrong: list[str] = field(default_factory=list)


class Trial:
    """A running cluster that is being told something."""

    def __init__(
        self, ground: Ground, made: Cluster, items: Sequence[Item], result: Result, roles: Sequence[str]
    ) -> None:
        self.ground = ground
        self.cluster = made
        self.result = result
        self.running: list[Process] = made.start(*roles)
        until(lambda: all(one.ready() for one in self.running), "every role ready")
        self._shared: Shared = open_shared(made.settings())
        appender = Appender(self._shared.engine, self._shared.vault)
        self.watch = Watch(made.engine, made.bootstrap, made.prefix, made.prefix + GROUP, PARTITIONS)
        self.watch.start()
        self.feeding = Feeding(items, made.door(history=True), appender, made.bootstrap, made.prefix)

    def of(self, *roles: str) -> list[Process]:
        """The processes that have one of these roles."""
        return [one for one in self.running if one.role in roles]

    def replace(self, process: Process) -> Process:
        """What a supervisor does when a process has ended."""
        self.running.remove(process)
        self.running.append(self.cluster.launch(process.role))
        return self.running[-1]

    def time_progress(self, what: str, role: str, moment: float) -> None:
        """Note how long it takes from the moment until those of a role go on."""
        seconds = self._first_progress(PROGRESS[role], moment)
        if seconds is None:
            self.result.wrong.append(f"{what}: no progress for {_LOST_SECONDS:.0f} seconds")
        else:
            self.result.progress.setdefault(what, []).append(seconds)

    def supervise(self) -> None:
        """Replace whoever ended by himself."""
        for process in [one for one in self.running if one.ended]:
            self.replace(process)

    def settle(self, seconds: float = SETTLE_SECONDS) -> None:
        """Wait until all is brought and nothing is left to do."""
        self.feeding.last(0)
        until(self._brought, "every event acknowledged", seconds)
        started = quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < _TICKED_SECONDS:
            self.supervise()
            if time.monotonic() - started > seconds:
                self.result.wrong.append(f"not settled: {self.watch.looks[-1]}")
                return
            if not self._idle():
                quiet_since = time.monotonic()
        self.result.settled = quiet_since - started

    def close(self) -> None:
        """Let go of it all."""
        self.feeding.stop()
        self.watch.stop()
        for process in self.running:
            process.signal(signal.SIGCONT)
            process.signal(signal.SIGTERM)
        for process in self.running:
            process.wait()
        self._shared.engine.dispose()

    def _brought(self) -> bool:
        self.supervise()
        return not self.feeding.left

    def _idle(self) -> bool:
        with suppress(TimeoutError):
            return self.watch.next_look(_TICKED_SECONDS).idle
        return False

    def _first_progress(self, measure: Callable[[list[Seen], float], float | None], moment: float) -> float | None:
        while time.monotonic() - moment < _LOST_SECONDS:
            self.supervise()
            with suppress(TimeoutError):
                self.watch.next_look(_TICKED_SECONDS)
                if (seconds := measure(self.watch.since(moment), moment)) is not None:
                    return seconds
        return None


Scenario = Callable[[Trial], None]


def run(ground: Ground, name: str, items: Sequence[Item], scenario: Scenario, roles: Sequence[str] = ROLES) -> Result:
    """Have these events told to a fresh cluster, shuffled and in part twice, while the scenario goes on; and judge."""
    result = Result(name, len(items))
    with fresh(ground) as (made, provider):
        trial = Trial(ground, made, disturbed(items), result, roles)
        try:
            scenario(trial)
            trial.settle()
        finally:
            trial.close()
        lost = judging.unknown(made.engine)
        result.unknown = len(lost)
        result.wrong += judging.faults(made.engine, trial.feeding.acknowledged, provider.posts)
        result.wrong += unsound(made.engine, SETUP)
        result.wrong += judging.differences(judging.essence(made.engine), quiet(items, lost))
    return result


@contextmanager
def fresh(ground: Ground, **settings: str) -> Iterator[tuple[Cluster, Provider]]:
    """A cluster without processes, on topics and a database of its own, and the provider it sends through."""
    database = ground.server.create_database()
    url = database.render_as_string(hide_password=False)
    migrate(url)
    with TemporaryDirectory(dir=ground.folder) as name, Provider(Path(name) / "provider") as provider:
        known = {
            "LOG_LEVEL": "info",
            "NOTIFIER": "twilio_sms",
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_AUTH_TOKEN": TOKEN,
            "TWILIO_FROM": "+15005550006",
            "TWILIO_URL": provider.url,
            "MASTER_KEY": bytes(range(32)).hex(),  # the tests' vault: digests are the same
        }
        prefix = f"{Path(name).name}-"
        with cluster(Path(name), url, ground.bootstrap, prefix, **known | settings) as made:
            yield made, provider
    ground.server.drop_database(database)


@contextmanager
def ground() -> Iterator[Ground]:
    """A broker and a database server that may be broken."""
    with TemporaryDirectory(prefix="unvarnished-faults-") as folder, postgres_server() as server:
        node = Node(Path(folder) / "kafka")
        node.start()
        try:
            yield Ground(node.bootstrap, server, Path(folder), node)
        finally:
            node.kill()
