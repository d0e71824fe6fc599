"""Cluster mode on one machine, without Docker: `make cluster`.

Runs Kafka and PostgreSQL as plain processes, one process of each role (under the supervisor of `unvarnished up`), and
the simulated company, which sends deliveries to the web process. All data is in UNVARNISHED_DATA_DIR.
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
from pipeline.app.installation import SharedInstallation, now, open_shared
from pipeline.consumers.cluster.kafka import topics
from pipeline.consumers.runtime.background import Background
from pipeline.demo.answering import Answering
from pipeline.demo.company import LEVELS, Company
from pipeline.demo.deliveries import FASTEST, Deliveries
from pipeline.demo.http_client import HttpClient
from pipeline.demo.installation_view import InstallationView
from pipeline.demo.live import DEMO_KEY, DEMO_SETTINGS
from pipeline.errors import UserError
from pipeline.settings import Settings
from pipeline.store.people import api_keys

ROOT = Path(__file__).parents[1]
DATABASE = "unvarnished"
# A worker's batch acquires one lock for each of its orders.
SERVER_SETTINGS = ("max_connections=200", "max_locks_per_transaction=256")
STOP_TIMEOUT = 60.0  # seconds for all processes to finish open work
_CHECK_SECONDS = 0.5


class ProcessEnded(Exception):
    """A process that is not restarted has ended."""


def run(pace: float, folder: Path) -> NoReturn:
    """Run everything until Ctrl-C or SIGTERM, which raise KeyboardInterrupt; then stop it in order.

    Raises ProcessEnded, or CannotRun of either server.
    """
    with ExitStack() as stack:
        node = kafka.Node(folder / "kafka")
        stack.callback(node.stop)
        print("Starting Kafka (the first time, Maven downloads it)", flush=True)
        node.start()
        server = postgres.Server(stack.enter_context(postgres.any_binaries()), folder / "postgres", SERVER_SETTINGS)
        stack.callback(server.stop)
        url = _database(server.start())
        print(f"  Kafka       {node.bootstrap}\n  PostgreSQL  {postgres.libpq_url(url)}", flush=True)
        settings = _settings(url, node.bootstrap, folder)
        topics.create(settings)
        shared = open_shared(settings)
        stack.callback(shared.store.engine.dispose)
        company = _simulated_company(shared, settings, pace)
        roles = subprocess.Popen(
            [*ending_with_parent("TERM"), sys.executable, "-m", "pipeline", "up"], cwd=ROOT, start_new_session=True
        )
        stack.callback(_end, roles)
        for thread in company:
            stack.callback(thread.stop)
            thread.start()
        print(
            f"  {pace:g} deliveries a minute arrive by HTTP; each process prints its address when it has started",
            flush=True,
        )
        while True:
            _check(node, server, roles, company)
            time.sleep(_CHECK_SECONDS)


def _check(
    node: kafka.Node, server: postgres.Server, roles: subprocess.Popen[bytes], company: tuple[Background, ...]
) -> None:
    if not node.running:
        raise ProcessEnded(f"Kafka ended: see {node.log}")
    if not server.running:
        raise ProcessEnded(f"PostgreSQL ended: see {server.log}")
    if roles.poll() is not None:
        raise ProcessEnded("the processes of the cluster ended: see their messages above")
    for thread in company:
        if not thread.alive:
            raise ProcessEnded(f"the simulated {thread.name} ended: see the messages above")


def _database(url: URL) -> URL:
    """The URL of the cluster's database, which is created if it does not exist."""
    with psycopg.connect(postgres.libpq_url(url), autocommit=True) as connection:
        statement = "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'"
        with suppress(psycopg.errors.DuplicateDatabase):
            connection.execute(sql.SQL(statement).format(sql.Identifier(DATABASE)))
    return url.set(database=DATABASE)


def _settings(url: URL, bootstrap: str, folder: Path) -> Settings:
    """The settings, also put into the environment that every process inherits. Addresses are always set here; other
    settings only if the user has not set them."""
    suggested = {name: str(value) for name, value in DEMO_SETTINGS.items()} | {
        "segment_levels": LEVELS,
        "log_level": "warning",
    }
    given = Settings().model_fields_set
    os.environ.update(
        {
            **{f"UNVARNISHED_{name.upper()}": value for name, value in suggested.items() if name not in given},
            "UNVARNISHED_DATABASE_URL": url.render_as_string(hide_password=False),
            "UNVARNISHED_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "UNVARNISHED_DATA_DIR": str(folder),
            "UNVARNISHED_NOTIFIER": "phone",  # no real customer is asked
        }
    )
    return Settings()


def _simulated_company(shared: SharedInstallation, settings: Settings, pace: float) -> tuple[Background, ...]:
    """The threads that send deliveries, and answers to some of the questions."""
    with shared.store.engine.begin() as connection:
        client = HttpClient(f"http://127.0.0.1:{settings.public_port}", api_keys.renew(connection, DEMO_KEY, now()))
    view = InstallationView(shared.store)
    return Deliveries(view, Company(), client, pace, None, now), Answering(view, Company(), client, pace)


def _end(roles: subprocess.Popen[bytes]) -> None:
    roles.terminate()
    try:
        roles.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        roles.kill()
        roles.wait()


def _interrupt(_number: int, _frame: object) -> NoReturn:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # already stopping
    print("Stopping the simulated company, the processes of the cluster, PostgreSQL and Kafka", flush=True)
    raise KeyboardInterrupt


def main() -> int:
    """Exit code: 0 after Ctrl-C, 1 if something cannot run or ended."""
    parser = argparse.ArgumentParser(description="Run cluster mode on one machine, without Docker.")
    parser.add_argument("--pace", type=float, default=60.0, help="orders delivered per minute")
    pace = min(max(parser.parse_args().pace, 1.0), float(FASTEST))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        run(pace, Path(os.environ.get("UNVARNISHED_DATA_DIR", ROOT / ".data" / "cluster")).resolve())
    except KeyboardInterrupt:
        print("Everything has stopped. The next start continues from here.", flush=True)
        return 0
    except (ProcessEnded, kafka.CannotRun, postgres.CannotRun, UserError) as error:
        print(error, file=sys.stderr, flush=True)
        return 1


if __name__ == "__main__":
    sys.exit(main())
