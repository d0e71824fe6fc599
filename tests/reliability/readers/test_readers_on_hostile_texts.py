"""The readers on hostile texts: a short run of the fuzzer, and the time of the slowest kinds of text."""

import subprocess
import sys

import pytest

from pipeline.domain.answers.reading.comments import CommentReader
from pipeline.domain.answers.reading.reader import PlainReader
from tests.reliability.readers.reader_times import MOST, hostile_texts, seconds_of
from tests.support.limits import PATIENCE

SECONDS = 3


def test_a_short_run_of_the_fuzzer_finds_no_crash_and_no_slow_text() -> None:
    pytest.importorskip("atheris")
    command = [sys.executable, "-m", "tests.reliability.readers.fuzz_readers", str(SECONDS)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS + PATIENCE, check=False)
    assert run.returncode == 0, run.stderr[-2_000:]
    assert "Done" in run.stderr


def test_no_hostile_text_takes_longer_than_its_limit() -> None:
    replies, comments = PlainReader(), CommentReader()
    replies.prepare()
    for text in hostile_texts()[::8]:
        assert seconds_of(lambda text=text: replies.read(text, "arrival", None)) < MOST, text[:60]  # type: ignore[misc]
        assert seconds_of(lambda text=text: comments.read(text)) < MOST, text[:60]  # type: ignore[misc]
