"""A worker's loop on a group of its own making: what is committed when, and what is handed back."""

import asyncio
from collections import deque
from collections.abc import Sequence

import pytest
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaConnectionError

from pipeline.consumers.cluster import worker_loop
from pipeline.consumers.cluster.poison import TooMany
from pipeline.consumers.cluster.worker_loop import Poison
from pipeline.domain.events.contract import BadEvent
from tests.support.running.group import AWAY, Group, joined, joined_for_good, record, until, working


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LONGEST_SECONDS", "TICK_SECONDS", "TIDY_SECONDS"):
        monkeypatch.setattr(worker_loop, name, 0.01)


def test_offsets_are_committed_behind_each_batch_and_one_commit_at_a_time() -> None:
    group = Group([record(n) for n in range(9)], slow=None)
    seen: list[int] = []

    def _process(records: Sequence[ConsumerRecord]) -> Poison:
        seen.extend(one.offset for one in records)
        return []

    async def _scenario(_: asyncio.Event) -> None:
        group.slow = asyncio.Event()  # the broker is slow: the work does not wait for it
        await joined(group)
        await until(lambda: len(seen) == 9)
        assert not group.committed
        group.slow.set()
        await until(lambda: group.committed[-1:] == [9])

    working(group, _process, _scenario)
    assert seen == list(range(9))
    assert group.committed == [2, 9]


def test_while_the_database_is_away_a_batch_is_tried_again_and_the_worker_is_not_ready() -> None:
    group, tries = Group([record(0)]), list[int]()

    def _process(records: Sequence[ConsumerRecord]) -> Poison:
        tries.append(len(records))
        if len(tries) < 4:
            raise AWAY
        return []

    async def _scenario(_: asyncio.Event) -> None:
        await joined(group)
        await until(lambda: group.committed == [1])

    progress = working(group, _process, _scenario)
    assert len(tries) == 4
    assert not progress.troubles()


def test_a_batch_that_cannot_be_finished_is_handed_back_when_the_partitions_are_shared_out_anew() -> None:
    group, away = Group([record(0), record(1)]), asyncio.Event()
    away.set()
    done: list[int] = []

    def _process(records: Sequence[ConsumerRecord]) -> Poison:
        if away.is_set():
            raise AWAY
        done.extend(one.offset for one in records)
        return []

    async def _scenario(_: asyncio.Event) -> None:
        await joined(group)
        await until(lambda: group.place == 2)
        await group.share_out()
        assert not group.committed
        await until(lambda: group.place == 2)  # what was handed back came again
        away.clear()
        await until(lambda: group.committed == [2])

    working(group, _process, _scenario)
    assert done == [0, 1]


def test_told_to_stop_it_finishes_its_batch_and_commits_it() -> None:
    group, stopped = Group([record(n) for n in range(4)]), list[asyncio.Event]()

    def _process(records: Sequence[ConsumerRecord]) -> Poison:
        stopped[0].set()  # in the middle of it
        return []

    async def _scenario(stopping: asyncio.Event) -> None:
        stopped.append(stopping)
        await joined_for_good(group)

    working(group, _process, _scenario)
    assert group.told == ["committed 2", "stopped", "stopped"]


def test_told_to_stop_while_the_database_is_away_it_hands_its_batch_back() -> None:
    group = Group([record(0)])

    def _process(records: Sequence[ConsumerRecord]) -> Poison:
        raise AWAY

    async def _scenario(stopping: asyncio.Event) -> None:
        await joined(group)
        await until(lambda: group.place == 1)
        stopping.set()

    working(group, _process, _scenario)
    assert group.told == ["stopped", "stopped"]


def test_poison_is_told_before_its_offset_is_committed() -> None:
    group = Group([record(0, b"{"), record(1)])

    async def _scenario(_: asyncio.Event) -> None:
        await joined(group)
        await until(lambda: bool(group.committed))

    working(group, lambda records: [(records[0], BadEvent("cut off"))], _scenario)
    assert group.told[:2] == ["letter", "committed 2"]
    assert group.letters == [("dead-letters", b"{")]


def test_too_much_poison_ends_the_loop_with_nothing_told_and_nothing_committed() -> None:
    group = Group([record(0), record(1)])
    with pytest.raises(TooMany):
        working(
            group, lambda records: [(one, BadEvent("cut off")) for one in records], lambda _: joined_for_good(group), 1
        )
    assert group.told == ["stopped", "stopped"]


def test_a_bug_ends_the_loop_with_nothing_committed() -> None:
    group = Group([record(0)])

    def _process(records: Sequence[ConsumerRecord]) -> Poison:
        raise KeyError("depot")

    with pytest.raises(KeyError):
        working(group, _process, lambda _: joined_for_good(group))
    assert group.told == ["stopped", "stopped"]


def test_a_commit_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.consumers.cluster.offsets._AGAIN_SECONDS", 0)
    group = Group([record(0)], fails=deque([KafkaConnectionError()]))

    async def _scenario(_: asyncio.Event) -> None:
        await joined(group)
        await until(lambda: group.committed == [1])

    working(group, lambda _: [], _scenario)


def test_what_passed_without_a_record_is_committed_when_there_is_nothing_else_to_do() -> None:
    group = Group()

    async def _scenario(_: asyncio.Event) -> None:
        await joined(group)
        group.place = 7  # as behind the end of a transaction
        await until(lambda: group.committed[-1:] == [7])

    working(group, lambda _: [], _scenario)
