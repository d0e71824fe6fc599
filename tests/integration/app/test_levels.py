"""The commands that list, add and remove levels, and what says that a level has more segments than configured."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from typer.testing import CliRunner, Result

from pipeline.cli import app
from pipeline.consumers.runtime.level_monitor import LevelMonitor
from pipeline.settings import Settings
from tests.support.builders import at, completed, scanned
from tests.support.running.embedded import embedded, ingest
from tests.support.stored import HISTORIC

KEY = "00" * 32


def run(database_url: str, *arguments: str, **settings: str) -> Result:
    known = {"DATABASE_URL": database_url, "MASTER_KEY": KEY} | settings
    env = {f"UNVARNISHED_{name}": item for name, item in known.items()}
    return CliRunner().invoke(app, arguments, env=env)


def as_json(database_url: str, *arguments: str) -> Any:
    return json.loads(run(database_url, *arguments, "--format", "json").stdout)


def gauge(name: str) -> float | None:
    """The value of a metric for the level depot."""
    return REGISTRY.get_sample_value(name, {"level": "depot"})


def depots(database_url: str, number: int) -> None:
    """Delivered orders of so many depots, each with a product of its own."""
    runtime = embedded(database_url)
    for n in range(number):
        dimensions = {"depot": f"D-{n}", "product": f"P-{n % 3}"}
        ingest(
            runtime,
            completed(f"SO-{n}", at(), dimensions=dimensions, **HISTORIC),
            scanned(f"SO-{n}", at(hours=1)),
        )
    runtime.engine.dispose()


def test_an_own_dimension_is_added_after_the_first_start_and_reported(database_url: str) -> None:
    assert [level["dimension"] for level in as_json(database_url, "levels", "list")] == [
        "region",
        "depot",
        "carrier",
        "depot+tier",
    ]
    depots(database_url, 5)
    refused = run(database_url, "report", "--by", "product")
    assert refused.exit_code == 2
    assert "to add one: unvarnished levels add DIMENSION:CAPACITY" in refused.stderr
    added = run(database_url, "levels", "add", "product:40")
    assert (added.exit_code, added.stdout) == (
        0,
        "product is counted: 3 segments so far. New thresholds hold from 2026-03-03 (UTC) on.\n",
    )
    report = as_json(database_url, "report", "--by", "product")
    assert {name: row["delivered"] for name, row in report["segments"].items()} == {"P-0": 2, "P-1": 2, "P-2": 1}
    *_, product = as_json(database_url, "levels", "list")
    assert product == {
        "dimension": "product",
        "capacity": 40,
        "segments": 3,
        "exceeded": False,
        "state": "watched",
        "since": "2026-03-03",
        "threshold_days": 365.0 * 40 * 5,
    }
    assert "watched already" in run(database_url, "levels", "add", "product:40").stdout
    assert run(database_url, "levels", "remove", "product").exit_code == 0
    assert run(database_url, "report", "--by", "product").exit_code == 2


def test_the_setting_counts_at_the_first_start_only_and_another_one_later_is_no_error(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    run(database_url, "levels", "list", SEGMENT_LEVELS="depot:5,tier:3")
    assert caplog.messages == []
    listed = run(
        database_url,
        "levels",
        "list",
        SEGMENT_LEVELS="depot:9",
    )
    assert listed.exit_code == 0
    [message] = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert message.startswith("UNVARNISHED_SEGMENT_LEVELS=depot:9 has no effect")
    assert "watches depot:5,tier:3" in message
    assert "unvarnished levels add" in message


@pytest.mark.parametrize("wrong", ["tier", "tier:0", "depot:1,tier:2", ":4"])
def test_what_is_no_level_is_refused_in_one_sentence(tmp_path: Path, wrong: str) -> None:
    refused = run(f"sqlite:///{tmp_path}/none.db", "levels", "add", wrong)
    assert refused.exit_code == 2
    assert repr(wrong) in refused.stderr
    assert not (tmp_path / "none.db").exists()


def test_more_segments_than_configured_are_told_by_doctor_metric_and_log_until_the_capacity_is_raised(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    run(database_url, "levels", "list", SEGMENT_LEVELS="depot:5,carrier:2")
    depots(database_url, 12)

    def check() -> dict[str, Any]:
        [found] = [one for one in as_json(database_url, "doctor") if one["name"] == "levels"]
        return dict(found)

    runtime = embedded(database_url, levels="depot:5,carrier:2")
    monitor = LevelMonitor(runtime.store, runtime.setup)
    monitor.measure()
    monitor.measure()
    assert check()["warning"]
    assert "depot (12 of 5)" in check()["found"]
    assert "now up to: depot 1.2" in check()["found"], "half an alert a year for each of two levels, times 12/5"
    assert "`unvarnished levels add depot:15`" in check()["advice"]
    assert gauge("unvarnished_level_segments") == 12
    assert gauge("unvarnished_level_capacity") == 5
    assert len([record for record in caplog.records if "has 12 segments" in record.getMessage()]) == 1
    assert run(database_url, "levels", "add", "depot:15").exit_code == 0
    assert not check()["warning"]
    monitor.measure()
    assert gauge("unvarnished_level_capacity") == 15
    runtime.engine.dispose()


def test_a_level_that_no_order_has_is_added_and_said_to_have_none(database_url: str) -> None:
    depots(database_url, 1)
    assert "No order has the dimension prodct so far" in run(database_url, "levels", "add", "prodct:4").stdout
    assert as_json(database_url, "report", "--by", "prodct")["segments"] == {}


def test_a_database_of_the_demo_has_levels_too(tmp_path: Path) -> None:
    from pipeline.app.installation import open_installation

    url = f"sqlite:///{tmp_path}/demo.db"
    settings = Settings(database_url=url, master_key=KEY)
    open_installation(settings, "depot:4", simulated=True).store.engine.dispose()
    assert run(url, "levels", "add", "tier:3").exit_code == 0
    assert [level["dimension"] for level in as_json(url, "levels", "list")] == ["depot", "tier"]
    open_installation(settings, "depot:4", simulated=True).store.engine.dispose()
