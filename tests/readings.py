"""Reads a file of texts that people have read, and compares.

    python -m tests.readings replies FILE [--format text|json|jsonl] [--half written|held-out]
    python -m tests.readings comments FILE [--format text|json|jsonl] [--half written|held-out]

A row of replies has `id`, `lang`, `question`, `text`, `expect`, `doubtful`; one of comments `id`, `lang`, `text`,
`labels`, `unsure`. The vocabularies were written from one half of the rows and not from the other: `--half` takes one
of them. The halves of a language are drawn with a fixed seed from its ids in their order.
"""

import argparse
import json
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.domain.answers.parsed_reply import ParsedReply
from pipeline.domain.answers.reading.comments import LABELS, CommentReader
from pipeline.domain.answers.reading.reader import PlainReader

SEED = 20261127
_FIELDS = ("arrival", "condition", "complete", "score", "control", "comment", "unclear")
_CONDITION_NAMES = {"wrong": "wrong_item"}  # ours -> that of the files
_LABEL_NAMES = {"quality": "product"}  # that of the files -> ours
_ARRIVALS = ("on_time", "late", "not_received")
_CONDITIONS = ("incomplete", "damaged", "wrong_item", "papers_missing")
_CONTROLS = ("stop", "start", "help")
Row = dict[str, Any]


class Compared(NamedTuple):
    """A row of replies, its reading in the form of the file, and the fields that differ where no doubt is noted."""

    row: Row
    reading: Row
    wrong: tuple[str, ...]


def rows_of(file: Path) -> list[Row]:
    """The rows of a file in the form of the reading sets (`.jsonl`), or in our compact form (`.tsv`).

    A line of the compact form has the language, the question, the expected reading in words, and the text with "\\n"
    for a line end. "late damaged 6 comment ?score" is late, damaged, a score of 6 and a comment; the score is doubtful.
    "complete" and "not_complete" are the answer to that half of the question; "-" is nothing at all.
    In a file of comments a line has the language, the labels and the text.
    """
    lines = file.read_bytes().decode("utf-8").split("\n")
    if file.suffix != ".tsv":
        return [json.loads(line) for line in lines if line.strip()]
    fields = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return [_row(f"{file.stem}:{number}", *one) for number, one in enumerate(fields, 1)]


def _row(row_id: str, language: str, *fields: str) -> Row:
    *question, reading, text = fields
    words = reading.split()
    doubtful = [word[1:] for word in words if word.startswith("?")]
    row: Row = {"id": row_id, "lang": language, "text": text.replace("\\n", "\n")}
    if not question:
        return {**row, "labels": [one for one in words if one != "-"], "unsure": bool(doubtful)}
    conditions = [word for word in words if word in _CONDITIONS]
    expected = {
        "arrival": next((word for word in words if word in _ARRIVALS), None),
        "condition": conditions,
        "complete": False if conditions or "not_complete" in words else True if "complete" in words else None,
        "score": next((int(word) for word in words if word.isdecimal()), None),
        "control": next((word for word in words if word in _CONTROLS), None),
        "comment": "comment" in words,
        "unclear": "unclear" in words,
    }
    return {**row, "question": question[0], "expect": expected, "doubtful": doubtful}


def half(rows: Sequence[Row], which: str | None) -> list[Row]:
    """The rows of one half, in the order of the file; all rows if `which` is None."""
    if which is None:
        return list(rows)
    by_language: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_language[row["lang"]].append(row)
    draw = random.Random(SEED)
    written: set[str] = set()
    for language in sorted(by_language):
        ids = sorted(row["id"] for row in by_language[language])
        draw.shuffle(ids)
        written.update(ids[: (len(ids) + 1) // 2])
    return [row for row in rows if (row["id"] in written) == (which == "written")]


def in_the_form_of_the_file(parsed: ParsedReply) -> Row:
    """A reading with the names that the files use."""
    return {
        "arrival": parsed.arrival,
        "condition": [_CONDITION_NAMES.get(one, one) for one in parsed.conditions],
        "complete": parsed.complete,
        "score": parsed.score,
        "control": parsed.control,
        "comment": parsed.comment is not None,
        "unclear": parsed.unclear,
    }


def compare(rows: Sequence[Row]) -> list[Compared]:
    """Read every row. The contact's language is not given to the reader: it may be wrong."""
    reader = PlainReader()
    compared = []
    for row in rows:
        reading = in_the_form_of_the_file(reader.read(row["text"], row["question"], None))
        expected = row.get("expect", {})
        wrong = [
            name
            for name in _FIELDS
            if name in expected and name not in row.get("doubtful", ()) and _differs(reading[name], expected[name])
        ]
        compared.append(Compared(row, reading, tuple(wrong)))
    return compared


def _differs(got: object, expected: object) -> bool:
    if isinstance(got, list) and isinstance(expected, list):
        return sorted(got) != sorted(expected)
    return got != expected


def figures(compared: Sequence[Compared]) -> dict[str, Any]:
    """Rows and right ones by language, and the numbers of opt-outs that were invented and that were missed."""
    languages: dict[str, dict[str, int]] = {}
    for one in compared:
        counts = languages.setdefault(one.row["lang"], {"n": 0, "right": 0})
        counts["n"] += 1
        counts["right"] += not one.wrong
    stops = [(one.reading["control"] == "stop", one.row["expect"].get("control") == "stop") for one in compared]
    return {
        "languages": languages,
        "false_stop": sum(got and not expected for got, expected in stops),
        "missed_stop": sum(expected and not got for got, expected in stops),
    }


def _print_replies(compared: Sequence[Compared]) -> None:
    found = figures(compared)
    print(f"{'language':<10}{'rows':>6}{'right':>7}{'share':>8}  wrong by field, doubtful fields left out")
    for language, counts in sorted(found["languages"].items()):
        fields = Counter(name for one in compared if one.row["lang"] == language for name in one.wrong)
        by_field = ", ".join(f"{name} {fields[name]}" for name in _FIELDS if fields[name])
        share = counts["right"] / counts["n"]
        print(f"{language:<10}{counts['n']:>6}{counts['right']:>7}{share:>8.1%}  {by_field}")
    print(f"\nfalse STOP {found['false_stop']}, missed STOP {found['missed_stop']}\n")
    print("expected -> read, where they differ (with doubtful fields)")
    for (name, expected, got), number in sorted(_confusion(compared).items(), key=lambda item: (-item[1], item[0])):
        print(f"{number:>5}  {name}: {expected} -> {got}")


def _confusion(compared: Sequence[Compared]) -> Counter[tuple[str, str, str]]:
    return Counter(
        (name, json.dumps(one.row["expect"][name]), json.dumps(one.reading[name]))
        for one in compared
        for name in _FIELDS
        if name in one.row["expect"] and _differs(one.reading[name], one.row["expect"][name])
    )


def labels(rows: Sequence[Row]) -> dict[str, Any]:
    """Precision and recall of each label over the rows that are sure; null where nothing was found or expected."""
    reader = CommentReader()
    counts: dict[str, Counter[str]] = {label: Counter() for label in LABELS}
    for row in rows:
        if row.get("unsure"):
            continue
        found = {one.label for one in reader.read(row["text"])}
        expected = {_LABEL_NAMES.get(label, label) for label in row["labels"]}
        for label in LABELS:
            counts[label][f"{label in found}/{label in expected}"] += 1
    return {"labels": {label: _precision_and_recall(counts[label]) for label in LABELS}}


def _precision_and_recall(counts: Mapping[str, int]) -> dict[str, float | int | None]:
    right, invented, missed = counts["True/True"], counts["True/False"], counts["False/True"]
    return {
        "precision": right / (right + invented) if right + invented else None,
        "recall": right / (right + missed) if right + missed else None,
        "n": right + missed,
    }


def _print_labels(found: Mapping[str, Any]) -> None:
    print(f"{'label':<14}{'n':>4}{'precision':>11}{'recall':>8}")
    for label, row in found["labels"].items():
        shares = ["-" if row[name] is None else f"{row[name]:.2f}" for name in ("precision", "recall")]
        print(f"{label:<14}{row['n']:>4}{shares[0]:>11}{shares[1]:>8}")


def _read_comments(rows: Sequence[Row], form: str) -> None:
    if form == "jsonl":
        reader = CommentReader()
        for row in rows:
            found = [{"label": one.label, "start": one.start, "end": one.end} for one in reader.read(row["text"])]
            print(json.dumps({"id": row["id"], "labels": found}, ensure_ascii=False))
    elif form == "json":
        print(json.dumps(labels(rows)))
    else:
        _print_labels(labels(rows))


def _read_replies(rows: Sequence[Row], form: str) -> None:
    compared = compare(rows)
    if form == "jsonl":
        for one in compared:
            print(json.dumps({"id": one.row["id"], **one.reading}, ensure_ascii=False))
    elif form == "json":
        print(json.dumps(figures(compared)))
    else:
        _print_replies(compared)


def main(arguments: Sequence[str]) -> None:
    """Run the command line above."""
    parser = argparse.ArgumentParser(prog="python -m tests.readings", description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=["replies", "comments"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--format", choices=["text", "json", "jsonl"], default="text")
    parser.add_argument("--half", choices=["written", "held-out"])
    chosen = parser.parse_args(arguments)
    rows = rows_of(chosen.file)
    read = _read_replies if chosen.kind == "replies" else _read_comments
    read(half(rows, chosen.half), chosen.format)


if __name__ == "__main__":
    main(sys.argv[1:])
