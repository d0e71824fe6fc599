"""AsyncAPI's own parser accepts our description of events and topics without errors or warnings."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from docs import make_asyncapi
from tests.support.servers.npm import installed, unavailable

_CHECK = """
const { Parser } = require("@asyncapi/parser");
const text = require("fs").readFileSync(0, "utf8");
new Parser().parse(text).then(({ document, diagnostics }) => {
  const wrong = diagnostics.map(({ severity, message, path }) => ({ severity, message, path: path.join(".") }));
  console.log(JSON.stringify({ understood: document !== undefined, wrong }));
});
"""
WORST_OF_NO_MATTER = 2  # 0 error, 1 warning, 2 information, 3 hint


@pytest.fixture(scope="module")
def modules() -> Path:
    if shutil.which("node") is None:
        unavailable("no Node.js on this machine: apt install nodejs")
    return installed(Path(__file__).parent)


def verdict(modules: Path, text: str) -> tuple[bool, list[dict[str, Any]]]:
    """Whether the parser accepted the description, and its diagnostics."""
    done = subprocess.run(
        ["node", "-e", _CHECK], input=text, cwd=modules.parent, capture_output=True, text=True, check=True, timeout=120
    )
    found = json.loads(done.stdout)
    return found["understood"], [one for one in found["wrong"] if one["severity"] < WORST_OF_NO_MATTER]


def test_the_description_of_our_events_is_valid(modules: Path) -> None:
    assert verdict(modules, make_asyncapi.text()) == (True, [])


def test_an_invalid_description_is_detected(modules: Path) -> None:
    made = make_asyncapi.document()
    made["operations"]["send_truth"]["channel"]["$ref"] = "#/channels/nowhere"
    understood, wrong = verdict(modules, json.dumps(made))
    assert not understood
    assert any("operations.send_truth" in one["path"] for one in wrong)
