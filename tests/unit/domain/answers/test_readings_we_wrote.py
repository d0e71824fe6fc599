"""The replies and comments in nine languages that we wrote ourselves: the readers stay at their level."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.readings import compare, figures, labels

_FOLDER = Path(__file__).parents[3] / "data" / "readings"
_LEAST_RIGHT = 0.95
_FEWEST = 120  # replies in a language


def _rows(*names: str) -> list[dict[str, Any]]:
    return [
        json.loads(line) for name in names for line in (_FOLDER / name).read_text(encoding="utf-8").splitlines() if line
    ]


@pytest.fixture(scope="module")
def replies() -> dict[str, Any]:
    return figures(compare(_rows("replies_written.jsonl", "replies_held_out.jsonl")))


@pytest.mark.parametrize("language", ["en", "fr", "es", "de", "pt", "ja", "zh", "ar", "fa"])
def test_replies_are_read_as_people_read_them(language: str, replies: dict[str, Any]) -> None:
    counts = replies["languages"][language]
    assert counts["n"] >= _FEWEST
    assert counts["right"] / counts["n"] >= _LEAST_RIGHT


def test_no_opt_out_is_invented_or_missed(replies: dict[str, Any]) -> None:
    assert (replies["false_stop"], replies["missed_stop"]) == (0, 0)


@pytest.mark.parametrize("label", ["not_received", "late", "incomplete", "damaged"])
def test_comments_are_labelled_as_people_label_them(label: str) -> None:
    found = labels(_rows("comments_written.jsonl", "comments_held_out.jsonl"))["labels"][label]
    assert found["precision"] >= 0.9
    assert found["recall"] >= 0.9
