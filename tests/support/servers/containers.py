"""The containers of `docker-compose.yml` as plain processes, with the same commands, settings and files."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from deploy.kafka import native as kafka
from deploy.postgres import native as postgres
from deploy.processes import ending_with_parent
from pipeline.settings import Settings
from tests.support.limits import PATIENCE, until
from tests.support.paths import ROOT
from tests.support.servers import tools
from tests.support.servers.compose import OURS, ROLES, services
from tests.support.servers.ways import Unavailable, missing

MONITORING = ("prometheus", "alertmanager")
_PORTS = {"public": "public_port", "web": "internal_port"} | {role: f"{role}_port" for role in ROLES if role != "web"}


def kafka_settings(listen: str, advertise: str, port: int, controller_port: int) -> dict[str, str]:
    """The properties that the image derives from its variables, with addresses of this machine."""
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
    """Kafka and PostgreSQL, configured as the containers are. Yields the database's URL and the broker's address."""
    command = services()["postgres"]["command"]
    assert command[0] == "postgres"
    assert set(command[1::2]) == {"-c"}
    node = kafka.Node(folder / "kafka")
    with ExitStack() as stack:
        stack.enter_context(pytest.MonkeyPatch.context()).setattr(kafka, "properties", kafka_settings)
        try:
            server = postgres.Server(stack.enter_context(postgres.any_binaries()), folder / "postgres", command[2::2])
            stack.callback(server.stop)
            url = server.start()
            stack.callback(node.kill)
            node.start()
        except (kafka.CannotRun, postgres.CannotRun) as reason:
            missing(Unavailable(str(reason)))
        with psycopg.connect(postgres.libpq_url(url), autocommit=True) as connection:
            connection.execute("CREATE DATABASE unvarnished TEMPLATE template0 ENCODING 'UTF8'")
        yield url.set(database="unvarnished").render_as_string(hide_password=False), node.bootstrap


class Containers:
    """The product's containers and the monitoring. `folder` replaces the root of every container; it has the logs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {name: kafka.free_port() for name in (*_PORTS, *MONITORING)}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def settings(self, url: str, bootstrap: str) -> dict[str, str]:
        """The settings that differ from those in a container, with Kafka and PostgreSQL at these addresses."""
        return {f"UNVARNISHED_{setting.upper()}": str(self.ports[name]) for name, setting in _PORTS.items()} | {
            "UNVARNISHED_DATABASE_URL": url,
            "UNVARNISHED_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "UNVARNISHED_INTERNAL_HOST": "127.0.0.1",
            "UNVARNISHED_PUBLIC_HOST": "127.0.0.1",
            "UNVARNISHED_DATA_DIR": str(self.folder / "data"),
        }

    def moved(self, text: str) -> str:
        """A command, file or URL of the monitoring, with the addresses and paths of this machine.

        The addresses of the roles are static, with the label that DNS discovery would add.
        """
        here = {name: f"127.0.0.1:{port}" for name, port in self.ports.items()}
        changes = {
            "=/": f"={self.folder}/",
            "/tmp/": f"{self.folder}/tmp/",  # noqa: S108
            "exec prometheus": f"exec prometheus --web.listen-address={here['prometheus']}",
            "prometheus:9090": here["prometheus"],
            "127.0.0.1:9090": here["prometheus"],
            "alertmanager:9093": here["alertmanager"],
            "127.0.0.1:9093": here["alertmanager"],
            "_interval: 15s": "_interval: 1s",
            "dns_sd_configs": "static_configs",
        }
        for role in ROLES:
            port = Settings.model_fields[_PORTS[role]].default
            by_name = f"{{names: [{role}], type: A, port: {port}, refresh_interval: 10s}}"
            changes[by_name] = f"{{targets: ['{here[role]}'], labels: {{__meta_dns_name: {role}}}}}"
        return re.sub("|".join(map(re.escape, changes)), lambda found: changes[found[0]], text)

    def run(self, *names: str, settings: Mapping[str, str]) -> None:
        """Run containers that end by themselves, in parallel. Each has to end with exit code 0."""
        with self._started(names, settings):
            for name in names:
                assert self._processes[name].wait(PATIENCE) == 0, self.log(name)

    @contextmanager
    def running(self, *names: str, settings: Mapping[str, str] | None = None) -> Iterator[None]:
        """Start containers and wait until all are healthy. At the end each has to exit with 0 after SIGTERM."""
        with self._started(names, settings or {}):
            until(lambda: all(self.is_healthy(name) for name in names), f"healthy: {', '.join(names)}")
            yield
            for name in names:
                self._processes[name].terminate()
            assert {name: self._processes[name].wait(PATIENCE) for name in names} == dict.fromkeys(names, 0)

    @contextmanager
    def _started(self, names: Sequence[str], settings: Mapping[str, str]) -> Iterator[None]:
        with ExitStack() as stack:
            for name in names:
                process = self._processes[name] = stack.enter_context(self._start(name, settings))
                stack.callback(process.kill)
            yield

    def is_healthy(self, name: str) -> bool:
        """Run its health check: that of Compose or of the image. Raises AssertionError if the process has ended."""
        assert self._processes[name].poll() is None, self.log(name)
        if name in MONITORING:
            *_, url = services()[name]["healthcheck"]["test"]
            with suppress(httpx.TransportError):
                return httpx.get(self.moved(url)).is_success
            return False
        found = re.search(r"HEALTHCHECK .*\\\n +CMD (\[.*\])", (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8"))
        assert found
        python, *arguments = json.loads(found[1])
        assert python == "python"
        environment = os.environ | {"HEALTH_PORT": str(self.ports[name])}
        command = [sys.executable, "-S", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0

    def log(self, name: str) -> str:
        """Its output."""
        return self._log(name).read_text(encoding="utf-8")

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _start(self, name: str, settings: Mapping[str, str]) -> subprocess.Popen[bytes]:
        one: dict[str, Any] = services()[name]
        for target in one.get("tmpfs", ()):
            self._at(target.partition(":")[0]).mkdir(parents=True, exist_ok=True)
        for mount in one.get("volumes", ()):
            self._at(mount["target"]).mkdir(parents=True, exist_ok=True)
            if mount["type"] == "bind":
                for file in Path(mount["source"]).iterdir():
                    (self._at(mount["target"]) / file.name).write_text(self.moved(file.read_text(encoding="utf-8")))
        with self._log(name).open("wb") as log:
            return subprocess.Popen(
                [*ending_with_parent("TERM"), *self._command(name)],
                cwd=ROOT,
                env={"PATH": os.environ["PATH"]} | one.get("environment", {}) | settings,
                stdout=log,
                stderr=log,
            )

    def _at(self, path: str) -> Path:
        return self.folder / path.removeprefix("/")

    def _command(self, name: str) -> list[str]:
        """Its entrypoint, or the equivalent of the image's, and its command."""
        one = services()[name]
        if name in OURS:
            assert one["entrypoint"] is None, "the image's own entrypoint applies"
            return [sys.executable, "-m", "pipeline", *one["command"]]
        program = tools.find(name)
        listening = f"--web.listen-address=127.0.0.1:{self.ports[name]}"
        # Compose writes "$$" where it means "$".
        command = [self.moved(word.replace("$$", "$")) for word in one["command"]]
        return [*(one["entrypoint"] or [program, listening]), *command]
