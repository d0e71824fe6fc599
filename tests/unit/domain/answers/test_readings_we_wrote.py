"""The replies and comments in nine languages that we wrote ourselves: the readers stay at their level."""

from pathlib import Path
from typing import Any

import pytest

from tests.readings import compare, figures, labels, rows_of

_FOLDER = Path(__file__).parents[3] / "data" / "readings"
_LEAST_RIGHT = 0.95
_FEWEST = 120  # replies in a language


def _rows(kind: str) -> list[dict[str, Any]]:
    return [row for file in sorted(_FOLDER.glob(f"{kind}_*.tsv")) for row in rows_of(file)]


@pytest.fixture(scope="module")
def replies() -> dict[str, Any]:
    return figures(compare(_rows("replies")))


@pytest.mark.parametrize("language", ["en", "fr", "es", "de", "pt", "ja", "zh", "ar", "fa"])
def test_replies_are_read_as_people_read_them(language: str, replies: dict[str, Any]) -> None:
    counts = replies["languages"][language]
    assert counts["n"] >= _FEWEST
    assert counts["right"] / counts["n"] >= _LEAST_RIGHT


def test_no_opt_out_is_invented_or_missed(replies: dict[str, Any]) -> None:
    assert (replies["false_stop"], replies["missed_stop"]) == (0, 0)


@pytest.mark.parametrize("label", ["not_received", "late", "incomplete", "damaged"])
def test_comments_are_labelled_as_people_label_them(label: str) -> None:
    found = labels(_rows("comments"))["labels"][label]
    assert found["precision"] >= 0.9
    assert found["recall"] >= 0.9
