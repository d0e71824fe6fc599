"""The sums of accounts: adds what changed orders contribute to each month, each quarter and all time."""

from collections.abc import Mapping, MutableMapping

from sqlalchemy import Connection

from pipeline.domain.reports.accounts.sums import LENGTHS, NONE, Place, Sums, period_of
from pipeline.store.db import bulk
from pipeline.store.schema.orders import account_sums

Key = tuple[str, int, str]  # length, first day, account

_KEY = ("length", "first_day", "account_id")


def note(changes: MutableMapping[Key, Sums], before: Place | None, after: Place | None) -> None:
    """Note that an order adds something else than before; None: nothing."""
    if before is not None and after is not None and before[:2] == after[:2]:
        _note(changes, after, after.sums.minus(before.sums))
        return
    if before is not None:
        _note(changes, before, NONE.minus(before.sums))
    if after is not None:
        _note(changes, after, after.sums)


def _note(changes: MutableMapping[Key, Sums], place: Place, change: Sums) -> None:
    if change == NONE:
        return
    for length in LENGTHS:
        key = (length, period_of(length, place.day).first_day, place.account)
        known = changes.get(key)
        changes[key] = change if known is None else known.plus(change)


def add(connection: Connection, changes: Mapping[Key, Sums]) -> None:
    """Add these changes, sorted, so that transactions lock the rows in one order. An account without orders in a
    period has no row there.
    """
    rows = sorted((*key, *change) for key, change in changes.items() if change != NONE)
    bulk.add(connection, account_sums, rows, Sums._fields, (*_KEY, *Sums._fields))
    fallen = [(*row[:3], 0) for row in rows if row[3] < 0]
    bulk.remove(connection, account_sums, fallen, (*_KEY, "orders"))
