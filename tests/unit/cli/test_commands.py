"""The root of the command line: errors, warnings and aliases of every command."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from tests.support.paths import ROOT


def run(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    given = {f"UNVARNISHED_{name}": value for name, value in settings.items()}
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=ROOT,
        env=os.environ | {"UNVARNISHED_DATA_DIR": str(folder)} | given,
        capture_output=True,
        text=True,
    )


def test_an_old_setting_is_reported_in_one_line_and_works(tmp_path: Path) -> None:
    done = run(tmp_path, "migrate", LEVELS="depot:3")
    assert done.returncode == 0
    expected = "UNVARNISHED_LEVELS is now called UNVARNISHED_SEGMENT_LEVELS; the old name works in this version only"
    assert done.stderr == f"unvarnished: {expected}\n"


def test_an_unusable_setting_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    done = run(tmp_path, "migrate", PUBLIC_PORT="eighty")
    assert done.returncode == 2
    assert done.stderr.startswith("unvarnished: UNVARNISHED_PUBLIC_PORT: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["report", "--from", "yesterday"], "--from: 'yesterday' is not a date as in 2026-11-20"),
        (["report", "--by", "planet"], "--by: 'planet' is not a segment level of this database"),
    ],
)
def test_an_option_that_cannot_be_used_is_one_sentence(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(app, arguments, env={"UNVARNISHED_DATA_DIR": str(tmp_path)})
    assert done.exit_code == 2
    assert message in done.stderr


def test_lab_is_another_name_of_simulate() -> None:
    arguments = ["--segments", "2", "--days", "20", "--seeds", "1", "--fleets", "1", "--repeats", "2"]
    first, second = (CliRunner().invoke(app, [name, *arguments]) for name in ("simulate", "lab"))
    assert first.exit_code == second.exit_code == 0
    assert first.stdout == second.stdout


def test_the_simulation_draws_an_image_where_it_can(tmp_path: Path) -> None:
    arguments = ["simulate", "--segments", "2", "--days", "20", "--seeds", "1", "--fleets", "1", "--repeats", "2"]
    done = CliRunner().invoke(app, [*arguments, "--plot", str(tmp_path / "a.svg")])
    assert done.exit_code == 0
    assert (tmp_path / "a.svg").stat().st_size > 1_000
    refused = CliRunner().invoke(app, [*arguments, "--plot", str(tmp_path / "a.pdf")])
    assert refused.exit_code == 2
    assert "--plot: 'a.pdf' does not end in .png or .svg" in refused.stderr


def test_the_preview_prints_every_message_with_its_segments(tmp_path: Path) -> None:
    known = {"UNVARNISHED_DATA_DIR": str(tmp_path / "none"), "UNVARNISHED_COMPANY_NAME": "L\u2019Atelier"}
    arguments = ["messages", "preview"]
    env = known | {"UNVARNISHED_PUBLIC_URL": "https://a.example", "UNVARNISHED_SMS_SEGMENT_PRICE": "0.05"}
    found = json.loads(CliRunner().invoke(app, [*arguments, "--format", "json"], env=env).stdout)
    assert {tuple(message) for message in found} == {("template", "language", "text", "segments", "alphabet", "cost")}
    texts = {(message["template"], message["language"]): message["text"] for message in found}
    assert texts["delivery", "en"].startswith("L'Atelier: how was order SO-10001?")
    assert "https://a.example/f/" in texts["reminder", "fr"]
    assert {message["segments"] for message in found if message["alphabet"] == "GSM-7"} == {1}
    assert {message["segments"] for message in found if message["alphabet"] == "UCS-2"} == {1, 2}
    assert {message["cost"] for message in found} == {0.05, 0.1}
    assert len({language for _, language in texts}) == 9
    table = CliRunner().invoke(app, arguments, env=env).stdout
    assert "L'Atelier" in table
    assert "Segments and cost by language" in table
    assert not (tmp_path / "none").exists(), "it needs no installation"


def test_the_code_of_an_order_is_a_picture_or_a_link(tmp_path: Path) -> None:
    env = {"UNVARNISHED_DATA_DIR": str(tmp_path), "UNVARNISHED_PUBLIC_URL": "https://a.example"}
    link = CliRunner().invoke(app, ["qr", "SO-1", "--format", "link"], env=env).stdout
    assert re.fullmatch(r"https://a\.example/f/[\w-]{22}\n", link)
    picture = CliRunner().invoke(app, ["qr", "SO-1"], env=env)
    assert picture.stdout_bytes.startswith(b"<?xml")
    written = CliRunner().invoke(app, ["qr", "SO-1", "--format", "png", "--output", str(tmp_path / "qr.png")], env=env)
    assert (written.exit_code, (tmp_path / "qr.png").read_bytes()[:4]) == (0, b"\x89PNG")
