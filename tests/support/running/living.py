"""A process that lives through some moments of a sending world, and may be killed or stopped at a named place of it."""

import multiprocessing
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Barrier
from typing import Any

from pipeline.consumers.runtime import failpoints
from pipeline.consumers.sending.dispatcher import LEASE
from pipeline.domain.asking.policy import Policy
from tests.support.builders import completed, contact, scanned, take
from tests.support.running.live import dispatcher, live, twilio

# Forked from a process that has everything imported and no threads: quick, and without anybody's locks.
_PATIENCE = 120  # seconds until a test gives up
context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["tests.support.running.living"])


def number(n: int) -> str:
    """The phone of the n-th order's contact."""
    return f"+4477009003{n:02}"


def order_id(n: int) -> str:
    """The n-th order."""
    return f"SO-{n}"


def live_through(
    url: str,
    provider: str,
    place: str,
    orders: int,
    dispatchers: int,
    moments: Sequence[datetime],
    end: datetime,
    lease: timedelta = LEASE,
    *,
    together: Barrier | None = None,
) -> None:
    """Take in the deliveries (again), dispatch at each moment, let time pass until `end`. Dies at `place`, if any.

    `together`: several processes go on to the next moment together, for they have one time.
    """
    failpoints.arm(place)
    runtime = live(url, Policy(remind_after=None))  # one message each, so that every second one is a fault
    deliveries = []
    for n in range(orders):
        person, account = [contact(phone=number(n))], {"id": f"A-{n}"}
        deliveries.append(completed(order_id(n), time=moments[0], contacts=person, account=account))
        deliveries.append(scanned(order_id(n), time=moments[0]))
    take(runtime, *deliveries, received_at=moments[0])
    several = [dispatcher(runtime.engine, twilio(provider), width=2, lease=lease) for _ in range(dispatchers)]
    for moment in moments:
        if together is not None:
            together.wait(_PATIENCE)
        threads = [threading.Thread(target=one.run_once, args=(moment,)) for one in several]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        runtime.runner.drain()
    runtime.runner.tick(end)
    for one in several:
        one.stop()
    runtime.engine.dispose()


def begin(*arguments: Any, together: Barrier | None = None) -> ForkServerProcess:
    """Start such a process."""
    process = context.Process(target=live_through, args=arguments, kwargs={"together": together})
    process.start()
    return process


def run(*several: tuple[Any, ...]) -> list[int | None]:
    """Run some such processes side by side, each at the same moments. Returns how each of them ended."""
    together = context.Barrier(len(several)) if len(several) > 1 else None
    processes = [begin(*arguments, together=together) for arguments in several]
    for process in processes:
        process.join(_PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()
            raise AssertionError("it did not come to an end")
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.close()
    return codes
