"""A real Alertmanager that sends its notifications to a hook."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from deploy.processes import ending_with_parent
from tests.support.limits import PATIENCE, until
from tests.support.servers import tools

_CONFIG = """
route:
  receiver: hook
  group_by: [incident]
  group_wait: {group_wait}
  group_interval: 1s
  repeat_interval: 1h
receivers:
  - name: hook
    webhook_configs:
      - {{url: "{hook}", send_resolved: true}}
"""


class Alertmanager:
    """A process, which may be killed and started again: it keeps what it notified of, and forgets the alerts."""

    def __init__(self, folder: Path, hook: str, group_wait: str = "0s") -> None:
        folder.mkdir(exist_ok=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._folder = folder
        (folder / "alertmanager.yml").write_text(_CONFIG.format(hook=hook, group_wait=group_wait))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it is ready."""
        command = [
            tools.find("alertmanager"),
            f"--config.file={self._folder}/alertmanager.yml",
            f"--storage.path={self._folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
        ]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([*ending_with_parent("TERM"), *command], stdout=log, stderr=log)
        until(self._is_ready, "Alertmanager is ready")

    def kill(self) -> None:
        """SIGKILL, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)
            self._process = None

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that it has."""
        found: list[dict[str, Any]] = httpx.get(f"{self.url}/api/v2/alerts", timeout=PATIENCE).json()
        return found

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready").is_success
        except httpx.TransportError:
            return False


@contextmanager
def running(folder: Path, hook: str, group_wait: str = "0s") -> Iterator[Alertmanager]:
    """An Alertmanager that runs."""
    server = Alertmanager(folder, hook, group_wait)
    server.start()
    try:
        yield server
    finally:
        server.kill()
