"""The figures: adds what orders contribute to the sums of their day and of the longer spans that contain it."""

from collections import Counter
from collections.abc import Mapping

from sqlalchemy import Connection, Table, text

from pipeline.domain.reports.periods.spans import SPANS, first_day
from pipeline.store.db import bulk
from pipeline.store.schema.orders import rollup_sums, rollups

Cell = tuple[str, str, int]  # dimension, value, day: a cell has one row of the rollups for each counter

_OF_DAYS = ("dimension", "value", "day", "counter", "n")
_OF_SPANS = ("dimension", "span", "first_day", "value", "counter", "n")
# Tells the trigger that serves processes of earlier versions that this transaction keeps the sums itself.
_SUMS_ARE_KEPT = text("SELECT set_config('unvarnished.sums_are_kept', 'yes', true)")


def add(connection: Connection, deltas: Mapping[Cell, Mapping[str, int]]) -> None:
    """Add to the counters of each cell, by name. A counter that is back at 0 leaves no row."""
    days = [(*cell, counter, n) for cell, counts in deltas.items() for counter, n in counts.items() if n]
    if not days:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(_SUMS_ARE_KEPT)
    _add(connection, rollups, sorted(days), _OF_DAYS)
    spans = Counter[tuple[str, str, int, str, str]]()
    for dimension, value, day, counter, n in days:
        for span in SPANS:
            spans[dimension, span, first_day(span, day), value, counter] += n
    _add(connection, rollup_sums, sorted((*key, n) for key, n in spans.items() if n), _OF_SPANS)


def _add(connection: Connection, table: Table, rows: list[tuple[str | int, ...]], columns: tuple[str, ...]) -> None:
    """`rows` are sorted, so that transactions lock them in one order."""
    bulk.add(connection, table, rows, ("n",), columns)
    fallen = [(*row[:-1], 0) for row in rows if int(row[-1]) < 0]
    bulk.remove(connection, table, fallen, columns)
