"""The sums of accounts: always those of the orders, read page by page along an index, and filled by the migration."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import pytest
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, event, select, text

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.permissions import Role
from pipeline.domain.access.principal import LOCAL, user_principal
from pipeline.domain.access.scopes import parse_scope
from pipeline.domain.reports.accounts.sums import Period, Sums, parse_period
from pipeline.domain.reports.periods.spans import ALWAYS
from pipeline.store.db.engine import connect, reading
from pipeline.store.orders import account_sums
from pipeline.store.reads.accounts import sums
from pipeline.store.reads.accounts.sums import Sorting
from pipeline.store.schema.orders import account_sums as table
from tests.support.builders import answered, asked, at, cancelled, completed, contact, scanned
from tests.support.invariants import violated_invariants
from tests.support.running.embedded import ingest

EVER = Period("all", ALWAYS)


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    engine = connect(database_url)
    with engine.connect() as opened:
        yield opened
        opened.rollback()
    engine.dispose()


def orders_of_accounts(runtime: EmbeddedRunner) -> None:
    for n in range(14):
        order_id, account = f"SO-{n}", {"id": f"A-{n % 3}", "name": f"Company {n % 3}"}
        events = [completed(order_id, at(9 * n), account=account, contacts=[contact("ana")])]
        events.append(cancelled(order_id, at(9 * n, hours=1)) if n == 4 else scanned(order_id, at(9 * n, hours=1)))
        if n % 2:
            events.append(asked(order_id, at(9 * n, hours=2), account_id=account["id"]))
            said: dict[str, Any] = {"arrival": "late" if n % 3 == 1 else "on_time", "score": {"value": n % 11}}
            events.append(answered(order_id, at(9 * n, hours=3), **said))
        ingest(runtime, *events)


def test_the_sums_are_those_of_the_orders_whatever_happens_to_them(runtime: EmbeddedRunner) -> None:
    orders_of_accounts(runtime)
    assert violated_invariants(runtime.engine, runtime.setup) == []
    moved = completed("SO-1", at(200), "moved", account={"id": "A-9"}, contacts=[contact("ana")])
    ingest(runtime, moved, completed("SO-2", at(0), "earlier", account={"id": "A-2"}))
    assert violated_invariants(runtime.engine, runtime.setup) == []
    with reading(runtime.engine) as connection:
        assert sums.of_accounts(connection, LOCAL, EVER, ["A-9"])["A-9"].sums.bad == 1
        assert sum(row.sums.orders for row in sums.page(connection, LOCAL, EVER, "risk", 50)) == 14


def test_an_account_whose_orders_moved_away_has_no_row(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed("SO-1", at(), account={"id": "A-1"}))
    ingest(runtime, completed("SO-1", at(1), "moved", account={"id": "A-2"}))
    with reading(runtime.engine) as connection:
        assert set(connection.execute(select(table.c.account_id)).scalars()) == {"A-2"}


@pytest.mark.parametrize("sorting", ["risk", "orders"])
def test_pages_have_every_account_once_in_one_order(connection: Connection, sorting: Sorting) -> None:
    rows = {
        (length, day, f"A-{n}"): Sums(orders=1 + n % 4, answered=n % 3, bad=n % 2)
        for n in range(23)
        for length, day in (("all", ALWAYS), ("quarter", 100), ("month", 100))
    }
    account_sums.add(connection, rows)
    for period in (EVER, Period("quarter", 100)):
        found, after = list[sums.AccountRow](), None
        while page := sums.page(connection, LOCAL, period, sorting, 5, after):
            found += page
            after = page[-1].position(sorting)
        assert {row.account_id: row.sums for row in found} == {key[2]: one for key, one in rows.items()}
        values = [row.position(sorting) for row in found]
        assert values == sorted(values, reverse=True)
    assert sums.page(connection, LOCAL, Period("quarter", 101), sorting, 5) == []


def test_a_scope_of_accounts_sees_their_sums_and_one_of_segments_none(connection: Connection) -> None:
    account_sums.add(connection, {("all", ALWAYS, f"A-{n}"): Sums(orders=n) for n in range(1, 9)})
    ann = user_principal("ann", Role.ACCOUNT_MANAGER, parse_scope(Role.ACCOUNT_MANAGER, ["account=A-2", "account=A-5"]))
    rolf = user_principal("rolf", Role.OPERATIONS, parse_scope(Role.OPERATIONS, ["depot=Lyon"]))
    assert [row.account_id for row in sums.page(connection, ann, EVER, "orders", 9)] == ["A-5", "A-2"]
    assert sums.page(connection, rolf, EVER, "orders", 9) == []
    for viewer in (ann, rolf):
        assert sums.of_accounts(connection, viewer, EVER, ["A-3"]) == {}
        assert sums.months(connection, viewer, "A-3", [100]) == {}


def test_the_migration_fills_the_sums_from_the_orders(runtime: EmbeddedRunner) -> None:
    orders_of_accounts(runtime)
    migration = import_module("pipeline.store.schema.migrations.versions.0030_account_sums")
    with runtime.engine.begin() as connection:
        before = sorted(map(tuple, connection.execute(select(table))))
        with Operations.context(MigrationContext.configure(connection)):
            migration.downgrade()
            migration.upgrade()
        assert sorted(map(tuple, connection.execute(select(table)))) == before


@contextmanager
def plans(connection: Connection) -> Iterator[list[str]]:
    """The plans of the queries that are run meanwhile."""
    engine: Engine = connection.engine
    seen: list[tuple[str, object]] = []

    def _note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        seen.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", _note)
    found: list[str] = []
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", _note)
    explain = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "
    for statement, parameters in seen:
        rows = connection.exec_driver_sql(explain + statement, parameters)  # type: ignore[arg-type]
        found += [str(row[-1]) for row in rows]


@pytest.mark.parametrize("sorting", ["risk", "orders"])
def test_a_page_is_read_along_the_index_of_its_order(connection: Connection, sorting: Sorting) -> None:
    rows = {("quarter", day, f"A-{n:05}"): Sums(orders=1 + n % 50, bad=n % 7) for n in range(3_000) for day in (1, 100)}
    account_sums.add(connection, rows)
    connection.execute(text("ANALYZE account_sums"))
    first = sums.page(connection, LOCAL, Period("quarter", 100), sorting, 50)
    for after in (None, first[-1].position(sorting)):
        with plans(connection) as steps:
            sums.page(connection, LOCAL, Period("quarter", 100), sorting, 50, after)
        assert any(f"account_sums_by_{sorting}" in step for step in steps), steps
        assert not [step for step in steps if "TEMP B-TREE" in step or "Sort" in step], steps


def test_periods_of_addresses_lead_to_their_sums(runtime: EmbeddedRunner) -> None:
    orders_of_accounts(runtime)
    with reading(runtime.engine) as connection:
        quarter = sums.page(connection, LOCAL, parse_period("2026-Q1"), "orders", 50)
        ever = sums.page(connection, LOCAL, EVER, "orders", 50)
        january = parse_period("2026-03").first_day
        months = sums.months(connection, LOCAL, "A-0", [january])
    assert 0 < sum(row.sums.orders for row in quarter) < sum(row.sums.orders for row in ever)
    assert months[january].orders >= 1
