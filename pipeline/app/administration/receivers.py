"""Operations of a user on the receivers of incidents: list, test, send again."""

import asyncio
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Engine

from pipeline.app.installation import now, open_database
from pipeline.notifiers.receivers import registry
from pipeline.notifiers.receivers.port import ATTEMPT_SECONDS, Delivered, Delivery, Failed, Receiver
from pipeline.settings import ConfigurationError, Settings
from pipeline.store.db.engine import reading
from pipeline.store.notices import deliveries


class ReceiverState(NamedTuple):
    """A receiver, what waits for it, what was given up, and why the newest unfinished or dead one failed."""

    name: str
    target: str
    pending: int
    oldest: datetime | None
    dead: int
    last_failure: str | None


class TestResult(NamedTuple):
    """Whether a receiver took a test message, otherwise why not."""

    name: str
    delivered: bool
    why: str


def receiver_states(settings: Settings) -> list[ReceiverState]:
    """The configured receivers, in the order of the file. Raises ConfigurationError."""
    receivers = registry.configured(settings).by_name
    engine = open_database(settings)
    try:
        with reading(engine) as connection:
            backlogs, failures = deliveries.backlogs(connection), deliveries.last_failures(connection)
    finally:
        engine.dispose()
    none = deliveries.Backlog(0, None, 0)
    return [
        ReceiverState(name, receiver.target, *backlogs.get(name, none), failures.get(name))
        for name, receiver in receivers.items()
    ]


def test_receivers(settings: Settings, name: str | None) -> Sequence[TestResult]:
    """Send a test message to one receiver, or to all. Raises ConfigurationError."""
    receivers = registry.configured(settings).by_name
    chosen = list(receivers.values()) if name is None else [_named(receivers, name)]

    async def _all() -> list[TestResult]:
        return await asyncio.gather(*map(_test, chosen))

    return asyncio.run(_all())


def retry_receiver(engine: Engine, settings: Settings, name: str) -> int:
    """Make the dead letters of a receiver pending again. Returns their number. Raises ConfigurationError."""
    _named(registry.configured(settings).by_name, name)
    with engine.begin() as connection:
        return deliveries.retry_dead(connection, name, now())


async def _test(receiver: Receiver) -> TestResult:
    delivery = Delivery(f"test:{secrets.token_hex(8)}", (), now(), test=True)
    try:
        async with asyncio.timeout(ATTEMPT_SECONDS):
            result = await receiver.deliver(delivery)
    except TimeoutError:
        result = Failed(f"no response within {ATTEMPT_SECONDS:.0f} seconds")
    finally:
        await receiver.close()
    return TestResult(receiver.name, True, "") if isinstance(result, Delivered) else _failed(receiver, result.why)


def _failed(receiver: Receiver, why: str) -> TestResult:
    return TestResult(receiver.name, False, why)


def _named(receivers: registry.ByName, name: str) -> Receiver:
    if name not in receivers:
        raise ConfigurationError(f"there is no receiver {name!r}; configured: {', '.join(receivers) or 'none'}")
    return receivers[name]
