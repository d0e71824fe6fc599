"""The same events give the same result in one batch or many, repeated, shuffled, with restarts, on either database."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.asking.policy import Policy
from pipeline.domain.orders.dialogue import Dialogue
from pipeline.store.db.engine import reading
from pipeline.store.schema.answers import answers
from pipeline.store.schema.orders import orders, rollups
from tests.support.dump import dump
from tests.support.facts import without_places
from tests.support.invariants import violated_invariants
from tests.support.running.embedded import embedded
from tests.support.stored import opened
from tests.support.streams import (
    AFTER_ALL,
    LEVELS,
    Databases,
    ReceivedEvent,
    ingest_stream,
    seeds,
    stream,
    with_duplicates,
)

# A policy with which questions and every kind of refusal occur.
POLICY = Policy(account_cap=1, sample_rate=0.8)
SEEDS = st.integers(0, 2**32)
few = seeds(2)


@pytest.fixture(scope="module")
def databases(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Databases]]:
    """Databases by the name of the engine."""
    folder = tmp_path_factory.mktemp("same")
    migrated: Path = request.getfixturevalue("_migrated_sqlite_file")
    server, template = (request.getfixturevalue(name) for name in ("postgres_server", "_migrated_postgres_database"))
    made = {"sqlite": Databases(folder, migrated, None, None), "postgresql": Databases(folder, None, server, template)}
    yield made
    for each in made.values():
        each.drop()


@contextmanager
def installation(databases: Databases, batch: int = 100) -> Iterator[Callable[[], EmbeddedRunner]]:
    """Starts runners on one fresh database: each further one is a restart."""
    url = databases.fresh()
    started: list[EmbeddedRunner] = []

    def _start() -> EmbeddedRunner:
        started.append(embedded(url, POLICY, LEVELS, batch))
        return started[-1]

    try:
        yield _start
    finally:
        for runtime in started:
            runtime.engine.dispose()


def outcome(databases: Databases, events: list[ReceivedEvent], batch: int = 100) -> list[str]:
    """The whole database after these events."""
    with installation(databases, batch) as start:
        runtime = start()
        ingest_stream(runtime, events)
        return dump(runtime.engine)


def essence(databases: Databases, events: list[ReceivedEvent]) -> dict[str, Any]:
    """What must not depend on the order of receipt: facts, current claims, answers, figures."""
    with installation(databases) as start:
        runtime = start()
        ingest_stream(runtime, events)
        with reading(runtime.engine) as connection:
            facts, claims = {}, {}
            for order in connection.execute(select(orders)):
                facts[order.order_id] = without_places(opened(connection, order.facts))
                claims[order.order_id] = msgspec.json.decode(order.dialogue, type=Dialogue).claim
            columns = [column for column in answers.c if column.name != "received_at"]
            # A counter of zero equals a missing one.
            counted = select(rollups).where(rollups.c.n != 0)
            return {
                "facts": facts,
                "claims": claims,
                "answers": sorted(opened(connection, repr(tuple(row))) for row in connection.execute(select(*columns))),
                "figures": sorted(map(repr, connection.execute(counted))),
            }


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
@few
@given(seed=SEEDS, shuffle=st.randoms(use_true_random=False))
def test_shuffled_events_give_the_same_facts_claims_answers_and_figures(
    databases: dict[str, Databases], engine: str, seed: int, shuffle: Random
) -> None:
    # Times of receipt are fixed: promises are ordered by receipt.
    events = stream(seed)
    shuffled = list(events)
    shuffle.shuffle(shuffled)
    expected = essence(databases[engine], events)
    assert expected["answers"]
    assert essence(databases[engine], shuffled) == expected


@few
@given(seed=SEEDS)
def test_an_order_counts_as_its_record_says_whichever_event_comes_last(
    databases: dict[str, Databases], seed: int
) -> None:
    raws = [event.raw for event in stream(seed, orders=12)]
    Random(seed).shuffle(raws)
    with installation(databases["sqlite"], batch=1) as start:
        runtime = start()
        for n, raw in enumerate(raws):
            ingest_stream(runtime, [ReceivedEvent(AFTER_ALL + timedelta(seconds=n), raw)], until=None)
        assert violated_invariants(runtime.engine, runtime.setup) == []


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
@pytest.mark.parametrize("historic", [True, False], ids=["historic", "live"])
@few
@given(seed=SEEDS)
def test_repeated_events_and_restarts_leave_no_trace(
    databases: dict[str, Databases], engine: str, historic: bool, seed: int
) -> None:
    events = stream(seed, historic=historic)
    expected = outcome(databases[engine], events)
    rng = Random(seed)
    again = with_duplicates(rng, events)
    with installation(databases[engine]) as start:
        while again:
            size = rng.randint(1, 60)
            ingest_stream(start(), again[:size], until=None)
            again = again[size:]
        last = start()
        last.tick(AFTER_ALL)
        assert dump(last.engine) == expected


@pytest.mark.parametrize("historic", [True, False], ids=["historic", "live"])
@few
@given(seed=SEEDS)
def test_both_databases_have_the_same_contents(databases: dict[str, Databases], historic: bool, seed: int) -> None:
    events = stream(seed, historic=historic)
    assert outcome(databases["sqlite"], events) == outcome(databases["postgresql"], events)


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
@few
@given(seed=SEEDS, historic=st.booleans())
def test_any_batch_size_gives_the_same_result(
    databases: dict[str, Databases], engine: str, seed: int, historic: bool
) -> None:
    events = stream(seed, orders=6, historic=historic)
    expected = outcome(databases[engine], events, batch=1000)
    for batch in (1, 2, 7):
        assert outcome(databases[engine], events, batch) == expected


def test_the_streams_contain_every_case_that_the_tests_need(databases: dict[str, Databases]) -> None:
    """Otherwise a generator of uneventful orders would let all tests above pass."""
    lines: list[str] = []
    for seed in range(14):
        lines += outcome(databases["sqlite"], stream(seed, historic=False))
    daily = ("subject='day'", "kind='source'")
    assert {
        line for line in lines if line.startswith("timers ") and not any(part in line for part in daily)
    } == set(), "not after all"
    everything = "\n".join(lines)
    for expected in (
        "kind='divergence'", "opt_outs ", "reason='sampled_out'", "reason='asked_recently'", "reason='account_cap'",
        "reason='no_consent'", "reason='no_channel'", "reason='opted_out'", "purpose='missing_scan'", "state='expired'",
        "counter='rescued'", "counter='in_full:10'", "counter='scanned_early'", "delta=", "revision=3",
        '"previous":0.5', "not_asked:cancelled'", "not_asked:cancelled_late", "not_asked:returned", "tracking_numbers ",
        '"number_uses"', '"retractions"', "change='unverified'", "subject='day'",
    ):  # fmt: skip
        assert expected in everything, expected
