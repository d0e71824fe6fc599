"""A process that sends questions at given moments, and can be killed or stopped at a failpoint."""

import multiprocessing
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Barrier
from typing import Any

from pipeline.consumers.runtime import failpoints
from pipeline.consumers.sending.dispatcher import LEASE
from pipeline.domain.asking.channels import EMAIL, SMS, WHATSAPP, Channel
from pipeline.domain.asking.policy import Policy
from pipeline.notifiers.port import Notifier
from tests.support.builders import completed, contact, scanned
from tests.support.limits import PATIENCE
from tests.support.running.embedded import ingest
from tests.support.running.sending import dispatcher, email, sending_runner, twilio, whatsapp

# Forked from a process that has imported everything and has no threads: fast, and without locks of other threads.
context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["tests.support.running.sending_process"])


def number(n: int) -> str:
    """The phone number of the n-th order's contact."""
    return f"+4477009003{n:02}"


def mailbox(n: int) -> str:
    """The e-mail address of the n-th order's contact."""
    return f"ana{n}@customer.example"


def order_id(n: int) -> str:
    """The id of the n-th order."""
    return f"SO-{n}"


def send_through(
    url: str,
    provider: str,
    failpoint: str,
    orders: int,
    dispatchers: int,
    moments: Sequence[datetime],
    end: datetime,
    lease: timedelta = LEASE,
    *,
    together: Barrier | None = None,
) -> None:
    """Ingest the deliveries, dispatch at each moment, and let time pass until `end`. Dies at `failpoint`, if any.

    `provider`: the address of the provider's stub, after "whatsapp:" for that channel, or "smtp:" and the port of a
    mail server. `together`: a barrier for several processes, which enter each moment together.
    """
    failpoints.arm(failpoint)
    channel, make = _channel(provider)
    # One message each, so that every second one is a fault.
    policy = Policy(remind_after=None, channels=(channel,))
    runtime = sending_runner(url, policy)
    deliveries = []
    for n in range(orders):
        consent = {"sms": True, "email": True, "whatsapp": True, "source": "contract"}
        person, account = [contact(phone=number(n), email=mailbox(n), consent=consent)], {"id": f"A-{n}"}
        deliveries.append(completed(order_id(n), time=moments[0], contacts=person, account=account))
        deliveries.append(scanned(order_id(n), time=moments[0]))
    ingest(runtime, *deliveries, received_at=moments[0])
    several = [dispatcher(runtime.store, make(), policy, concurrency=2, lease=lease) for _ in range(dispatchers)]
    for moment in moments:
        if together is not None:
            together.wait(PATIENCE)
        threads = [threading.Thread(target=one.run_once, args=(moment,)) for one in several]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        runtime.process_pending()
    runtime.tick(end)
    for one in several:
        one.stop()
    runtime.engine.dispose()


def _channel(provider: str) -> tuple[Channel, Callable[[], Notifier]]:
    """The channel that an address of a provider stands for, and a function that makes its notifier."""
    scheme, _, rest = provider.partition(":")
    if scheme == "smtp":
        return EMAIL, lambda: email(int(rest))
    if scheme == "whatsapp":
        return WHATSAPP, lambda: whatsapp(rest)
    return SMS, lambda: twilio(provider)


def begin(*arguments: Any, together: Barrier | None = None) -> ForkServerProcess:
    """Start a process that runs `send_through`."""
    process = context.Process(target=send_through, args=arguments, kwargs={"together": together})
    process.start()
    return process


def run(*several: tuple[Any, ...]) -> list[int | None]:
    """Run several such processes at the same moments. Returns their exit codes."""
    together = context.Barrier(len(several)) if len(several) > 1 else None
    processes = [begin(*arguments, together=together) for arguments in several]
    for process in processes:
        process.join(PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()
            raise AssertionError("the process did not end")
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.close()
    return codes
