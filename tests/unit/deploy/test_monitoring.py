"""What watches the cluster, as far as no server is needed; `tests/e2e/test_compose_commands.py` has the rest."""

import json
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from tests.support.paths import ROOT
from tests.support.servers import tools

DEPLOY = ROOT / "deploy"
BOARD = json.loads((DEPLOY / "grafana/dashboards/unvarnished.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
DRAWN = [target["expr"] for panel in PANELS for target in panel["targets"]]


def test_prometheus_accepts_its_configuration() -> None:
    tools.run("promtool", "check", "config", "--syntax-only", "prometheus.yml", folder=DEPLOY / "prometheus")


def test_grafana_knows_every_field_of_the_dashboard() -> None:
    """Its own types pass over what they do not know. Whether a value is one of those allowed, they do not say."""
    register_default_plugins()
    read = Dashboard.from_json(BOARD)
    assert not passed_over(BOARD, json.loads(JSONEncoder().encode(read)))
    # The options of a type that they do not know are left as they are.
    assert not [
        panel.title for panel in read.panels or () if isinstance(panel, Panel) and isinstance(panel.options, dict)
    ]


def passed_over(given: Any, read: Any, place: str = "") -> list[str]:
    """The places in `given` that `read` has not, or has otherwise. It may have more: defaults."""
    if isinstance(given, dict) and isinstance(read, dict):
        pairs = [(f"{place}.{name}", value, read.get(name)) for name, value in given.items()]
    elif isinstance(given, list) and isinstance(read, list) and len(given) == len(read):
        pairs = [(f"{place}[{n}]", *pair) for n, pair in enumerate(zip(given, read, strict=True))]
    else:
        return [] if given == read else [place]
    return [found for where, one, other in pairs for found in passed_over(one, other, where)]


def test_the_dashboard_has_what_an_engineer_on_call_needs() -> None:
    whole = " ".join(DRAWN)
    for name in ("consumed_records", "lag_records", "batch_seconds", "asks_total", "ask_seconds", "dead_letters"):
        assert f"unvarnished_{name}" in whole
    assert all(panel["title"] and panel["description"].endswith(".") for panel in PANELS)


def test_no_panels_overlap() -> None:
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
