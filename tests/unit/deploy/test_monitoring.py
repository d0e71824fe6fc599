"""The monitoring of the cluster, as far as no server is needed; `tests/e2e/test_compose_commands.py` has the rest."""

import json
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from tests.support.paths import ROOT
from tests.support.servers import tools

DEPLOY = ROOT / "deploy"
BOARDS = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (DEPLOY / "grafana/dashboards").glob("*.json")
}
SOURCES = {"unvarnished": "prometheus", "incidents": "prometheus", "management": "postgres"}
BOARD = BOARDS["unvarnished"]
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
DRAWN = [target["expr"] for panel in PANELS for target in panel["targets"]]


def test_prometheus_accepts_its_configuration() -> None:
    tools.run("promtool", "check", "config", "--syntax-only", "prometheus.yml", folder=DEPLOY / "prometheus")


@pytest.mark.parametrize("name", SOURCES)
def test_grafana_knows_every_field_of_the_dashboard(name: str) -> None:
    """Grafana's own types ignore unknown fields. They do not check whether a value is allowed."""
    register_default_plugins()
    read = Dashboard.from_json(BOARDS[name])
    assert not passed_over(BOARDS[name], json.loads(JSONEncoder().encode(read)))
    # Options of unknown types are unchanged.
    assert not [
        panel.title for panel in read.panels or () if isinstance(panel, Panel) and isinstance(panel.options, dict)
    ]


def passed_over(given: Any, read: Any, position: str = "") -> list[str]:
    """The paths of `given` that are missing or different in `read`, which may have more: defaults."""
    if isinstance(given, dict) and isinstance(read, dict):
        pairs = [(f"{position}.{name}", value, read.get(name)) for name, value in given.items()]
    elif isinstance(given, list) and isinstance(read, list) and len(given) == len(read):
        pairs = [(f"{position}[{n}]", *pair) for n, pair in enumerate(zip(given, read, strict=True))]
    else:
        return [] if given == read else [position]
    return [found for where, one, other in pairs for found in passed_over(one, other, where)]


def test_the_dashboard_has_what_an_engineer_on_call_needs() -> None:
    whole = " ".join(DRAWN)
    for name in ("consumed_records", "lag_records", "batch_seconds", "asks_total", "ask_seconds", "dead_letters"):
        assert f"unvarnished_{name}" in whole


@pytest.mark.parametrize("name", SOURCES)
def test_no_panels_overlap_and_each_says_what_it_shows(name: str) -> None:
    board, source = BOARDS[name], SOURCES[name]
    occupied: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        position: dict[str, Any] = panel["gridPos"]
        cells = {(position["x"] + x, position["y"] + y) for x in range(position["w"]) for y in range(position["h"])}
        assert not cells & occupied, panel["title"]
        assert position["x"] + position["w"] <= 24
        occupied |= cells
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert all(panel["title"] and panel["description"].endswith(".") for panel in panels)
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert {panel["datasource"]["uid"] for panel in panels} == {source}
    provisioned = (DEPLOY / f"grafana/provisioning/datasources/{source}.yml").read_text(encoding="utf-8")
    assert f"uid: {source}\n" in provisioned


def test_every_dashboard_has_another_address_and_is_known_here() -> None:
    assert BOARDS.keys() == SOURCES.keys()
    assert len({board["uid"] for board in BOARDS.values()}) == len(BOARDS)
