"""What monitors a worker: the dead-letter limit, the watchdog, the log lines."""

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping

import pytest
from kafka.errors import KafkaConnectionError

from pipeline.consumers.cluster.dead_letters import DeadLetterLimit, DeadLetterLimitExceeded
from pipeline.consumers.cluster.progress import Progress
from pipeline.consumers.cluster.watchdog import CHECK_SECONDS, EXIT_CODE, Watchdog
from pipeline.logs import JsonLines

PHONE = "+447700900123"


class Moving:
    """A clock in seconds."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def test_the_dead_letter_limit_needs_both_number_and_share() -> None:
    limit = DeadLetterLimit(10, 0.5, Moving())
    limit.record(10_000, 11)  # many, and few of so many
    DeadLetterLimit(10, 0.5, Moving()).record(10, 10)  # all, and few
    with pytest.raises(DeadLetterLimitExceeded, match=r"11 of the last minute's 20"):
        DeadLetterLimit(10, 0.5, Moving()).record(20, 11)


def test_dead_letters_older_than_a_minute_do_not_count() -> None:
    clock = Moving()
    limit = DeadLetterLimit(10, 0.5, clock)
    limit.record(10, 10)
    clock.at = 59.9
    with pytest.raises(DeadLetterLimitExceeded):
        limit.record(10, 10)
    limit = DeadLetterLimit(10, 0.5, clock)
    limit.record(10, 10)
    clock.at += 60
    limit.record(10, 10)


@pytest.fixture
def progress() -> Progress:
    made = Progress()
    made.assign(())
    return made


def watchdog(progress: Progress, lag: Callable[[], Mapping[str, int]], ended: list[int], looks: int = 4) -> Watchdog:
    return Watchdog(progress, lag, looks * CHECK_SECONDS, ended.append)


def test_lag_without_progress_makes_a_worker_unready_and_then_ends_it(progress: Progress) -> None:
    ended: list[int] = []
    dog = watchdog(progress, lambda: {"orders": 3}, ended)
    for _ in range(2):
        dog.check()
    assert not progress.problems()
    dog.check()
    assert "3 records wait" in progress.problems()[0]
    dog.check()
    assert not ended
    dog.check()
    assert ended == [EXIT_CODE]


@pytest.mark.parametrize("what", ["no lag", "progress", "no broker"])
def test_a_worker_continues_while_there_is_progress(progress: Progress, what: str) -> None:
    ended: list[int] = []

    def _lag() -> Mapping[str, int]:
        if what == "no broker":
            raise KafkaConnectionError
        return {"orders": 0 if what == "no lag" else 3}

    dog = watchdog(progress, _lag, ended)
    for _ in range(20):
        if what == "progress":
            progress.record_activity()
        dog.check()
    assert (ended, progress.problems()) == ([], [])


def test_a_worker_that_resumes_is_ready_again(progress: Progress) -> None:
    dog = watchdog(progress, lambda: {"orders": 3}, [])
    for _ in range(4):
        dog.check()
    assert progress.problems()
    progress.record_activity()
    dog.check()
    assert not progress.problems()


def test_a_worker_is_not_ready_before_it_has_joined_its_group() -> None:
    assert Progress().problems() == ["it has not joined its group yet"]


@pytest.fixture
def record() -> Iterator[logging.LogRecord]:
    try:
        raise ValueError(f"call {PHONE}")
    except ValueError:
        yield logging.LogRecord("pipeline.x", logging.ERROR, "x.py", 1, "%d failed", (3,), sys.exc_info())


def test_a_log_line_has_position_and_text_but_no_error_message(record: logging.LogRecord) -> None:
    record.event, record.phone = "SO-1:completed", PHONE
    line = json.loads(JsonLines("worker").format(record))
    assert (line["role"], line["level"], line["message"], line["event"]) == (
        "worker",
        "error",
        "3 failed",
        "SO-1:completed",
    )
    assert line["error"] == "ValueError"
    assert "+4477" not in json.dumps(line)
