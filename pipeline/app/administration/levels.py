"""Operations of a user on the levels of an installation: list, add and remove them. Processes may run meanwhile."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

from pipeline.app.installation import Installation, SharedInstallation, now, open_as_started
from pipeline.consumers import level_changes
from pipeline.domain.detection.levels import LevelUse
from pipeline.domain.detection.segments import Level
from pipeline.settings import Settings
from pipeline.store.db.engine import reading
from pipeline.store.reads.levels import level_uses

Progress = Callable[[int, int], None]


class LevelState(NamedTuple):
    """One level: its segments so far and its capacity, and from which UTC day it is judged (None: the first start).

    `threshold`: its newest A, in days; None while it is being added or removed.
    """

    use: LevelUse
    state: Literal["watched", "adding", "removing"]
    since: int | None
    threshold: float | None


class AddedLevel(NamedTuple):
    """The UTC day from which thresholds follow from a level (None: nothing had to change), and its segments so far."""

    day: int | None
    segments: int


def list_levels(settings: Settings) -> list[LevelState]:
    """All levels that are watched, or are being added or removed. Raises DatabaseMismatch."""
    with _opened(settings) as installation, reading(installation.store.engine) as connection:
        setup = installation.setup
        watched = {level.name for level in setup.levels}
        uses = level_uses(connection, [level for level in setup.history.known if setup.history.is_used(level.name)])
    found = []
    for use in uses:
        if use.level in watched:
            newest = setup.thresholds[use.level].steps[-1][1]
            found.append(LevelState(use, "watched", setup.history.since(use.level), newest))
        else:
            adding = any(level.name == use.level for level in setup.history.figured)
            found.append(LevelState(use, "adding" if adding else "removing", None, None))
    return found


def add_level(settings: Settings, level: Level, show: Progress) -> AddedLevel:
    """See `level_changes.add`. Raises DatabaseMismatch."""
    with _opened(settings) as installation:
        day = level_changes.add(installation.store, installation.setup, level, now(), show)
        with reading(installation.store.engine) as connection:
            [use] = level_uses(connection, [level])
    return AddedLevel(day, use.segments)


def remove_level(settings: Settings, name: str, show: Progress) -> int | None:
    """See `level_changes.remove`. Raises DatabaseMismatch, LevelError."""
    with _opened(settings) as installation:
        return level_changes.remove(installation.store, installation.setup, name, now(), show)


@contextmanager
def _opened(settings: Settings) -> Iterator[Installation | SharedInstallation]:
    installation = open_as_started(settings)
    try:
        yield installation
    finally:
        installation.store.engine.dispose()
