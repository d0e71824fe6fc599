"""The company of the page benchmark: what is written in bulk is what the runner would store for the same events."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, select

from pipeline.bench.pages import company, past, reading
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.asking.policy import Policy
from pipeline.domain.detection.segments import parse_levels
from pipeline.domain.setup import Setup
from pipeline.store.db.engine import connect
from pipeline.store.db.engine import reading as reading_of
from pipeline.store.journal.embedded_journal import EmbeddedJournal
from pipeline.store.schema.answers import answers
from pipeline.store.schema.asks import asks
from pipeline.store.schema.orders import (
    account_sums,
    claims,
    order_list,
    order_terms,
    orders,
    rollup_sums,
    rollups,
    search_parts,
)
from pipeline.store.schema.people import person_orders
from pipeline.store.schema.upgrade import migrate
from pipeline.store.store import Store
from tests.support.facts import without_places
from tests.support.invariants import violated_invariants
from tests.support.running.embedded import VAULT

# What only evidence needs is not written in bulk.
ONLY_EVIDENCE = ("placed", "compared", "signs")


def rows(engine: Engine) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    with reading_of(engine) as connection:
        for table in (
            claims,
            asks,
            answers,
            person_orders,
            rollups,
            rollup_sums,
            account_sums,
            order_list,
            order_terms,
            search_parts,
        ):
            found[table.name] = sorted(repr(tuple(row)) for row in connection.execute(select(table)))
        found["orders"] = []
        for row in connection.execute(select(orders).order_by(orders.c.order_id)):
            dialogue: dict[str, Any] = msgspec.json.decode(row.dialogue)
            kept = {name: value for name, value in dialogue.items() if name not in ONLY_EVIDENCE}
            facts = without_places(row.facts)
            found["orders"].append(repr((row.order_id, facts, row.counted, row.memberships, kept)))
    return found


def runner(url: str) -> EmbeddedRunner:
    migrate(url)
    setup = Setup(parse_levels(company.LEVELS), 1.0, Policy())
    return EmbeddedRunner(Store(connect(url), VAULT, EmbeddedJournal()), setup, 500)


def test_bulk_and_runner_store_the_same_rows(tmp_path: Path) -> None:
    made = [order for day in range(40) for order in company.orders_of(day, 10_000)]
    assert any(order.said for order in made)
    by_runner, in_bulk = (runner(f"sqlite:///{tmp_path}/{name}.db") for name in ("runner", "bulk"))
    for day in range(40):
        by_runner.ingest([*company.day_of(company.orders_of(day, 10_000))])
    with in_bulk.engine.begin() as connection:
        past.write(connection, in_bulk.store.journal, in_bulk.setup.levels, made)
    expected, found = rows(by_runner.engine), rows(in_bulk.engine)
    for name, wanted in expected.items():
        assert found[name] == wanted, name
    assert violated_invariants(in_bulk.engine, in_bulk.setup) == []
    assert in_bulk.process_pending() == 0
    for one in (by_runner, in_bulk):
        one.engine.dispose()


def test_each_page_is_read_right_after_an_event(tmp_path: Path) -> None:
    first = reading.measure(1_000, tmp_path, None, rounds=2, only=("incidents", "order"))
    assert [measured.page for measured in first] == ["incidents", "order"]
    for measured in first:
        assert 0 < measured.p50_ms <= measured.p95_ms
        assert measured.bytes > 1_000
        assert measured.queries > 1
    again = reading.measure(1_000, tmp_path, None, rounds=1, only=("order",))
    assert [measured.page for measured in again] == ["order"]
    with pytest.raises(Exception, match="a company of 1,000 orders"):
        reading.measure(2_000, tmp_path, None, rounds=1)
