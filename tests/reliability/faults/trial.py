"""One trial: a cluster of processes under load, an injected fault, and the check of the result."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.kafka.native import Node
from pipeline.app.installation import SharedInstallation, open_shared
from pipeline.consumers.cluster.kafka.topics import GROUP
from pipeline.consumers.cluster.outbox_writer import OutboxWriter
from pipeline.store.schema.upgrade import migrate
from tests.reliability.faults import checks
from tests.reliability.faults.load_generator import LoadGenerator
from tests.reliability.faults.monitor import (
    Monitor,
    Sample,
    first_effect,
    longest_stall,
    progress_of_dispatchers,
    progress_of_relays,
    progress_of_workers,
)
from tests.reliability.faults.reference_run import SETUP, reference_run
from tests.reliability.faults.workload import Item, shuffled_with_repeats
from tests.support.invariants import violated_invariants
from tests.support.limits import until
from tests.support.provider import ACCOUNT, TOKEN, Provider
from tests.support.running.roles import PARTITIONS, Cluster, Process, cluster
from tests.support.servers.postgres import PostgresServer, postgres_server

ROLES = ("web", "relay", "relay", "worker", "worker", "dispatcher", "dispatcher")
# Recovery measurements by role.
PROGRESS: dict[str, Callable[[list[Sample], float], float | None]] = {
    "worker": progress_of_workers,
    "relay": progress_of_relays,
    "dispatcher": progress_of_dispatchers,
    "any worker": first_effect,
    "all workers": longest_stall,
}
SETTLE_SECONDS = 300.0
_NO_PROGRESS_SECONDS = 90.0  # without progress, after which the trial gives up
_QUIET_SECONDS = 5.0  # without any work, after which the trial is over: timers and dispatchers poll once a second


@dataclass(frozen=True)
class Servers:
    """The servers that all trials use. `node`: the broker, if it may be stopped."""

    bootstrap: str
    server: PostgresServer
    folder: Path
    node: Node | None = None


@dataclass
class Result:
    """The result of a trial. `progress`: seconds until recovery, by fault."""

    name: str
    events: int
    progress: dict[str, list[float]] = field(default_factory=dict)
    settled: float = 0.0  # seconds from the last event until no work is left
    unknown_outcomes: int = 0  # questions with an unknown outcome: a killed dispatcher was sending them
    wrong: list[str] = field(default_factory=list)


class Trial:
    """A running cluster under load."""

    def __init__(
        self, servers: Servers, made: Cluster, items: Sequence[Item], result: Result, roles: Sequence[str]
    ) -> None:
        self.servers = servers
        self.cluster = made
        self.result = result
        self.running: list[Process] = made.start(*roles)
        until(lambda: all(one.ready() for one in self.running), "every role ready")
        self._shared: SharedInstallation = open_shared(made.settings())
        outbox_writer = OutboxWriter(self._shared.store)
        self.monitor = Monitor(made.engine, made.bootstrap, made.prefix, made.prefix + GROUP, PARTITIONS)
        self.monitor.start()
        self.load = LoadGenerator(items, made.http_client(history=True), outbox_writer, made.bootstrap, made.prefix)

    def of(self, *roles: str) -> list[Process]:
        """The processes with one of these roles."""
        return [one for one in self.running if one.role in roles]

    def replace(self, process: Process) -> Process:
        """Start a new process in place of an ended one, as a supervisor does."""
        self.running.remove(process)
        self.running.append(self.cluster.launch(process.role))
        return self.running[-1]

    def measure_recovery(self, what: str, role: str, moment: float) -> None:
        """Measure the seconds from the moment until the processes of a role make progress."""
        seconds = self._first_progress(PROGRESS[role], moment)
        if seconds is None:
            self.result.wrong.append(f"{what}: no progress for {_NO_PROGRESS_SECONDS:.0f} seconds")
        else:
            self.result.progress.setdefault(what, []).append(seconds)

    def supervise(self) -> None:
        """Replace the processes that have ended."""
        for process in [one for one in self.running if one.ended]:
            self.replace(process)

    def settle(self, seconds: float = SETTLE_SECONDS) -> None:
        """Wait until every event is acknowledged and no work is left."""
        self.load.spread_over(0)
        until(self._all_acknowledged, "every event acknowledged", seconds)
        started = quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < _QUIET_SECONDS:
            self.supervise()
            if time.monotonic() - started > seconds:
                self.result.wrong.append(f"not settled: {self.monitor.samples[-1]}")
                return
            if not self._idle():
                quiet_since = time.monotonic()
        self.result.settled = quiet_since - started

    def close(self) -> None:
        """Stop the load, the monitor and all processes."""
        self.load.stop()
        self.monitor.stop()
        for process in self.running:
            process.signal(signal.SIGCONT)
            process.signal(signal.SIGTERM)
        for process in self.running:
            process.wait()
        self._shared.store.engine.dispose()

    def _all_acknowledged(self) -> bool:
        self.supervise()
        return not self.load.left

    def _idle(self) -> bool:
        with suppress(TimeoutError):
            return self.monitor.next_sample(_QUIET_SECONDS).idle
        return False

    def _first_progress(self, measure: Callable[[list[Sample], float], float | None], moment: float) -> float | None:
        while time.monotonic() - moment < _NO_PROGRESS_SECONDS:
            self.supervise()
            with suppress(TimeoutError):
                self.monitor.next_sample(_QUIET_SECONDS)
                if (seconds := measure(self.monitor.since(moment), moment)) is not None:
                    return seconds
        return None


Scenario = Callable[[Trial], None]


def run(servers: Servers, name: str, items: Sequence[Item], scenario: Scenario, roles: Sequence[str] = ROLES) -> Result:
    """Send events to a fresh cluster, shuffled and some of them twice, during the scenario, and check the result."""
    result = Result(name, len(items))
    with fresh(servers) as (made, provider):
        trial = Trial(servers, made, shuffled_with_repeats(items), result, roles)
        try:
            scenario(trial)
            trial.settle()
        finally:
            trial.close()
        lost = checks.unknown_outcomes(made.engine)
        result.unknown_outcomes = len(lost)
        result.wrong += checks.check_delivery(made.engine, trial.load.acknowledged, provider.posts)
        result.wrong += violated_invariants(made.engine, SETUP)
        wanted = reference_run(checks.as_received(made.engine, items), lost)
        result.wrong += checks.differences(checks.final_state(made.engine), wanted)
    return result


@contextmanager
def fresh(servers: Servers, **settings: str) -> Iterator[tuple[Cluster, Provider]]:
    """A cluster without processes, with its own topics and database, and the provider stub that it sends to."""
    database = servers.server.create_database()
    url = database.render_as_string(hide_password=False)
    migrate(url)
    with TemporaryDirectory(dir=servers.folder) as name, Provider(Path(name) / "provider") as provider:
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
        with cluster(Path(name), url, servers.bootstrap, prefix, **known | settings) as made:
            yield made, provider
    servers.server.drop_database(database)


@contextmanager
def servers() -> Iterator[Servers]:
    """A broker and a database server that trials may stop and crash."""
    with TemporaryDirectory(prefix="unvarnished-faults-") as folder, postgres_server() as server:
        node = Node(Path(folder) / "kafka")
        node.start()
        try:
            yield Servers(node.bootstrap, server, Path(folder), node)
        finally:
            node.kill()
