"""The newest receipt on record, and whether an operator has accepted the machine's clock.

The mark also advances while no event arrives, so an installation that was idle does not doubt its clock at its next
start. A history that was replayed has no receipts and sets no mark.
"""

from datetime import datetime

from sqlalchemy import Connection

from pipeline.store.journal import state
from pipeline.store.journal.state import CLOCK, clock_of

_MARK = "receipt.newest"
_ACCEPTED = "receipt.clock_accepted"


def newest(connection: Connection, wall: datetime) -> datetime | None:
    """The newest receipt on record; None: there is none to compare `wall` with.

    Without a mark the clock of the events counts only if it is ahead of `wall`: that of a history is long past.
    """
    mark, clock = _moment(connection, _MARK), clock_of(connection)
    if mark is None:
        return clock if clock > wall else None
    return max(mark, clock)


def record(connection: Connection, moment: datetime) -> None:
    """Move the mark forward to `moment`."""
    mark = _moment(connection, _MARK, lock=True)
    if mark is None or mark < moment:
        state.put(connection, _MARK, state.as_text(moment))


def accept(connection: Connection, wall: datetime) -> None:
    """Accept a clock that shows `wall`: that is the newest receipt now, also where a wrong clock left a later one."""
    for name in (_MARK, _ACCEPTED):
        state.put(connection, name, state.as_text(wall))
    if clock_of(connection) > wall:
        state.put(connection, CLOCK, state.as_text(wall))


def accepted(connection: Connection) -> datetime | None:
    """What the clock showed when an operator accepted it last."""
    return _moment(connection, _ACCEPTED)


def _moment(connection: Connection, name: str, lock: bool = False) -> datetime | None:
    text = state.get(connection, name, lock=lock)
    return None if text is None else datetime.fromisoformat(text)
