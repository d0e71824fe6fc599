"""The product reproduces the reference figures, and the checker detects when it does not."""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests import reference
from tests.support.paths import ROOT

FILE = Path(
    os.environ.get("UNVARNISHED_REFERENCE") or ROOT.parent / "shared" / "reference" / "divergence_reference.json"
)


@pytest.fixture
def document() -> dict[str, Any]:
    if not FILE.is_file():
        pytest.skip(f"no reference figures at {FILE}; UNVARNISHED_REFERENCE may name their file")
    return msgspec.json.decode(FILE.read_bytes(), type=dict[str, Any])


def test_every_reference_figure_is_reproduced(document: dict[str, Any]) -> None:
    outcome = reference.check(document)

    assert [str(mismatch) for mismatch in outcome.mismatches] == []
    assert outcome.checked > len(document["cases"])


def _expectations(document: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Every (container, key) of the file that contains an expected number or word."""
    found: list[tuple[Any, Any]] = []

    def walk(node: Any, key: Any) -> None:
        value = node[key]
        if isinstance(value, dict):
            for name in value:
                walk(value, name)
        elif isinstance(value, list):
            for i in range(len(value)):
                walk(value, i)
        elif value is not None:
            found.append((node, key))

    for case in document["cases"]:
        walk(case, "expect_at" if case["kind"] == "msr_trajectory" else "expect")
    for rows in document["formulas"].values():
        for row in rows:
            if isinstance(row, dict):
                walk(row, "expect")
            else:
                found.append((row, -1))
    # These select the figure, so altering one selects another figure.
    return [(node, key) for node, key in found if key not in {"n", "early_pod_tolerance_h"}]


def test_each_expectation_that_is_altered_is_reported(document: dict[str, Any]) -> None:
    unnoticed = []
    for node, key in _expectations(document):
        original = node[key]
        if isinstance(original, bool):
            node[key] = not original
        elif isinstance(original, int):
            node[key] = original + 1
        elif isinstance(original, float):
            node[key] = original * 1.001 + 1e-5
        else:
            node[key] = f"not {original}"
        # Only the altered part: checking the whole file 500 times would need minutes.
        cases = [case for case in document["cases"] if _contains(case, node)]
        formulas = {name: [row for row in rows if _contains(row, node)] for name, rows in document["formulas"].items()}
        if not reference.check({"cases": cases, "formulas": formulas}).mismatches:
            unnoticed.append((key, original))
        node[key] = original

    assert unnoticed == []


def _contains(tree: Any, node: Any) -> bool:
    if tree is node:
        return True
    inner = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return any(_contains(child, node) for child in inner if isinstance(child, dict | list))


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"cases": [{"id": "z1", "kind": "horoscope", "expect": {}}]}, "horoscope"),
        ({"formulas": {"phase_of_moon": [[1, 2]]}}, "phase_of_moon"),
        ({"cases": [{"id": "z2", "kind": "resolver"}]}, "KeyError"),
        ({"conventions": {"bets": [0.5]}}, "bets"),
        (
            {
                "cases": [
                    {
                        "id": "z3",
                        "kind": "msr_trajectory",
                        "delta0": 0.05,
                        "pairs_day_x": [[0, 1]],
                        "expect_at": [{"n": 1, "karma": 3}],
                    }
                ]
            },
            "karma",
        ),
    ],
)
def test_an_expectation_unknown_to_the_checker_is_a_mismatch(document: dict[str, Any], named: str) -> None:
    (mismatch,) = reference.check(document).mismatches

    assert named in str(mismatch)


def test_the_command_line_prints_the_number_of_checked_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text('{"formulas": {"threshold": [[200, 1.0, 73000.0]]}}')
    bad.write_text('{"formulas": {"threshold": [[200, 1.0, 73000.0], [200, 1.0, 72999.0]]}}')

    assert reference.main([str(good)]) == 0
    assert "1 figures checked, 0 mismatches" in capsys.readouterr().out
    assert reference.main([str(bad)]) == 1
    printed = capsys.readouterr().out
    assert "threshold[1]: expect: expected 72999.0, got 73000.0 (tolerance 1e-12)" in printed
    assert "2 figures checked, 1 mismatches" in printed
    assert reference.main([]) == 2
