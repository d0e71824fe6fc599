"""A worker started by Faust's own command line: its options, and its end."""

import json
import signal
import socket
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.kafka.native import free_port
from pipeline.store.schema.orders import orders
from tests.support.builders import completed, contact
from tests.support.limits import until
from tests.support.paths import ROOT
from tests.support.running.roles import Cluster, Process, cluster

pytestmark = [pytest.mark.e2e, pytest.mark.reliability]

PHONE = "+447700900123"
PROGRAM = str(Path(sysconfig.get_path("scripts")) / "faust")
FAUST = (PROGRAM, "-A", "pipeline.app.worker", "--quiet", "worker")
# The example of docs/operations.md.
WITH_A_SENSOR = """
import faust
from pipeline.app.worker import app

class Seen(faust.Sensor):
    def on_message_out(self, tp, offset, message):
        print("seen", tp.topic, offset, flush=True)

app.sensors.add(Seen())
"""


@pytest.fixture
def fresh(tmp_path: Path, postgresql_database_url: str, kafka_bootstrap: str, topic_prefix: str) -> Iterator[Cluster]:
    with cluster(tmp_path, postgresql_database_url, kafka_bootstrap, topic_prefix) as made:
        yield made


def work_through(made: Cluster, order_id: str) -> None:
    made.produce("orders", [(completed(order_id, contacts=[contact(phone=PHONE)]), [])])
    until(lambda: order_id in {row["order_id"] for row in made.rows(orders)}, f"{order_id} in the database")


def test_faust_starts_the_worker_with_its_own_options(fresh: Cluster, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "worker.log"
    worker = fresh.launch("worker", *FAUST, "--web-port", str(port), "--loglevel", "info", "--logfile", str(log))
    assert worker.port == port
    until(worker.ready, "the worker in its group")
    work_through(fresh, "SO-faust")
    assert worker.metric("unvarnished_consumed_records_total") == 1
    until(lambda: worker.metric("unvarnished_offset_commit_seconds_count") >= 1, "its offset")
    assert worker.metric("unvarnished_rebalance_seconds_count") == 1
    assert worker.end(signal.SIGTERM) == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["role"] for line in lines} == {"worker"}
    assert {line["logger"].split(".")[0] for line in lines} >= {"pipeline", "faust"}, "the log of Faust, too"


def test_a_worker_prints_its_stack_on_a_signal_without_the_content_of_events(fresh: Cluster, tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    worker = fresh.launch("worker", *FAUST, "--loglevel", "debug", "--logfile", str(log))
    assert worker.port
    work_through(fresh, "SO-private")
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        worker.signal(number)
    until(lambda: "worker_loop.py" in worker.log, "the stack of its loop")
    work_through(fresh, "SO-afterwards")
    assert worker.end(signal.SIGTERM) == 0
    output = worker.log + log.read_text()
    assert "aiokafka" in output
    assert PHONE not in output
    assert "SO-private" not in output.replace('"event": "SO-private:completed"', "")


def test_a_third_party_sensor_is_notified_of_consumed_records(fresh: Cluster, tmp_path: Path) -> None:
    (tmp_path / "watched.py").write_text(WITH_A_SENSOR)
    here = ("env", f"PYTHONPATH={ROOT}:{tmp_path}")
    worker = fresh.launch("worker", *here, PROGRAM, "-A", "watched", "--quiet", "worker")
    assert worker.port
    work_through(fresh, "SO-seen")
    until(lambda: f"seen {fresh.prefix}orders 0\n" in worker.log, "the output of the sensor")
    assert worker.metric("unvarnished_consumed_records_total") == 1, "our own sensor still measures"
    assert worker.end(signal.SIGTERM) == 0


def test_without_web_it_works_and_opens_no_port(fresh: Cluster) -> None:
    with occupied_port() as port:
        worker = fresh.launch("worker", *FAUST, "--without-web", WORKER_PORT=str(port))
        work_through(fresh, "SO-unseen")
        assert "http://" not in worker.log
        assert worker.end(signal.SIGINT) == 0


@contextmanager
def occupied_port() -> Iterator[int]:
    """A port on which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def ended(worker: Process) -> str:
    assert worker.wait() == 2, worker.log
    return worker.log


def test_a_failed_start_is_reported_in_a_sentence(fresh: Cluster) -> None:
    with occupied_port() as port:
        busy = fresh.launch("worker", *FAUST, "--web-port", str(port))
        wrong = fresh.launch("worker", *FAUST, WORKER_STALL_TIMEOUT_SECONDS="soon")
        shared = fresh.launch("worker", *FAUST, DATABASE_URL="sqlite:///one.db")
        assert ended(busy) == (
            f"unvarnished: cannot listen on 127.0.0.1 port {port}: Address already in use; "
            "set UNVARNISHED_WORKER_PORT or UNVARNISHED_INTERNAL_HOST\n"
        )
        assert ended(wrong).startswith("unvarnished: UNVARNISHED_WORKER_STALL_TIMEOUT_SECONDS: ")
        assert ended(shared).startswith("unvarnished: several processes on one database need PostgreSQL")
