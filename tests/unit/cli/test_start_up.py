"""Help is fast because it loads only the command line. Checked by what is loaded, not by time."""

import subprocess
import sys

import pytest

from pipeline import __version__
from pipeline.settings import Settings
from tests.support.paths import ROOT

HEAVY = {
    *("alembic", "babel", "faust", "kafka", "litestar", "matplotlib", "phonenumbers", "sqlalchemy"),
    *("twilio", "uvicorn", "pipeline.bench", "pipeline.demo", "pipeline.simulation", "pipeline.settings"),
    *("pipeline.store", "pipeline.web"),
}
HELP = (
    "--help",
    "--version",
    "up --help",
    "run --help",
    "demo --help",
    "report --help",
    "simulate --help",
    "keys list --help",
    "dead-letters retry --help",
    "topics create --help",
    "bench embedded --help",
    "doctor --help",
)
_RUN = """
import sys
from pipeline.cli import main
sys.argv[1:] = {arguments!r}
try:
    main()
finally:
    print("loaded:", *sorted({heavy!r} & set(sys.modules)))
"""


def run(arguments: str, code: str = _RUN) -> str:
    command = [sys.executable, "-c", code.format(arguments=arguments.split(), heavy=HEAVY)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("arguments", HELP)
def test_help_loads_no_part_of_the_product(arguments: str) -> None:
    assert run(arguments).splitlines()[-1].strip() == "loaded:"


def test_the_version_is_printed() -> None:
    assert run("--version").startswith(f"unvarnished {__version__}\n")


def test_help_of_up_names_ports_data_folder_and_the_page_of_all_settings() -> None:
    text = run("up --help")
    for name in ("public_port", "internal_port", "worker_port", "dispatcher_port", "relay_port"):
        assert str(Settings.model_fields[name].default) in text, name
    assert "UNVARNISHED_DATA_DIR" in text
    assert "docs/settings.md" in text
    assert (ROOT / "docs" / "settings.md").exists()
