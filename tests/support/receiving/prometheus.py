"""A real Prometheus that scrapes this process's metrics, with the product's rules."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from prometheus_client import start_http_server

from deploy.processes import ending_with_parent
from tests.support.limits import PATIENCE, until
from tests.support.paths import ROOT
from tests.support.servers import tools

_CONFIG = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: unvarnished
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


class Prometheus:
    """Its API."""

    def __init__(self, url: str) -> None:
        self._url = url

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an expression now, those that are no number left out."""
        answer = httpx.get(f"{self._url}/api/v1/query", params={"query": expression}, timeout=PATIENCE).json()
        assert answer["status"] == "success", answer
        return [one for one in answer["data"]["result"] if one["value"][1] != "NaN"]

    def is_ready(self) -> bool:
        """Whether it answers."""
        with suppress(httpx.TransportError):
            return httpx.get(f"{self._url}/-/ready").is_success
        return False


@contextmanager
def scraping_this_process(folder: Path) -> Iterator[Prometheus]:
    """Prometheus, while it scrapes what this process counts."""
    server, thread = start_http_server(0, "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    rules = ROOT / "deploy/prometheus/rules.yml"
    config = folder / "prometheus.yml"
    config.write_text(_CONFIG.format(rules=rules, port=server.server_port))
    arguments = [
        f"--config.file={config}",
        f"--storage.tsdb.path={folder}/tsdb",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    command = [*ending_with_parent("TERM"), tools.find("prometheus"), *arguments]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        found = Prometheus(f"http://127.0.0.1:{port}")
        until(found.is_ready, "Prometheus is ready")
        yield found
    finally:
        process.kill()
        process.wait(PATIENCE)
        server.shutdown()
        server.server_close()
        thread.join()
