"""The alerting rules: each fires exactly when it should, uses exported metrics, and states an action."""

import re

import pytest
from prometheus_client import REGISTRY

import pipeline.metrics  # noqa: F401 - exports them
from tests.support.paths import ROOT
from tests.support.servers import tools

FOLDER = ROOT / "deploy" / "prometheus"
RULES = (FOLDER / "rules.yml").read_text(encoding="utf-8")
WORLDS = (FOLDER / "rules.test.yml").read_text(encoding="utf-8")
ALERTS = re.findall(r"- alert: (\w+)", RULES)


def test_each_alert_fires_when_it_should_and_only_then() -> None:
    for arguments in (["check", "rules", "rules.yml"], ["test", "rules", "rules.test.yml"]):
        tools.run("promtool", *arguments, folder=FOLDER)


def test_each_alert_has_a_test_in_which_it_fires() -> None:
    assert len(ALERTS) == len(set(ALERTS)) > 5
    assert set(re.findall(r'alertname="(\w+)"', WORLDS)) == set(ALERTS)


def test_each_alert_states_its_urgency_and_an_action() -> None:
    for rule in RULES.split("- alert: ")[1:]:
        assert re.search(r"severity: (page|ticket)\n", rule), rule
        assert re.search(r"summary: .{20}", rule), rule
        assert re.search(r"action: >-\n +.{20}", rule), rule


def test_every_metric_of_the_rules_is_exported() -> None:
    families = [family for family in REGISTRY.collect() if family.name.startswith("unvarnished_")]
    endings = {"counter": "_total", "histogram": "_bucket"}
    exported = {family.name + endings.get(family.type, "") for family in families}
    assert set(re.findall(r"unvarnished_\w+", "".join(re.findall(r"expr: .*?labels:", RULES, re.DOTALL)))) <= exported


ROUTES = {
    "page": ["severity=page", "incident=I-1 signal=on_time severity=critical"],
    "ticket": ["severity=ticket", "incident=I-1 signal=on_time severity=major", "alertname=Other"],
}


@pytest.mark.parametrize(("receiver", "labels"), [(name, each) for name, all_ in ROUTES.items() for each in all_])
def test_alerts_and_incidents_are_routed_by_their_urgency(receiver: str, labels: str) -> None:
    config = "--config.file=alertmanager.yml"
    folder = ROOT / "deploy" / "alertmanager"
    assert "SUCCESS" in tools.run("amtool", "check-config", "alertmanager.yml", folder=folder)
    assert tools.run("amtool", "config", "routes", "test", config, *labels.split(), folder=folder).strip() == receiver


@pytest.mark.parametrize("outcome", ["unresolved", "not_accepted", "unknown", "accepted"])
def test_a_counter_of_an_alert_exists_before_its_first_increment(outcome: str) -> None:
    """Otherwise the first increment would create the series, which is no increase."""
    assert REGISTRY.get_sample_value("unvarnished_asks_total", {"outcome": outcome}) is not None
