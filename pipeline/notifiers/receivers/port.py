"""The contract between the product and a receiver of incidents.

A receiver's folder has a function that returns a `Receiver` for its configuration. `deliver` makes one attempt and
returns one of three results; the sender retries. It may be called again with the same key after a crash: the receiver
passes the key on wherever the other side knows how to use it. No call may last longer than `ATTEMPT_SECONDS`: the
sender cancels it then, and nothing else waits for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from pipeline.domain.notices.notice import Notice
from pipeline.domain.notices.routes import Traits

ATTEMPT_SECONDS = 20.0


@dataclass(frozen=True)
class Delivery:
    """What is delivered at once: one notice, or those of a digest, oldest first. `key` is the same in every attempt.

    `memory`: what the receiver returned for this incident last.
    """

    key: str
    notices: tuple[Notice, ...]
    now: datetime
    digest: bool = False
    test: bool = False
    memory: str | None = None


@dataclass(frozen=True)
class Delivered:
    """The receiver has it. `memory` is kept with the incident; `refresh_after`: when to tell its state again."""

    memory: str | None = None
    refresh_after: timedelta | None = None


@dataclass(frozen=True)
class Failed:
    """It does not have it, or it is unknown whether it does: to be retried, not before `wait` if that is given.

    `why` holds neither secrets nor addresses, since it is logged and shown.
    """

    why: str
    wait: timedelta | None = None


@dataclass(frozen=True)
class Refused:
    """It will never take this one: a dead letter. `why` as in `Failed`."""

    why: str


Result = Delivered | Failed | Refused


class Receiver(Protocol):
    """One configured receiver."""

    name: str
    traits: Traits
    target: str
    """Where it sends, without secrets: for people to read."""

    async def deliver(self, delivery: Delivery) -> Result:
        """Make one attempt."""

    async def refresh(self, memories: Sequence[str], now: datetime) -> Result:
        """Tell the state of these incidents again. Called only if `deliver` asked for it."""

    def refreshes(self, memory: str, now: datetime) -> bool:
        """Whether the state of that incident has to be told again after `now`."""

    async def close(self) -> None:
        """Close connections."""


@runtime_checkable
class BatchReceiver(Receiver, Protocol):
    """A receiver that takes several notices in one attempt."""

    at_once: int
    """How many at most."""

    async def deliver_all(self, deliveries: Sequence[Delivery]) -> Sequence[Result]:
        """Make one attempt for notices of different incidents. Returns the result of each."""
