"""45,000 real orders through the command line: the figures equal the reference, and an alert finds the known fault.

The data and the reference figures are not in the repository; without them these tests are skipped.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT, SHARED

HISTORY = SHARED / "data" / "olist"
FIGURES = SHARED / "reference" / "olist_2017_figures.json"

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(not (HISTORY.is_dir() and FIGURES.is_file()), reason=f"no Olist history under {SHARED}"),
]
LEVELS = {"region": "by_customer_state", "origin": "by_seller_state", "consolidation": "by_consolidation"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the history replayed."""
    folder = tmp_path_factory.mktemp("olist")
    done = unvarnished(folder, "replay", "olist", str(HISTORY))
    assert "224104 new events, 0 duplicates, 0 dead letters." in done.stderr
    return folder


def unvarnished(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UNVARNISHED_")}
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=ROOT,
        env=environment | {"UNVARNISHED_DATA_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=True,
        timeout=280,
    )


def printed(folder: Path, *arguments: str) -> Any:
    return json.loads(unvarnished(folder, *arguments, "--format", "json").stdout)


def expected(figures: dict[str, Any]) -> tuple[object, ...]:
    return (
        figures["delivered"],
        figures["claimed_on_time"],
        figures["answered"],
        figures["answered_claimed_on_time"],
        figures["claimed_on_time_but_score_le_2"],
        figures["mean_score"],
    )


def found(row: dict[str, Any]) -> tuple[object, ...]:
    return (
        row["delivered"],
        row["claimed_on_time"],
        row["answered"],
        row["answered_claimed_on_time"],
        row["claimed_on_time_but_detractor"],
        round(row["mean_score"]["value"], 4),
    )


def test_the_counts_are_those_of_the_record_in_total_and_in_every_segment(home: Path) -> None:
    figures = json.loads(FIGURES.read_text())
    assert found(printed(home, "report")["total"]) == expected(figures["delivered"])
    for level, name in LEVELS.items():
        segments = printed(home, "report", "--by", level)["segments"]
        assert {value: found(segments[value]) for value in figures[name]} == {
            value: expected(each) for value, each in figures[name].items()
        }


def test_the_alert_finds_the_orders_that_were_closed_with_one_parcel(home: Path) -> None:
    alerts = printed(home, "alerts")
    divergences = [alert for alert in alerts if alert["kind"] == "divergence"]
    assert len(divergences) <= 4
    by_segment = {(alert["dimension"], alert["value"]): alert for alert in divergences}
    parcels = by_segment["consolidation", "several_sellers"]
    assert parcels["signal"] == "experience"
    assert parcels["pairs_before"] < 40
    assert parcels["severity"] == "critical"
    assert by_segment["region", "BA"]["opened_at"][:7] == "2017-07"
    assert not [alert for alert in alerts if (alert["dimension"], alert["value"][:2]) in
                {("region", "SP"), ("region", "RJ"), ("region", "MG")}]  # fmt: skip


def test_a_second_replay_of_the_same_files_changes_nothing(home: Path) -> None:
    before = (printed(home, "report"), printed(home, "alerts"))
    done = unvarnished(home, "replay", "olist", str(HISTORY))
    assert "0 new events, 224104 duplicates, 0 dead letters." in done.stderr
    assert (printed(home, "report"), printed(home, "alerts")) == before


def test_an_invalid_command_is_reported_in_one_sentence_without_a_traceback(home: Path) -> None:
    for arguments, sentence in (
        (("report", "--by", "colour"), "its levels: region, origin, consolidation"),
        (("report", "--from", "yesterday"), "--from: 'yesterday' is not a date"),
        (("replay", "olist", str(home)), "olist_"),
        (("demo",), "this database contains real events"),
    ):
        with pytest.raises(subprocess.CalledProcessError) as failed:
            unvarnished(home, *arguments)
        assert failed.value.returncode == 2
        assert sentence in failed.value.stderr
        assert "Traceback" not in failed.value.stderr
