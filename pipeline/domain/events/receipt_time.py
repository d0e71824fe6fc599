"""When this machine's clock can be believed: events are received at its time, so a wrong one must not be used.

A running process knows how much time has passed since the newest receipt. At its start it knows that receipt only.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

TOLERANCE = timedelta(minutes=10)  # how far a clock may be from where it has to be
MAX_STEP = timedelta(hours=48)  # how far a start may be from the newest receipt without agreement of a second clock


class Clock(Protocol):
    """The time of receipt."""

    @property
    def held(self) -> bool:
        """Whether the clock is more than `TOLERANCE` behind the newest receipt, so that receipts wait for it."""

    def __call__(self) -> datetime:
        """The time, UTC, never earlier than before. Raises ClockSuspect if the clock cannot be believed."""

    def problems(self) -> list[str]:
        """Why the clock cannot be believed, in sentences; empty if it can."""


class PlainClock:
    """A clock that is always believed. `wall` returns the time, UTC."""

    held = False

    def __init__(self, wall: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._wall = wall

    def __call__(self) -> datetime:
        """The time, UTC."""
        return self._wall()

    def problems(self) -> list[str]:
        """None."""
        return []


def jump_doubt(wall: datetime, expected: datetime) -> str | None:
    """Why a running process doubts its clock; None: it does not.

    `expected`: the newest receipt on record, and the time that has passed since.
    """
    if abs(wall - expected) <= TOLERANCE:
        return None
    return f"this machine's clock has jumped {_difference(wall, expected)} to {_shown(wall)}"


def step_doubt(wall: datetime, recorded: datetime) -> str | None:
    """Why a process doubts its clock when it starts; None: it does not. `recorded`: the newest receipt on record."""
    if abs(wall - recorded) <= MAX_STEP:
        return None
    where = "ahead of" if wall > recorded else "behind"
    return (
        f"this machine's clock shows {_shown(wall)}, {_amount(wall - recorded)} {where} the newest receipt on record, "
        f"{_shown(recorded)}"
    )


def agree(one: datetime, other: datetime) -> bool:
    """Whether two clocks show the same time, as far as that matters here."""
    return abs(one - other) <= TOLERANCE


def _difference(wall: datetime, expected: datetime) -> str:
    return f"{'ahead' if wall > expected else 'back'} by {_amount(wall - expected)}"


def _amount(difference: timedelta) -> str:
    hours = abs(difference) / timedelta(hours=1)
    return f"{hours / 24:.0f} days" if hours > 96 else f"{hours:.1f} hours"


def _shown(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
