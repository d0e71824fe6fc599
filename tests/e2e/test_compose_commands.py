"""The containers of `docker-compose.yml` as plain processes: each is well, and those that watch see the others.

Grafana is not among them. What its dashboard asks is asked of Prometheus, where its data source says.
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
from tests.support.servers.containers import WATCHERS, Containers, servers

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

GRAFANA = ROOT / "deploy/grafana"
TOKEN = CHOSEN["UNVARNISHED_SIGN_IN_TOKEN"]


class Watched(NamedTuple):
    """Where those that watch are asked."""

    prometheus: str
    alertmanager: str

    def told(self, path: str, **parameters: str) -> Any:
        """Prometheus's answer."""
        answer = httpx.get(f"{self.prometheus}/api/v1/{path}", params=parameters, timeout=PATIENCE).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def drawn(self, expression: str) -> list[dict[str, str]]:
        """The labels of each series for which Prometheus has a number now."""
        found = self.told("query", query=expression)["result"]
        return [one["metric"] for one in found if not math.isnan(float(one["value"][1]))]

    def finds(self, health: str) -> bool:
        """Whether Prometheus has looked at every role, and found them all "up" or "down"."""
        targets = self.told("targets")["activeTargets"]
        return {one["labels"]["role"]: one["health"] for one in targets} == dict.fromkeys(ROLES, health)

    def alerts(self) -> list[tuple[str, str, list[str]]]:
        """Name, process and receivers of each alert that Alertmanager has."""
        return [
            (one["labels"]["alertname"], one["labels"]["instance"], [receiver["name"] for receiver in one["receivers"]])
            for one in httpx.get(f"{self.alertmanager}/api/v2/alerts", timeout=PATIENCE).json()
        ]


@pytest.fixture(scope="module")
def containers() -> Iterator[Containers]:
    """None of them runs yet."""
    with postgres.scratch_folder() as folder:
        folder.chmod(0o755)  # PostgreSQL may run as another account
        yield Containers(folder)


@pytest.fixture(scope="module")
def watched(containers: Containers) -> Iterator[Watched]:
    """They start before the roles, which take no longer than Prometheus waits before it first looks for them."""
    [source] = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    with containers.running(*WATCHERS):
        yield Watched(containers.moved(source["url"]), f"http://127.0.0.1:{containers.ports['alertmanager']}")


@pytest.fixture(scope="module")
def cluster(containers: Containers) -> Iterator[tuple[str, str]]:
    """Every role runs, on this database and this broker."""
    with servers(containers.folder) as (url, bootstrap):
        # As `.env` may say it: this test may run at night.
        settings = containers.settings(url, bootstrap) | {"UNVARNISHED_QUIET_HOURS": "00:00-00:00"}
        containers.run("migrate", "topics", settings=settings)
        with containers.running(*ROLES, settings=settings):
            yield url, bootstrap


@pytest.mark.usefixtures("watched")
def test_the_monitoring_containers_are_healthy(containers: Containers) -> None:
    assert all(containers.well(name) for name in WATCHERS)


@pytest.mark.usefixtures("cluster")
def test_every_role_is_healthy(containers: Containers) -> None:
    assert all(containers.well(role) for role in ROLES)


@pytest.mark.usefixtures("cluster")
def test_prometheus_scrapes_every_role(watched: Watched) -> None:
    until(lambda: watched.finds("up"), "every role up")


def test_every_rule_is_evaluated_without_errors(watched: Watched) -> None:
    def _health() -> dict[str, str]:
        return {rule["name"]: rule["health"] for group in watched.told("rules")["groups"] for rule in group["rules"]}

    written = re.findall(r"- alert: (\w+)", (ROOT / "deploy/prometheus/rules.yml").read_text(encoding="utf-8"))
    until(lambda: _health() == dict.fromkeys(written, "ok"), "every rule evaluated")


def test_an_invalid_event_leads_to_an_alert_at_alertmanager(
    watched: Watched, containers: Containers, cluster: tuple[str, str]
) -> None:
    until(lambda: watched.finds("up"), "the counter before it")
    with KafkaProducer(bootstrap_servers=cluster[1]) as producer:
        producer.send("orders", b"{")
        producer.flush()
    alert = ("UnvarnishedDeadLetters", f"127.0.0.1:{containers.ports['worker']}", ["ticket"])
    until(lambda: alert in watched.alerts(), "the alert")


def test_an_urgent_alert_goes_to_the_page_receiver(watched: Watched) -> None:
    """By hand: what raises one of ours lasts for minutes."""
    alert = {"labels": {"alertname": "ByHand", "instance": "none", "severity": "page"}}
    httpx.post(f"{watched.alertmanager}/api/v2/alerts", json=[alert]).raise_for_status()
    until(lambda: ("ByHand", "none", ["page"]) in watched.alerts(), "the alert")


def test_every_panel_of_the_dashboard_has_data_for_its_legend(
    watched: Watched, containers: Containers, cluster: tuple[str, str]
) -> None:
    """None is empty once somebody was asked about an order."""
    until(lambda: watched.finds("up"), "the counters before it")
    engine = connect(cluster[0])
    client = HttpClient(f"http://127.0.0.1:{containers.ports['public']}", create_key(engine, "erp", history=False))
    engine.dispose()
    now = datetime.now(UTC)
    assert client.send_events([completed(time=now), scanned(time=now)])
    board = json.loads((GRAFANA / "dashboards/unvarnished.json").read_text(encoding="utf-8"))
    for target in (target for panel in board["panels"] for target in panel.get("targets", ())):
        expression = target["expr"].replace("$__rate_interval", "1m")  # what it is at an interval of 15 s
        for labels in until(partial(watched.drawn, expression), expression):
            assert labels.keys() == set(re.findall(r"{{(\w+)}}", target["legendFormat"])), target


@pytest.mark.usefixtures("cluster")
def test_prometheus_is_authorised_by_the_token_its_container_writes_and_by_no_other(
    watched: Watched, containers: Containers
) -> None:
    file = containers.folder / "tmp/sign-in-token"
    assert (file.read_text(), file.stat().st_mode & 0o777) == (TOKEN, 0o600)
    file.write_text("another")  # it is read for every scrape
    until(lambda: watched.finds("down"), "every role down")
    assert {one["lastError"] for one in watched.told("targets")["activeTargets"]} == {
        "server returned HTTP status 401 Unauthorized"
    }
    file.write_text(TOKEN)
    until(lambda: watched.finds("up"), "every role up again")
