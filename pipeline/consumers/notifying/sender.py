"""Sends notices of incidents to receivers, at least once each, without ever delaying the pipeline.

One thread with an event loop. Each receiver has its own connections and its own limit of simultaneous attempts, so one
that hangs delays no other. The order of the steps is that of the dispatcher: claimed with a lease and committed, sent,
recorded. After a crash the lease ends and another attempt follows, with the same key.
"""

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from pipeline import metrics
from pipeline.consumers.notifying import stages
from pipeline.consumers.notifying.lane import Lane
from pipeline.consumers.notifying.stages import Group
from pipeline.consumers.runtime import failpoints
from pipeline.consumers.runtime.background import Background
from pipeline.consumers.runtime.retries import is_transient
from pipeline.notifiers.receivers.port import ATTEMPT_SECONDS, Delivered, Failed, Receiver, Result
from pipeline.notifiers.receivers.registry import Receivers
from pipeline.store.db.engine import reading
from pipeline.store.notices import deliveries, notices
from pipeline.store.notices.deliveries import Delivery, Outcome
from pipeline.store.store import Store

LEASE = timedelta(seconds=60)  # more than twice the longest attempt
_POLL_SECONDS = 0.5  # the latest that a notice is noticed without a call of `wake`
_RETRY_SECONDS = 1.0  # after the database was unavailable
_COUNT_SECONDS = 15.0  # between two counts of what waits
_ROUTED_AT_ONCE = 500
_REFRESHED_AT_ONCE = 500
_REFRESH_EVERY = timedelta(minutes=1)
_log = logging.getLogger(__name__)
T = TypeVar("T")


class NoticeSender(Background):
    """Routes notices and sends them. Several may run, in one process or in many."""

    def __init__(
        self,
        store: Store,
        receivers: Receivers,
        now: Callable[[], datetime],
        *,
        concurrency: int = 8,
        lease: timedelta = LEASE,
    ) -> None:
        super().__init__("notice sender")
        self._store = store
        self._receivers = receivers
        self._now = now
        self._lease = lease
        self._owner = f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"
        self._lanes = {name: Lane(concurrency) for name in receivers.by_name}
        self._tasks = set[asyncio.Task[None]]()
        self._results = list[Outcome]()
        self._unsent = list[Delivery]()  # claimed, and not attempted
        self._refreshing = set[str]()
        self._introduced = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._signal: asyncio.Event
        self._count_at = 0.0
        self._database = ThreadPoolExecutor(1, thread_name_prefix="notices")

    def wake(self) -> None:
        """Look for new notices at once."""
        with suppress(AttributeError, RuntimeError):  # it has not started yet, or it has ended
            self._loop.call_soon_threadsafe(self._signal.set)  # type: ignore[union-attr]

    def stop(self) -> None:
        """Finish the attempts in flight, begin no more, and end."""
        self._stopping = True
        self.wake()
        super().stop()
        self._database.shutdown()

    def _work(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        stages.create_series(self._receivers.by_name)
        self._signal = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        try:
            while not self._stopping:
                await self._cycle()
            await self._finish()
        finally:
            for receiver in self._receivers.by_name.values():
                await receiver.close()

    async def _cycle(self) -> None:
        """Record what came back, route, claim and begin; then wait for the next of it."""
        self._signal.clear()
        done = 0
        try:
            if not self._introduced:
                await self._in_database(partial(self._introduce, self._now()))
                self._introduced = True
            done = await self._step()
        except Exception as error:
            if not is_transient(error):
                raise
            _log.error("database unavailable (%s); outcomes are kept in memory", type(error).__name__)
            await asyncio.sleep(_RETRY_SECONDS)
        if not done:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._signal.wait(), _POLL_SECONDS)

    async def _step(self) -> int:
        now = self._now()
        done = await self._record()
        unrouted, is_due = await self._in_database(partial(self._what_is_due, now))
        if unrouted:
            done += await self._in_database(partial(self._route, now))
        if unrouted or is_due:
            for receiver in self._receivers.by_name.values():
                done += await self._begin(receiver, now)
        await self._count(now)
        return done

    def _what_is_due(self, now: datetime) -> tuple[bool, bool]:
        """Whether there are new notices, and due ones that may be claimed. Reads only: writers need not wait."""
        with reading(self._store.engine) as connection:
            unrouted = notices.any_unrouted(connection)
            open_for = [name for name, lane in self._lanes.items() if lane.room()]
            wake_at = deliveries.next_wake(connection, open_for) if open_for else None
        return unrouted, wake_at is not None and wake_at <= now

    def _introduce(self, now: datetime) -> None:
        with self._store.engine.begin() as connection:
            stages.introduce(connection, self._receivers, now)

    def _route(self, now: datetime) -> int:
        with self._store.engine.begin() as connection:
            return stages.route(connection, self._receivers, now, _ROUTED_AT_ONCE)

    async def _begin(self, receiver: Receiver, now: datetime) -> int:
        """Claim what is due for one receiver, and begin the attempts."""
        if receiver.traits.keeps_state and receiver.name not in self._refreshing:
            self._start(self._refresh(receiver, now))
        lane = self._lanes[receiver.name]
        room = lane.room()
        if not room:
            return 0
        started = time.monotonic()  # before the lease begins: the process may be suspended anywhere after this line
        claimed = await self._in_database(partial(self._claim, receiver, now, room))
        if not claimed:
            return 0
        failpoints.reached("after_claim_commit")
        groups, outcomes = stages.deduplicate(receiver, claimed)
        self._results += outcomes
        lane.claim(sum(map(len, groups)))
        for attempt in stages.attempts_of(receiver, groups):
            self._start(self._attempt(receiver, attempt, started))
        return len(claimed)

    def _claim(self, receiver: Receiver, now: datetime, limit: int) -> list[Delivery]:
        with self._store.engine.begin() as connection:
            return deliveries.claim(connection, receiver.name, receiver.traits, self._owner, now, self._lease, limit)

    async def _attempt(self, receiver: Receiver, groups: Sequence[Group], started: float) -> None:
        """Send as soon as the receiver has a free attempt. What waited for too long is released instead."""
        lane, results = self._lanes[receiver.name], list[Result]()
        async with lane.free:
            # In the second half of the lease others could have it already: this process may have been suspended.
            if not self._stopping and time.monotonic() - started < self._lease.total_seconds() / 2:
                results = await self._deliver(receiver, groups)
        if results:
            now = self._now()
            for group, result in zip(groups, results, strict=True):
                self._results += stages.outcomes_of(group, result, now)
        else:
            self._unsent += [delivery for group in groups for delivery in group]
        delivered = bool(results) and all(isinstance(result, Delivered) for result in results)
        lane.finish(sum(map(len, groups)), delivered)
        self._signal.set()

    async def _deliver(self, receiver: Receiver, groups: Sequence[Group]) -> list[Result]:
        failpoints.reached("before_post")
        prepared = [stages.prepare(group, self._receivers.routes, self._now()) for group in groups]
        results = await _guarded(receiver, stages.send(receiver, prepared), len(prepared))
        failpoints.reached("after_post_before_record")
        return results

    async def _refresh(self, receiver: Receiver, now: datetime) -> None:
        """Tell the state of incidents again that is due, unless it is over."""
        self._refreshing.add(receiver.name)
        try:
            due = await self._in_database(partial(self._claim_refresh, receiver, now))
            going_on = [memory for _, memory in due if receiver.refreshes(memory, now)]
            if going_on:
                [result] = await _guarded(receiver, _only(receiver.refresh(going_on, now)), 1)
                metrics.NOTICES.labels(receiver.name, "refreshed" if isinstance(result, Delivered) else "retried").inc()
        except Exception as error:
            if not is_transient(error):
                raise
        finally:
            self._refreshing.discard(receiver.name)

    def _claim_refresh(self, receiver: Receiver, now: datetime) -> list[tuple[str, str]]:
        with self._store.engine.begin() as connection:
            due = deliveries.claim_refresh(connection, receiver.name, now, _REFRESH_EVERY, _REFRESHED_AT_ONCE)
            over = [incident for incident, memory in due if not receiver.refreshes(memory, now)]
            deliveries.end_refresh(connection, receiver.name, over)
        return due

    async def _record(self) -> int:
        """Record all outcomes in one transaction. If it fails, they are kept for the next step."""
        outcomes, unsent = list(self._results), list(self._unsent)
        if not outcomes and not unsent:
            return 0
        now = self._now()
        await self._in_database(partial(self._write, outcomes, unsent, now))
        del self._results[: len(outcomes)]
        del self._unsent[: len(unsent)]
        failpoints.reached("after_record")
        stages.count(outcomes, now)
        return len(outcomes) + len(unsent)

    def _write(self, outcomes: Sequence[Outcome], unsent: Sequence[Delivery], now: datetime) -> None:
        with self._store.engine.begin() as connection:
            deliveries.record(connection, outcomes, self._owner, now)
            deliveries.release(connection, unsent, self._owner, now)

    async def _finish(self) -> None:
        """Wait for the attempts in flight, which have a limit, and record them."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        with suppress(Exception):  # the lease of what is not recorded ends, and another attempt follows
            await self._record()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.critical("a notice was not sent: %s", type(task.exception()).__name__)

    async def _in_database(self, work: Callable[[], T]) -> T:
        """Run in the one thread that uses the database, so that a slow database stops no attempt."""
        return await asyncio.get_running_loop().run_in_executor(self._database, work)

    async def _count(self, now: datetime) -> None:
        if time.monotonic() < self._count_at:
            return
        self._count_at = time.monotonic() + _COUNT_SECONDS
        counted = await self._in_database(self._backlogs)
        for name in self._receivers.by_name:
            backlog = counted.get(name, deliveries.Backlog(0, None, 0))
            overdue = (now - backlog.oldest).total_seconds() if backlog.oldest is not None else 0
            metrics.NOTICES_WAITING.labels(name).set(backlog.pending)
            metrics.NOTICES_OLDEST.labels(name).set(max(overdue, 0))
            metrics.NOTICES_DEAD.labels(name).set(backlog.dead)

    def _backlogs(self) -> dict[str, deliveries.Backlog]:
        with reading(self._store.engine) as connection:
            return deliveries.backlogs(connection)


async def _only(attempt: Coroutine[Any, Any, Result]) -> Sequence[Result]:
    return [await attempt]


async def _guarded(receiver: Receiver, attempt: Coroutine[Any, Any, Sequence[Result]], expected: int) -> list[Result]:
    """The results of an attempt. Takes no longer than an attempt may; a bug of the receiver is a failure of all."""
    try:
        async with asyncio.timeout(ATTEMPT_SECONDS):
            return list(await attempt)
    except TimeoutError:
        return [Failed(f"no response within {ATTEMPT_SECONDS:.0f} seconds")] * expected
    except Exception as bug:
        _log.critical("receiver %s raised %s", receiver.name, type(bug).__name__)
        return [Failed(f"a bug ({type(bug).__name__})", timedelta(minutes=15))] * expected
