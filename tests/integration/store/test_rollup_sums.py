"""The sums of weeks and months: always those of the days, whatever changed them. Reports read the same from both."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import date
from importlib import import_module
from typing import Any

import pytest
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event, select

from pipeline.domain.access.principal import LOCAL
from pipeline.domain.reports.periods.spans import first_day
from pipeline.store.db.engine import connect, reading
from pipeline.store.orders import figures
from pipeline.store.reads import reports
from pipeline.store.schema.orders import rollup_sums, rollups
from pipeline.store.schema.upgrade import migrate
from tests.support.examples import examples
from tests.support.invariants import span_sums, violated_invariants
from tests.support.running.embedded import embedded
from tests.support.streams import AFTER_ALL, ingest_stream, stream

START = date(2025, 11, 17).toordinal()
DAYS = 140
COUNTERS = ("completed", "delivered", "on_time")


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    engine = connect(database_url)
    with engine.connect() as opened:
        yield opened
        opened.rollback()
    engine.dispose()


def changes(seed: int, many: int = 150) -> list[dict[figures.Cell, dict[str, int]]]:
    """Additions, and withdrawals of some of what was added before."""
    rng, added = random.Random(seed), list[dict[figures.Cell, dict[str, int]]]()
    for _ in range(many):
        if added and rng.random() < 0.3:
            taken = added[rng.randrange(len(added))]
            added.append({cell: {name: -n for name, n in counts.items()} for cell, counts in taken.items()})
        else:
            cells = [("depot", f"D{rng.randrange(5)}", START + rng.randrange(DAYS)), ("", "", START)]
            added.append({cell: {rng.choice(COUNTERS): rng.randrange(1, 4)} for cell in cells})
    return added


def days_of(connection: Connection) -> dict[tuple[Any, ...], int]:
    return {tuple(row[:4]): row.n for row in connection.execute(select(rollups))}


def sums_of(connection: Connection) -> dict[tuple[Any, ...], int]:
    return {tuple(row[:5]): row.n for row in connection.execute(select(rollup_sums)) if row.n}


@pytest.mark.parametrize("seed", range(3))
def test_any_period_is_the_sum_of_its_days(connection: Connection, seed: int) -> None:
    for change in changes(seed):
        figures.add(connection, change)
    days = days_of(connection)
    assert sums_of(connection) == span_sums(days)
    rng = random.Random(seed)
    for _ in range(40):
        first, last = sorted(rng.choices(range(START - 20, START + DAYS + 20), k=2))
        period = rng.choice([(first, last), (first, None), (None, last), (None, None)])
        expected: dict[str, Counter[str]] = {}
        for (dimension, value, day, counter), n in days.items():
            if dimension == "depot" and (period[0] or day) <= day <= (period[1] or day):
                expected.setdefault(value, Counter())[counter] += n
        wanted = {value: {name: n for name, n in counts.items() if n} for value, counts in expected.items()}
        assert reports.by_segment(connection, LOCAL, "depot", *period) == {k: v for k, v in wanted.items() if v}


@settings(max_examples=examples(4), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1_000))
def test_late_events_amendments_and_repeats_keep_the_sums(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Streams contain amended answers, corrections, cancellations, scans that come late, and orders that move."""
    folder = tmp_path_factory.mktemp("sums")
    url = f"sqlite:///{folder}/one.db"
    migrate(url)
    runtime = embedded(url)
    ingest_stream(runtime, stream(seed, orders=12), AFTER_ALL)
    assert violated_invariants(runtime.engine, runtime.setup) == []
    runtime.engine.dispose()


def test_the_migration_fills_the_sums_from_the_days(connection: Connection) -> None:
    for change in changes(7):
        figures.add(connection, change)
    wanted = span_sums(days_of(connection))
    migration = import_module("pipeline.store.schema.migrations.versions.0026_rollup_sums")
    with Operations.context(MigrationContext.configure(connection)):
        migration.downgrade()
        migration.upgrade()
    assert sums_of(connection) == wanted


def test_a_process_of_the_version_before_adds_to_days_and_the_database_adds_to_the_sums(
    postgresql_database_url: str,
) -> None:
    engine = connect(postgresql_database_url)
    try:
        with engine.begin() as connection:
            figures.add(connection, {("depot", "Lyon", START): {"completed": 3}})
        with engine.begin() as connection:
            connection.execute(rollups.insert(), [row("Lyon", START + 1, 4), row("Lille", START, 2)])
            connection.execute(rollups.update().where(rollups.c.value == "Lille").values(n=0))
        with engine.begin() as connection:
            connection.execute(rollups.delete().where(rollups.c.n == 0))
        with reading(engine) as connection:
            sums = sums_of(connection)
            assert sums == span_sums(days_of(connection))
            assert sums["depot", "week", first_day("week", START), "Lyon", "completed"] == 7
    finally:
        engine.dispose()


def row(value: str, day: int, n: int) -> dict[str, Any]:
    return {"dimension": "depot", "value": value, "day": day, "counter": "completed", "n": n}


def test_a_series_has_the_spans_of_some_segments(connection: Connection) -> None:
    figures.add(connection, {("depot", "Lyon", START): {"completed": 3, "asked": 1}})
    figures.add(connection, {("depot", "Lyon", START + 8): {"completed": 4}})
    figures.add(connection, {("depot", "Lille", START): {"completed": 5}, ("depot", "Nice", START): {"completed": 1}})
    weeks = [first_day("week", START) + 7 * n for n in range(2)]
    found = reports.series(connection, LOCAL, "depot", ["Lyon", "Lille"], "week", weeks, ["completed"])
    assert found == {
        "Lyon": {weeks[0]: {"completed": 3}, weeks[1]: {"completed": 4}},
        "Lille": {weeks[0]: {"completed": 5}},
    }


def test_the_days_at_the_edges_are_found_by_key(sqlite_database_url: str) -> None:
    engine = connect(sqlite_database_url)
    statements: list[tuple[str, Any]] = []
    with engine.connect() as connection:
        event.listen(connection, "before_cursor_execute", lambda *given: statements.append((given[2], given[3])))
        reports.by_segment(connection, LOCAL, "depot", START, START + 40)
        statement, parameters = statements[-1]
        plan = [each[3] for each in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    engine.dispose()
    days = [step for step in plan if "rollups" in step and "rollup_sums" not in step]
    assert days
    assert all("dimension=? AND value=? AND day>? AND day<?" in step for step in days)
