"""The whole cluster on one machine, without Docker: `make cluster`.

Kafka and PostgreSQL as plain processes, every role as one of its own (`unvarnished up` starts and keeps them), and the
simulated distributor, which delivers through the web role's door. What it keeps lies in UNVARNISHED_DATA_DIR.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NoReturn

import psycopg
from psycopg import sql
from sqlalchemy import URL

from deploy.kafka import native as kafka
from deploy.postgres import native as postgres
from deploy.processes import ending_with_parent
from pipeline.app.installation import Shared, WrongSetup, now, open_shared
from pipeline.app.serving import DEMO_KEY, DEMO_SETTINGS
from pipeline.consumers.cluster.kafka import topics
from pipeline.consumers.cluster.kafka.client import BrokerTrouble
from pipeline.consumers.runtime.background import Background
from pipeline.demo.answering import Answering
from pipeline.demo.company import LEVELS, Company
from pipeline.demo.deliveries import FASTEST, Deliveries
from pipeline.demo.door import Door
from pipeline.demo.installed import Observed
from pipeline.settings import Settings, Unusable
from pipeline.store.people import api_keys

ROOT = Path(__file__).parents[1]
DATABASE = "unvarnished"
# Each order of a worker's batch holds a lock until its end.
SERVER_SETTINGS = ("max_connections=200", "max_locks_per_transaction=256")
STOP_TIMEOUT = 60.0  # seconds for all roles to finish what they have begun
_LOOK_SECONDS = 0.5


class Gone(Exception):
    """Something that is not started again has ended."""


def run(pace: float, folder: Path) -> NoReturn:
    """Start everything and go on until Ctrl-C (or SIGTERM), which raises KeyboardInterrupt; then end it in order.

    Raises Gone, and Unable of either server, if something cannot run.
    """
    with ExitStack() as stack:
        node = kafka.Node(folder / "kafka")
        stack.callback(node.stop)
        print("Kafka starts (the first time Maven fetches it)", flush=True)
        node.start()
        server = postgres.Server(stack.enter_context(postgres.any_binaries()), folder / "postgres", SERVER_SETTINGS)
        stack.callback(server.stop)
        url = _database(server.start())
        print(f"  Kafka       {node.bootstrap}\n  PostgreSQL  {postgres.libpq_url(url)}", flush=True)
        settings = _settings(url, node.bootstrap, folder)
        topics.create(settings)
        shared = open_shared(settings)
        stack.callback(shared.engine.dispose)
        drivers = _distributor(shared, settings, pace)
        roles = subprocess.Popen(
            [*ending_with_parent("TERM"), sys.executable, "-m", "pipeline", "up"], cwd=ROOT, start_new_session=True
        )
        stack.callback(_end, roles)
        for driver in drivers:
            stack.callback(driver.stop)
            driver.start()
        print(
            f"  {pace:g} deliveries a minute come in by HTTP; the roles say where they are as they come up", flush=True
        )
        while True:
            _look(node, server, roles, drivers)
            time.sleep(_LOOK_SECONDS)


def _look(
    node: kafka.Node, server: postgres.Server, roles: subprocess.Popen[bytes], drivers: tuple[Background, ...]
) -> None:
    if not node.running:
        raise Gone(f"Kafka has ended: see {node.log}")
    if not server.running:
        raise Gone(f"PostgreSQL has ended: see {server.log}")
    if roles.poll() is not None:
        raise Gone("the roles have ended: what they said is above")
    for driver in drivers:
        if not driver.alive:
            raise Gone(f"the {driver.name} have ended: what they said is above")


def _database(url: URL) -> URL:
    """The one of the cluster, made if there is none."""
    with psycopg.connect(postgres.libpq_url(url), autocommit=True) as connection:
        statement = "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'"
        with suppress(psycopg.errors.DuplicateDatabase):
            connection.execute(sql.SQL(statement).format(sql.Identifier(DATABASE)))
    return url.set(database=DATABASE)


def _settings(url: URL, bootstrap: str, folder: Path) -> Settings:
    """Those of every role, which inherits them: where things are is ours to say, the rest as somebody has set it."""
    suggested = {name: str(value) for name, value in DEMO_SETTINGS.items()} | {"levels": LEVELS, "log_level": "warning"}
    os.environ.update(
        {
            **{f"UNVARNISHED_{name.upper()}": value for name, value in suggested.items()},
            **os.environ,
            "UNVARNISHED_DATABASE_URL": url.render_as_string(hide_password=False),
            "UNVARNISHED_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "UNVARNISHED_DATA_DIR": str(folder),
            "UNVARNISHED_NOTIFIER": "phone",  # nobody real is asked
        }
    )
    return Settings()


def _distributor(shared: Shared, settings: Settings, pace: float) -> tuple[Background, ...]:
    """What delivers, and what answers some of the questions about it."""
    with shared.engine.begin() as connection:
        door = Door(f"http://127.0.0.1:{settings.public_port}", api_keys.renew(connection, DEMO_KEY, now()))
    observed = Observed(shared.engine)
    return Deliveries(observed, Company(), door, pace, None, now), Answering(observed, Company(), door, pace)


def _end(roles: subprocess.Popen[bytes]) -> None:
    roles.terminate()
    try:
        roles.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        roles.kill()
        roles.wait()


def _interrupt(_number: int, _frame: object) -> NoReturn:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # it is being stopped already
    print("Stopping: the distributor, the roles, PostgreSQL, Kafka", flush=True)
    raise KeyboardInterrupt


def main() -> int:
    """0 after Ctrl-C, 1 if something cannot run or has ended."""
    parser = argparse.ArgumentParser(description="The whole cluster on one machine, without Docker.")
    parser.add_argument("--pace", type=float, default=60.0, help="orders delivered a minute")
    pace = min(max(parser.parse_args().pace, 1.0), float(FASTEST))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        run(pace, Path(os.environ.get("UNVARNISHED_DATA_DIR", ROOT / ".data" / "cluster")).resolve())
    except KeyboardInterrupt:
        print("Everything has ended. Started again it goes on where it was.", flush=True)
        return 0
    except (Gone, kafka.Unable, postgres.Unable, BrokerTrouble, WrongSetup, Unusable) as trouble:
        print(trouble, file=sys.stderr, flush=True)
        return 1


if __name__ == "__main__":
    sys.exit(main())
