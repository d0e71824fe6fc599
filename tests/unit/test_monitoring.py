"""What watches the cluster: its configuration is valid, and the dashboard draws what we export."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from pipeline import metrics
from tests.support import tools

DEPLOY = tools.ROOT / "deploy"
BOARD = json.loads((DEPLOY / "grafana/dashboards/unvarnished.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
DRAWN = [target["expr"] for panel in PANELS for target in panel["targets"]]


def labels() -> dict[str, set[str]]:
    """The labels of every series we export, by its name."""
    ours = [one for one in vars(metrics).values() if isinstance(one, MetricWrapperBase)]
    names = {one._name: set(one._labelnames) for one in ours}
    suffixes = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
    return {
        family.name + suffix: names[family.name] | ({"le"} if suffix == "_bucket" else set())
        for family in REGISTRY.collect()
        if family.name in names
        for suffix in suffixes[family.type]
    }


def test_prometheus_takes_its_configuration() -> None:
    tools.run("promtool", "check", "config", "--syntax-only", "prometheus.yml", folder=DEPLOY / "prometheus")


def test_alertmanager_takes_its_configuration() -> None:
    tools.run("amtool", "check-config", str(DEPLOY / "alertmanager/alertmanager.yml"))


def test_the_dashboard_draws_what_we_export_by_labels_that_it_has() -> None:
    exported = labels()
    for expression in DRAWN:
        [name] = set(re.findall(r"unvarnished_\w+", expression))
        assert name in exported, expression
        grouped = re.findall(r"by \(([^)]+)\)", expression) + re.findall(r"{(\w+)=", expression)
        asked = {label.strip() for group in grouped for label in group.split(",")}
        # "role" is what Prometheus adds.
        assert asked - {"role"} <= exported[name], expression


def test_the_dashboard_has_what_whoever_is_on_call_looks_for() -> None:
    whole = " ".join(DRAWN)
    for name in ("consumed_records", "lag_records", "batch_seconds", "asks_total", "ask_seconds", "dead_letters"):
        assert f"unvarnished_{name}" in whole
    assert all(panel["title"] and panel["description"].endswith(".") for panel in PANELS)


def test_what_the_dashboard_asks_for_is_understood_by_prometheus(tmp_path: Path) -> None:
    """Written as rules, which promtool reads."""
    rules = [{"record": "drawn", "expr": one.replace("$__rate_interval", "1m")} for one in DRAWN]
    file = tmp_path / "drawn.yml"
    groups = [{"name": str(n), "rules": [rule]} for n, rule in enumerate(rules)]  # one each: they may be alike
    file.write_bytes(msgspec.json.encode({"groups": groups}))
    tools.run("promtool", "check", "rules", str(file))


def test_every_panel_has_its_place() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place: dict[str, Any] = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    assert {panel["datasource"]["uid"] for panel in PANELS} == {"prometheus"}
    provisioned = (DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text(encoding="utf-8")
    assert "uid: prometheus\n" in provisioned
