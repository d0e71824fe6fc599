"""A cluster of real processes on the test's own topics and database, which tests start, kill and inspect."""

import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from sqlalchemy import Engine, Table, select

from deploy.kafka.native import free_port
from pipeline.app.maintenance import create_key
from pipeline.consumers.cluster.kafka import topics
from pipeline.demo.http_client import HttpClient
from pipeline.settings import Settings
from pipeline.store.db.engine import connect, reading
from tests.support.limits import PATIENCE, until
from tests.support.paths import ROOT

TOKEN = "the-token-of-these-tests"
PARTITIONS = 4
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Process:
    """A running process of a role, or the supervisor ("up"). Its output goes to a file."""

    def __init__(self, role: str, command: Sequence[str], environment: dict[str, str], log: IO[bytes]) -> None:
        self.role = role
        self._log = log
        self._process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @cached_property
    def port(self) -> int:
        """The port of its internal listener. Waits until the process has printed it."""
        name = "internal " if self.role in ("web", "up") else f"{self.role}:"
        pattern = re.compile(rf"^ *{name} +http://[^:]+:(\d+)\n", re.MULTILINE)

        def _found() -> str | None:
            if self._process.poll() is not None:
                raise AssertionError(f"the {self.role} did not start: {self.log}")
            found = pattern.search(self.log)
            return found and found[1]

        return int(until(_found, f"where the {self.role} listens"))

    @property
    def log(self) -> str:
        """Everything it has printed and logged."""
        return Path(self._log.name).read_text()

    def logged(self) -> list[dict[str, Any]]:
        """The records it has logged."""
        return [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a response of its internal listener."""
        one = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            one.request("GET", path, headers={"authorization": f"Bearer {TOKEN}"})
            answer = one.getresponse()
            return answer.status, answer.read().decode()
        finally:
            one.close()

    @property
    def resident(self) -> int:
        """The resident memory in bytes; 0 once it has ended."""
        with suppress(OSError):
            return int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * PAGE_BYTES
        return 0

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def ready(self) -> bool:
        """Whether it is ready (/readyz)."""
        return self.get("/readyz")[0] == 200

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        _, text = self.get("/metrics")
        return sum(float(found) for found in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))

    def signal(self, number: int) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for its end, and return the exit code."""
        return self._process.wait(PATIENCE)

    def end(self, number: int) -> int:
        """Send a signal, wait for the end, and return the exit code."""
        self.signal(number)
        return self.wait()

    def close(self) -> None:
        """Kill it if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._log.close()


class Cluster:
    """A cluster: the settings its processes share, its database and topics, and its processes."""

    def __init__(self, folder: Path, database_url: str, bootstrap: str, prefix: str, **settings: str) -> None:
        self.public_port = free_port()
        self._folder = folder
        ours = {
            "DATA_DIR": str(folder),
            "DATABASE_URL": database_url,
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "KAFKA_TOPIC_PREFIX": prefix,
            "KAFKA_PARTITIONS": str(PARTITIONS),
            "SEGMENT_LEVELS": "depot:20,carrier:10",
            "QUIET_HOURS": "00:00-00:00",
            "SKIP_HOLIDAYS": "false",
            "SIGN_IN_TOKEN": TOKEN,
            "LOG_LEVEL": "debug",
            "PUBLIC_HOST": "127.0.0.1",
            "PUBLIC_PORT": str(self.public_port),
            "PUBLIC_URL": f"http://127.0.0.1:{self.public_port}",
            **dict.fromkeys(("INTERNAL_PORT", "WORKER_PORT", "DISPATCHER_PORT", "RELAY_PORT"), "0"),
        }
        self._ours = ours | settings
        self.bootstrap, self.prefix = bootstrap, prefix
        self.engine: Engine = connect(database_url, shared=True)
        self.blocker: Engine = connect(database_url)  # for transactions that stay open and block others
        self.processes: list[Process] = []

    def settings(self) -> Settings:
        """The settings of its processes."""
        return Settings(**{name.lower(): value for name, value in self._ours.items()})  # type: ignore[arg-type]

    def make_topics(self) -> None:
        """Create all topics."""
        topics.create(self.settings())

    def environment(self, **settings: str) -> dict[str, str]:
        """The environment of its processes."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("UNVARNISHED_")}
        return kept | {f"UNVARNISHED_{name}": value for name, value in (self._ours | settings).items()}

    def start(self, *roles: str, **settings: str) -> list[Process]:
        """Start processes of these roles, and return once each serves its health."""
        started = [self.launch(role, **settings) for role in roles]
        for process in started:
            assert process.port
        return started

    def launch(self, role: str, *command: str, **settings: str) -> Process:
        """Start a process, by its usual command or the given one, without waiting for it."""
        ours = (sys.executable, "-m", "pipeline", *(["up"] if role == "up" else ["run", role]))
        log = tempfile.NamedTemporaryFile(dir=self._folder, prefix=f"{role}-", suffix=".log", delete=False)  # noqa: SIM115
        self.processes.append(Process(role, command or ours, self.environment(**settings), log))
        return self.processes[-1]

    def http_client(self, history: bool = False) -> HttpClient:
        """A client of the web process's public listener, with a new API key."""
        return HttpClient(
            f"http://127.0.0.1:{self.public_port}", create_key(self.engine, f"erp-{free_port()}", history)
        )

    def rows(self, table: Table) -> list[dict[str, Any]]:
        """All rows of a table."""
        with reading(self.engine) as connection:
            return [dict(row) for row in connection.execute(select(table)).mappings()]

    def produce(self, topic: str, records: Sequence[tuple[bytes, list[tuple[str, bytes]]]]) -> None:
        """Produce records as another system would, with the order as the key."""
        with KafkaProducer(bootstrap_servers=self.bootstrap) as producer:
            for value, headers in records:
                key = re.search(rb'"order_id":"([^"]+)"', value)
                producer.send(self.prefix + topic, value, key[1] if key else b"?", headers)
            producer.flush()

    def records(self, topic: str) -> list[Any]:
        """All records of a topic."""
        with KafkaConsumer(bootstrap_servers=self.bootstrap) as consumer:
            partitions = [TopicPartition(self.prefix + topic, n) for n in range(PARTITIONS)]
            consumer.assign(partitions)
            consumer.seek_to_beginning()
            left = sum(consumer.end_offsets(partitions).values())
            found: list[Any] = []
            while len(found) < left:
                for records in consumer.poll(1_000).values():
                    found += records
            return found

    def close(self) -> None:
        """Kill all processes that still run."""
        for process in self.processes:
            process.close()
        self.engine.dispose()
        self.blocker.dispose()


@contextmanager
def cluster(folder: Path, database_url: str, bootstrap: str, prefix: str, **settings: str) -> Iterator[Cluster]:
    """A cluster with its topics, and without processes."""
    made = Cluster(folder, database_url, bootstrap, prefix, **settings)
    try:
        made.make_topics()
        yield made
    finally:
        made.close()
