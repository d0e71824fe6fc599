"""What a worker is watched by: the limit of poison, the watchdog, its log lines."""

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping

import pytest
from kafka.errors import KafkaConnectionError

from pipeline.consumers.cluster.poison import Limit, TooMany
from pipeline.consumers.cluster.progress import Progress
from pipeline.consumers.cluster.watchdog import EXIT_CODE, LOOK_SECONDS, Watchdog
from pipeline.logs import JsonLines

PHONE = "+447700900123"


class Moving:
    """A clock in seconds."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def test_poison_is_too_much_only_by_number_and_by_share_together() -> None:
    limit = Limit(10, 0.5, Moving())
    limit.note(10_000, 11)  # many, and few of so many
    Limit(10, 0.5, Moving()).note(10, 10)  # all, and few
    with pytest.raises(TooMany, match=r"11 of the last minute's 20"):
        Limit(10, 0.5, Moving()).note(20, 11)


def test_poison_of_more_than_a_minute_ago_counts_no_more() -> None:
    clock = Moving()
    limit = Limit(10, 0.5, clock)
    limit.note(10, 10)
    clock.at = 59.9
    with pytest.raises(TooMany):
        limit.note(10, 10)
    limit = Limit(10, 0.5, clock)
    limit.note(10, 10)
    clock.at += 60
    limit.note(10, 10)


@pytest.fixture
def progress() -> Progress:
    made = Progress()
    made.assign(())
    return made


def watchdog(progress: Progress, lag: Callable[[], Mapping[str, int]], ended: list[int], looks: int = 4) -> Watchdog:
    return Watchdog(progress, lag, looks * LOOK_SECONDS, ended.append)


def test_lag_without_progress_makes_a_worker_unready_and_then_ends_it(progress: Progress) -> None:
    ended: list[int] = []
    dog = watchdog(progress, lambda: {"orders": 3}, ended)
    for _ in range(2):
        dog.look()
    assert not progress.troubles()
    dog.look()
    assert "3 records wait" in progress.troubles()[0]
    dog.look()
    assert not ended
    dog.look()
    assert ended == [EXIT_CODE]


@pytest.mark.parametrize("what", ["no lag", "progress", "no broker"])
def test_a_worker_goes_on_while_there_is(progress: Progress, what: str) -> None:
    ended: list[int] = []

    def _lag() -> Mapping[str, int]:
        if what == "no broker":
            raise KafkaConnectionError
        return {"orders": 0 if what == "no lag" else 3}

    dog = watchdog(progress, _lag, ended)
    for _ in range(20):
        if what == "progress":
            progress.beat()
        dog.look()
    assert (ended, progress.troubles()) == ([], [])


def test_a_worker_that_goes_on_after_a_standstill_is_ready_again(progress: Progress) -> None:
    dog = watchdog(progress, lambda: {"orders": 3}, [])
    for _ in range(4):
        dog.look()
    assert progress.troubles()
    progress.beat()
    dog.look()
    assert not progress.troubles()


def test_a_worker_is_not_ready_before_it_has_joined_its_group() -> None:
    assert Progress().troubles() == ["it has not joined its group yet"]


@pytest.fixture
def record() -> Iterator[logging.LogRecord]:
    try:
        raise ValueError(f"call {PHONE}")
    except ValueError:
        yield logging.LogRecord("pipeline.x", logging.ERROR, "x.py", 1, "%d failed", (3,), sys.exc_info())


def test_a_log_line_says_where_and_what_and_no_message_of_an_error(record: logging.LogRecord) -> None:
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
