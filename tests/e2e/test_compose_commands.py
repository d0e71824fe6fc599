"""The containers of `docker-compose.yml` as plain processes: the same commands and settings, at other addresses."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deploy.kafka import native as kafka
from deploy.postgres import native as postgres
from tests.support.compose import ROLES, services
from tests.support.process import ROOT, SECONDS
from tests.support.roles import until
from tests.support.ways import Unavailable, missing

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PORTS = {"web": "INTERNAL_PORT", **{role: f"{role.upper()}_PORT" for role in ROLES if role != "web"}}


def kafka_settings(listen: str, advertise: str, port: int, controller_port: int) -> dict[str, str]:
    """What the image makes of its variables, with addresses of this machine."""
    given = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): value
        for name, value in services()["kafka"]["environment"].items()
        if name.startswith("KAFKA_") and name not in ("KAFKA_HEAP_OPTS", "KAFKA_LOG_DIRS")
    }
    ours = {
        "controller.quorum.voters": f"1@{listen}:{controller_port}",
        "listeners": f"PLAINTEXT://{listen}:{port},CONTROLLER://{listen}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{advertise}:{port}",
    }
    assert ours.keys() <= given.keys()
    return given | ours


@contextmanager
def servers(folder: Path) -> Iterator[tuple[str, str]]:
    """Kafka and PostgreSQL as the containers are told to be: where they are."""
    command = services()["postgres"]["command"]
    assert command[0] == "postgres"
    assert set(command[1::2]) == {"-c"}
    node = kafka.Node(folder / "kafka")
    with ExitStack() as stack:
        try:
            server = postgres.Server(stack.enter_context(postgres.any_binaries()), folder / "postgres", command[2::2])
            stack.callback(server.stop)
            url = server.start()
            stack.callback(node.kill)
            node.start()
        except (kafka.Unable, postgres.Unable) as reason:
            missing(Unavailable(str(reason)))
        with psycopg.connect(postgres.libpq_url(url), autocommit=True) as connection:
            connection.execute("CREATE DATABASE unvarnished TEMPLATE template0 ENCODING 'UTF8'")
        yield url.set(database="unvarnished").render_as_string(hide_password=False), node.bootstrap


def looks_well(port: str) -> bool:
    """What the image's own HEALTHCHECK finds."""
    found = re.search(r"HEALTHCHECK .*\\\n +CMD (\[.*\])", (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8"))
    assert found
    python, *arguments = json.loads(found[1])
    assert python == "python"
    done = subprocess.run(
        [sys.executable, "-S", *arguments], env=os.environ | {"HEALTH_PORT": port}, capture_output=True, check=False
    )
    return done.returncode == 0


def test_each_containers_command_does_what_it_is_there_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "properties", kafka_settings)
    with ExitStack() as stack:
        folder = stack.enter_context(postgres.scratch_folder())
        folder.chmod(0o755)  # PostgreSQL may run as another account
        url, bootstrap = stack.enter_context(servers(folder))
        ports = {role: str(kafka.free_port()) for role in ROLES}
        here = {f"UNVARNISHED_{PORTS[role]}": port for role, port in ports.items()} | {
            "UNVARNISHED_DATABASE_URL": url,
            "UNVARNISHED_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "UNVARNISHED_INTERNAL_HOST": "127.0.0.1",
            "UNVARNISHED_PUBLIC_HOST": "127.0.0.1",
            "UNVARNISHED_PUBLIC_PORT": str(kafka.free_port()),
            "UNVARNISHED_DATA_DIR": str(folder),
        }

        def _start(name: str) -> subprocess.Popen[bytes]:
            one: dict[str, Any] = services()[name]
            assert one["entrypoint"] is None, "the image's own is taken"
            with (folder / f"{name}.log").open("wb") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "pipeline", *one["command"]],
                    cwd=ROOT,
                    env={"PATH": os.environ["PATH"]} | one["environment"] | here,
                    stdout=log,
                    stderr=log,
                )
            stack.callback(_end, process)
            return process

        for name, process in {name: _start(name) for name in ("migrate", "topics")}.items():
            assert process.wait(SECONDS) == 0, (folder / f"{name}.log").read_text()
        running = {role: _start(role) for role in ROLES}

        def _well(role: str) -> bool:
            assert running[role].poll() is None, (folder / f"{role}.log").read_text()
            return looks_well(ports[role])

        until(lambda: all(_well(role) for role in ROLES), "every role well")
        for process in running.values():
            process.send_signal(signal.SIGTERM)
        assert {role: process.wait(SECONDS) for role, process in running.items()} == dict.fromkeys(ROLES, 0)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait()
