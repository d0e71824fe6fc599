"""`make cluster`: everything starts, deliveries become pairs, and Ctrl-C stops everything."""

import http.client
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from deploy.kafka import native as kafka
from deploy.postgres import native as postgres
from tests.support.limits import PATIENCE, until
from tests.support.paths import ROOT
from tests.support.running.process import environment
from tests.support.servers.ways import Unavailable, missing

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PORTS = ("PUBLIC_PORT", "INTERNAL_PORT", "WORKER_PORT", "DISPATCHER_PORT", "RELAY_PORT")
PATH_OF_AN_ORDER = {"order.completed", "feedback.requested", "feedback.received", "fulfilment.compared"}


class Started:
    """The running command and its output."""

    def __init__(self, folder: Path) -> None:
        self.ports = {name: str(kafka.free_port()) for name in PORTS}
        self._output = folder / "output"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deploy.native_cluster", "--pace", "600"],
                cwd=ROOT,
                env=environment(folder, **self.ports),
                stdout=output,
                stderr=output,
            )

    def printed(self, pattern: str) -> str | None:
        """The first group of the pattern in its output, if found. Fails if it has ended."""
        output = self._output.read_text()
        assert self.process.poll() is None, output
        found = re.search(pattern, output)
        return found[1] if found else None

    def ready(self, name: str) -> bool:
        """Whether the role at that port is ready."""
        one = http.client.HTTPConnection("127.0.0.1", int(self.ports[name]), timeout=PATIENCE)
        try:
            one.request("GET", "/readyz")
            return one.getresponse().status == 200
        except OSError:
            return False
        finally:
            one.close()


@pytest.fixture
def started() -> Iterator[Started]:
    try:
        kafka.fetch_jars()
        with postgres.any_binaries():
            pass
    except (kafka.CannotRun, postgres.CannotRun) as reason:
        missing(Unavailable(str(reason)))
    # Accessible for another account: started by root, PostgreSQL runs as one.
    with postgres.scratch_folder() as folder:
        folder.chmod(0o755)
        running = Started(folder)
        yield running
        if running.process.poll() is None:
            running.process.terminate()
            running.process.wait(PATIENCE)


def kinds(url: str) -> Counter[str]:
    """The number of events in the journal by type."""
    with suppress(psycopg.Error), psycopg.connect(url) as connection:
        return Counter(dict(connection.execute("SELECT type, count(*) FROM journal GROUP BY type").fetchall()))
    return Counter()


def test_make_cluster_starts_delivers_receives_answers_and_stops_in_order(started: Started) -> None:
    broker = until(lambda: started.printed(r"Kafka +(127\S+)"), "Kafka")
    url = until(lambda: started.printed(r"PostgreSQL +(postgresql://\S+)"), "PostgreSQL")
    until(lambda: started.printed(r"sign in +(http\S+)"), "the sign-in link")
    until(lambda: kinds(url).keys() >= PATH_OF_AN_ORDER, "an order's whole path")
    until(lambda: all(started.ready(name) for name in PORTS if name != "PUBLIC_PORT"), "every role")
    assert kafka.responds(broker)

    started.process.send_signal(signal.SIGINT)
    assert started.process.wait(PATIENCE) == 0
    assert not kafka.responds(broker)
    assert not kinds(url), "PostgreSQL has ended"
    assert not any(started.ready(name) for name in PORTS)
