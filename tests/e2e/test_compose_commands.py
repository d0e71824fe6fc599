"""The containers of `docker-compose.yml` as plain processes: each is healthy, and the monitoring observes the roles.

Grafana is not among them. The queries of its dashboard are sent to Prometheus, at the address of its data source.
"""

import json
import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import httpx
import pytest
import yaml
from kafka import KafkaProducer

from deploy.postgres import native as postgres
from pipeline.app.maintenance import create_key
from pipeline.demo.http_client import HttpClient
from pipeline.store.db.engine import connect
from tests.support.builders import completed, scanned
from tests.support.limits import PATIENCE, until
from tests.support.paths import ROOT
from tests.support.servers.compose import CHOSEN, ROLES
from tests.support.servers.containers import MONITORING, Containers, servers

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

GRAFANA = ROOT / "deploy/grafana"
TOKEN = CHOSEN["UNVARNISHED_METRICS_TOKEN"]


class Monitoring(NamedTuple):
    """The addresses of the monitoring."""

    prometheus: str
    alertmanager: str

    def query(self, path: str, **parameters: str) -> Any:
        """The response of Prometheus's API."""
        answer = httpx.get(f"{self.prometheus}/api/v1/{path}", params=parameters, timeout=PATIENCE).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def series(self, expression: str) -> list[dict[str, str]]:
        """The labels of each series for which Prometheus has a number now."""
        found = self.query("query", query=expression)["result"]
        return [one["metric"] for one in found if not math.isnan(float(one["value"][1]))]

    def all_roles_are(self, health: str) -> bool:
        """Whether Prometheus has scraped every role with this result: "up" or "down"."""
        targets = self.query("targets")["activeTargets"]
        return {one["labels"]["role"]: one["health"] for one in targets} == dict.fromkeys(ROLES, health)

    def alerts(self) -> list[tuple[str, str, list[str]]]:
        """Name, process and receivers of each alert that Alertmanager has."""
        return [
            (one["labels"]["alertname"], one["labels"]["instance"], [receiver["name"] for receiver in one["receivers"]])
            for one in httpx.get(f"{self.alertmanager}/api/v2/alerts", timeout=PATIENCE).json()
        ]


@pytest.fixture(scope="module")
def containers() -> Iterator[Containers]:
    """The containers, not started yet."""
    with postgres.scratch_folder() as folder:
        folder.chmod(0o755)  # PostgreSQL may run as another account
        yield Containers(folder)


@pytest.fixture(scope="module")
def monitoring(containers: Containers) -> Iterator[Monitoring]:
    """The monitoring, started before the roles: these are ready before Prometheus first discovers its targets."""
    [source] = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    with containers.running(*MONITORING):
        yield Monitoring(containers.moved(source["url"]), f"http://127.0.0.1:{containers.ports['alertmanager']}")


@pytest.fixture(scope="module")
def cluster(containers: Containers) -> Iterator[tuple[str, str]]:
    """All roles, started. Yields the database's URL and the broker's address."""
    with servers(containers.folder) as (url, bootstrap):
        # A setting that `.env` may contain, too: this test may run at night.
        settings = containers.settings(url, bootstrap) | {
            "UNVARNISHED_QUIET_HOURS": "00:00-00:00",
            "UNVARNISHED_SKIP_HOLIDAYS": "false",
        }
        containers.run("migrate", "topics", settings=settings)
        with containers.running(*ROLES, settings=settings):
            yield url, bootstrap


@pytest.mark.usefixtures("monitoring")
def test_the_monitoring_containers_are_healthy(containers: Containers) -> None:
    assert all(containers.is_healthy(name) for name in MONITORING)


@pytest.mark.usefixtures("cluster")
def test_every_role_is_healthy(containers: Containers) -> None:
    assert all(containers.is_healthy(role) for role in ROLES)


@pytest.mark.usefixtures("cluster")
def test_prometheus_scrapes_every_role(monitoring: Monitoring) -> None:
    until(lambda: monitoring.all_roles_are("up"), "every role up")


def test_every_rule_is_evaluated_without_errors(monitoring: Monitoring) -> None:
    def _health() -> dict[str, str]:
        return {
            rule["name"]: rule["health"] for group in monitoring.query("rules")["groups"] for rule in group["rules"]
        }

    written = re.findall(
        r"- (?:alert|record): ([\w:]+)", (ROOT / "deploy/prometheus/rules.yml").read_text(encoding="utf-8")
    )
    until(lambda: _health() == dict.fromkeys(written, "ok"), "every rule evaluated")


def test_an_invalid_event_leads_to_an_alert_at_alertmanager(
    monitoring: Monitoring, containers: Containers, cluster: tuple[str, str]
) -> None:
    until(lambda: monitoring.all_roles_are("up"), "the counter before it")
    with KafkaProducer(bootstrap_servers=cluster[1]) as producer:
        producer.send("orders", b"{")
        producer.flush()
    alert = ("UnvarnishedDeadLetters", f"127.0.0.1:{containers.ports['worker']}", ["ticket"])
    until(lambda: alert in monitoring.alerts(), "the alert")


def test_an_urgent_alert_goes_to_the_page_receiver(monitoring: Monitoring) -> None:
    """The alert is created by hand: the conditions of ours have to last for minutes."""
    alert = {"labels": {"alertname": "ByHand", "instance": "none", "severity": "page"}}
    httpx.post(f"{monitoring.alertmanager}/api/v2/alerts", json=[alert]).raise_for_status()
    until(lambda: ("ByHand", "none", ["page"]) in monitoring.alerts(), "the alert")


def test_every_panel_of_the_dashboard_has_data_for_its_legend(
    monitoring: Monitoring, containers: Containers, cluster: tuple[str, str]
) -> None:
    """Every panel has data once a question was sent."""
    until(lambda: monitoring.all_roles_are("up"), "the counters before it")
    engine = connect(cluster[0])
    client = HttpClient(f"http://127.0.0.1:{containers.ports['public']}", create_key(engine, "erp", history=False))
    engine.dispose()
    now = datetime.now(UTC)
    assert client.send_events([completed(time=now), scanned(time=now)])
    board = json.loads((GRAFANA / "dashboards/unvarnished.json").read_text(encoding="utf-8"))
    for target in (target for panel in board["panels"] for target in panel.get("targets", ())):
        expression = target["expr"].replace("$__rate_interval", "1m")  # its value at a scrape interval of 15 s
        for labels in until(partial(monitoring.series, expression), expression):
            assert labels.keys() == set(re.findall(r"{{(\w+)}}", target["legendFormat"])), target


@pytest.mark.usefixtures("cluster")
def test_prometheus_is_authorised_by_the_token_its_container_writes_and_by_no_other(
    monitoring: Monitoring, containers: Containers
) -> None:
    file = containers.folder / "tmp/metrics-token"
    assert (file.read_text(), file.stat().st_mode & 0o777) == (TOKEN, 0o600)
    file.write_text("another")  # it is read for every scrape
    until(lambda: monitoring.all_roles_are("down"), "every role down")
    assert {one["lastError"] for one in monitoring.query("targets")["activeTargets"]} == {
        "server returned HTTP status 401 Unauthorized"
    }
    file.write_text(TOKEN)
    until(lambda: monitoring.all_roles_are("up"), "every role up again")
