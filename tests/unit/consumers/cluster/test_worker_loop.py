"""A worker's loop on a fake group: what is committed when, and what is left unprocessed."""

import asyncio
from collections import deque
from collections.abc import Sequence

import pytest
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaConnectionError

from pipeline.consumers.cluster import worker_loop
from pipeline.consumers.cluster.dead_letters import DeadLetterLimitExceeded
from pipeline.consumers.cluster.worker_loop import PoisonRecords
from pipeline.domain.events.contract import BadEvent
from tests.support.running.dead_letters import VAULT, opened
from tests.support.running.group import UNAVAILABLE, Group, joined, joined_for_good, record, until, working


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAX_RETRY_SECONDS", "TICK_SECONDS", "SKIP_SECONDS"):
        monkeypatch.setattr(worker_loop, name, 0.01)


def test_offsets_are_committed_after_each_batch_one_commit_at_a_time() -> None:
    group = Group([record(n) for n in range(9)], slow=None)
    seen: list[int] = []

    def _process(records: Sequence[ConsumerRecord]) -> PoisonRecords:
        seen.extend(one.offset for one in records)
        return []

    async def _scenario(_: asyncio.Event) -> None:
        group.slow = asyncio.Event()  # the broker is slow: processing does not wait for it
        await joined(group)
        await until(lambda: len(seen) == 9)
        assert not group.committed
        group.slow.set()
        await until(lambda: group.committed[-1:] == [9])

    working(group, _process, _scenario)
    assert seen == list(range(9))
    assert group.committed in ([2, 9], [2, 8, 9])  # the last batch may end after the first commit


def test_while_the_database_is_unavailable_a_batch_is_retried_and_the_worker_is_not_ready() -> None:
    group, tries = Group([record(0)]), list[int]()

    def _process(records: Sequence[ConsumerRecord]) -> PoisonRecords:
        tries.append(len(records))
        if len(tries) < 4:
            raise UNAVAILABLE
        return []

    async def _scenario(_: asyncio.Event) -> None:
        await joined(group)
        await until(lambda: group.committed == [1])

    progress = working(group, _process, _scenario)
    assert len(tries) == 4
    assert not progress.problems()


def test_a_batch_that_cannot_be_completed_is_left_unprocessed_in_a_rebalance() -> None:
    group, unavailable = Group([record(0), record(1)]), asyncio.Event()
    unavailable.set()
    done: list[int] = []

    def _process(records: Sequence[ConsumerRecord]) -> PoisonRecords:
        if unavailable.is_set():
            raise UNAVAILABLE
        done.extend(one.offset for one in records)
        return []

    async def _scenario(_: asyncio.Event) -> None:
        await joined(group)
        await until(lambda: group.next_offset == 2)
        await group.rebalance()
        assert not group.committed
        await until(lambda: group.next_offset == 2)  # the unprocessed records were fetched again
        unavailable.clear()
        await until(lambda: group.committed == [2])

    working(group, _process, _scenario)
    assert done == [0, 1]


def test_a_stopped_worker_completes_its_batch_and_commits_it() -> None:
    group, stopped = Group([record(n) for n in range(4)]), list[asyncio.Event]()

    def _process(records: Sequence[ConsumerRecord]) -> PoisonRecords:
        stopped[0].set()  # in the middle of it
        return []

    async def _scenario(stopping: asyncio.Event) -> None:
        stopped.append(stopping)
        await joined_for_good(group)

    working(group, _process, _scenario)
    assert group.log == ["committed 2", "stopped", "stopped"]


def test_a_stopped_worker_without_a_database_leaves_its_batch_unprocessed() -> None:
    group = Group([record(0)])

    def _process(records: Sequence[ConsumerRecord]) -> PoisonRecords:
        raise UNAVAILABLE

    async def _scenario(stopping: asyncio.Event) -> None:
        await joined(group)
        await until(lambda: group.next_offset == 1)
        stopping.set()

    working(group, _process, _scenario)
    assert group.log == ["stopped", "stopped"]


def test_a_dead_letter_is_published_before_its_offset_is_committed() -> None:
    group = Group([record(0, b"{"), record(1)])

    async def _scenario(_: asyncio.Event) -> None:
        await joined(group)
        await until(lambda: bool(group.committed))

    working(group, lambda records: [(records[0], BadEvent("cut off"))], _scenario)
    assert group.log[:2] == ["dead letter", "committed 2"]
    [(topic, sealed)] = group.dead_letters
    assert (topic, opened(VAULT, sealed).value) == ("dead-letters", b"{")
    assert sealed != b"{"


def test_too_many_dead_letters_end_the_loop_with_nothing_published_and_nothing_committed() -> None:
    group = Group([record(0), record(1)])
    with pytest.raises(DeadLetterLimitExceeded):
        working(
            group, lambda records: [(one, BadEvent("cut off")) for one in records], lambda _: joined_for_good(group), 1
        )
    assert group.log == ["stopped", "stopped"]


def test_a_bug_ends_the_loop_with_nothing_committed() -> None:
    group = Group([record(0)])

    def _process(records: Sequence[ConsumerRecord]) -> PoisonRecords:
        raise KeyError("depot")

    with pytest.raises(KeyError):
        working(group, _process, lambda _: joined_for_good(group))
    assert group.log == ["stopped", "stopped"]


def test_a_failed_commit_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.consumers.cluster.offsets._RETRY_SECONDS", 0)
    group = Group([record(0)], fails=deque([KafkaConnectionError()]))

    async def _scenario(_: asyncio.Event) -> None:
        await joined(group)
        await until(lambda: group.committed == [1])

    working(group, lambda _: [], _scenario)


def test_offsets_without_a_record_are_committed_when_the_worker_is_idle() -> None:
    group = Group()

    async def _scenario(_: asyncio.Event) -> None:
        await joined(group)
        group.next_offset = 7  # as after the end of a transaction
        await until(lambda: group.committed[-1:] == [7])

    working(group, lambda _: [], _scenario)
