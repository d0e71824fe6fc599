"""What importing a module of the composition root loads, each in a fresh interpreter."""

import json
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

MODULES = sorted(f"pipeline.app.{path.stem}" for path in (ROOT / "pipeline" / "app").glob("[!_]*.py"))
ABOVE_THE_PRODUCT = ("pipeline.bench", "pipeline.cli", "pipeline.demo", "pipeline.simulation")
# Libraries that load slowly: commands that do not need them must not load them.
HEAVY = ("aiokafka", "alembic", "faust", "kafka", "litestar", "matplotlib", "twilio", "uvicorn")
LIGHT = ("doctor", "errors", "installation", "maintenance", "process_role", "processes", "supervisor")


def loaded_by(module: str) -> list[str]:
    """The names of all modules that are loaded after importing this one."""
    program = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    names: list[str] = json.loads(done.stdout)
    return names


def within(names: list[str], packages: tuple[str, ...]) -> list[str]:
    return [name for name in names if name.startswith(tuple(f"{package}." for package in packages)) or name in packages]


@pytest.mark.parametrize("module", MODULES)
def test_the_product_never_loads_the_demo_the_benchmarks_or_the_simulation(module: str) -> None:
    assert within(loaded_by(module), ABOVE_THE_PRODUCT) == []


@pytest.mark.parametrize("name", LIGHT)
def test_the_modules_of_most_commands_load_no_heavy_library(name: str) -> None:
    assert within(loaded_by(f"pipeline.app.{name}"), HEAVY) == []


@pytest.mark.parametrize("name", ["dispatcher", "embedded", "web"])
def test_a_process_without_kafka_loads_neither_kafka_nor_faust(name: str) -> None:
    assert within(loaded_by(f"pipeline.app.{name}"), ("aiokafka", "faust", "kafka")) == []
