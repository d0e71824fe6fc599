"""Fuzzes the readers of replies and comments: no exception, no text slower than 50 ms.

    python -m tests.reliability.readers.fuzz_readers [SECONDS]

By default ten minutes. The corpus begins with the phrases of the vocabularies; inputs are bytes that are read as UTF-8.
A text that is too slow is read again before it counts, because a busy machine may have interrupted it.
"""

import contextlib
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(include=["pipeline.domain.answers"]):
    from pipeline.domain.answers.parsed_reply import MAX_TEXT
    from pipeline.domain.answers.reading.comments import CommentReader
    from pipeline.domain.answers.reading.lexicon import lexicon
    from pipeline.domain.answers.reading.reader import PlainReader

SECONDS: Final = 600
MOST_SECONDS_A_TEXT: Final = 0.05
_QUESTIONS: Final = ("arrival", "score", "comment")
_ATTEMPTS = 3  # readings of a slow text; the fastest counts
_SEEDS = 300
_replies, _comments = PlainReader(), CommentReader()


def read_everything(text: str) -> None:
    """Read a text in every way and check what any reading must fulfil."""
    for question in _QUESTIONS:
        parsed = _replies.read(text, question, None)
        assert parsed.score is None or 0 <= parsed.score <= 10
        assert parsed.comment is None or 0 < len(parsed.comment) <= MAX_TEXT
        assert all(0 <= span.start < span.end <= len(text) for span in parsed.spans)
        _seen[0] += 1
    for label in _comments.read(text):
        assert 0 <= label.start < label.end <= len(text)


def check(text: str) -> None:
    """`read_everything`, and the time of its slowest reading. Raises AssertionError."""
    spent = min(_seconds(text) for _ in range(1))
    if spent > MOST_SECONDS_A_TEXT:
        spent = min(_seconds(text) for _ in range(_ATTEMPTS))
    assert spent <= MOST_SECONDS_A_TEXT, f"{spent:.3f} seconds for {text[:200]!r}"
    _slowest[0] = max(_slowest[0], spent)


_seen = [0]
_slowest = [0.0]


def _seconds(text: str) -> float:
    """The CPU time of one of the four readings of a text, on average."""
    started = time.process_time()
    read_everything(text)
    return (time.process_time() - started) / (len(_QUESTIONS) + 1)


def seeds(number: int) -> list[str]:
    """Texts made of the words of the vocabularies, numbers and signs; always the same."""
    draw = random.Random(1)
    words = sorted(lexicon().words)
    signs = [*" ,.;!?\n-/:()\"'>“”«»「」", "\u200f", "👍", "1", "2", "3", "4", "9/10", "8,5", "①", "٢"]
    return [
        "".join(draw.choice(words) + " " + draw.choice(signs) for _ in range(draw.randint(1, 60)))
        for _ in range(number)
    ]


def _one_input(data: bytes) -> None:
    check(data.decode("utf-8", "replace"))


def main(arguments: Sequence[str]) -> None:
    """Fuzz for so many seconds."""
    seconds = int(arguments[0]) if arguments else SECONDS
    lexicon()
    with tempfile.TemporaryDirectory() as folder:
        for number, text in enumerate(seeds(_SEEDS)):
            Path(folder, str(number)).write_text(text, encoding="utf-8")
        options: list[Any] = [sys.argv[0], folder, f"-max_total_time={seconds}", "-max_len=6400", "-timeout=10"]
        atheris.Setup(options, _one_input)
        with contextlib.suppress(SystemExit):
            atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
