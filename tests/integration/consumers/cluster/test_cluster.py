"""Several workers on one database: together they give the result of one."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, Select, func, select
from sqlalchemy import event as sqlalchemy_event

from pipeline import metrics
from pipeline.consumers.cluster import runner as cluster_runner
from pipeline.consumers.cluster.outbox_writer import OutboxWriter
from pipeline.consumers.cluster.relayed_event import RelayedEvent
from pipeline.consumers.cluster.runner import ClusterRunner, Record
from pipeline.consumers.intake import Incoming
from pipeline.consumers.routing import PROCESSORS
from pipeline.consumers.silence.sources import SOURCE
from pipeline.domain.asking.policy import Policy
from pipeline.domain.events.contract import BadEvent
from pipeline.domain.orders.dialogue import Dialogue
from pipeline.store.db.engine import reading
from pipeline.store.evidence.evidence import Baseline, EvidenceStore
from pipeline.store.journal.journal import Entry
from pipeline.store.journal.shared_journal import SHARDS, SharedJournal, shard_of
from pipeline.store.schema.answers import answers
from pipeline.store.schema.asks import asks
from pipeline.store.schema.evidence import pairs
from pipeline.store.schema.journal import dead_letters, journal, outbox
from pipeline.store.schema.orders import orders, rollups, timers
from tests.support.builders import MONDAY, answered, at, completed, contact, scanned
from tests.support.dump import dump
from tests.support.facts import without_places
from tests.support.invariants import violated_invariants
from tests.support.metrics import value
from tests.support.running.cluster import Cluster
from tests.support.running.cluster_work import denied, side_by_side
from tests.support.running.embedded import VAULT, close, embedded, incoming
from tests.support.running.steps import for_cluster
from tests.support.stored import opened
from tests.support.streams import (
    AFTER_ALL,
    LEVELS,
    Databases,
    ReceivedEvent,
    arrivals,
    ingest_stream,
    seeds,
    stream,
)

T = TypeVar("T")
POLICY = Policy(account_cap=2, sample_rate=0.8)
SEEDS = st.integers(0, 2**32)
few = seeds(2)
# Tables with the positions of the cluster's processes. All other tables are the same in both modes.
BOOKKEEPING = {"outbox", "handled", "state", "source_slots"}  # the slots in which a runner was seen follow its batches


@pytest.fixture(scope="module")
def databases(request: pytest.FixtureRequest) -> Iterator[Databases]:
    server = request.getfixturevalue("postgres_server")
    made = Databases(Path(), None, server, request.getfixturevalue("_migrated_postgres_database"))
    yield made
    made.drop()


@contextmanager
def cluster_on(databases: Databases, policy: Policy = POLICY) -> Iterator[Cluster]:
    cluster = Cluster(databases.fresh(), policy, LEVELS)
    try:
        yield cluster
    finally:
        close(cluster.engine)


@pytest.fixture
def cluster(databases: Databases) -> Iterator[Cluster]:
    with cluster_on(databases) as cluster:
        yield cluster


@contextmanager
def processed(url: str, events: Sequence[ReceivedEvent]) -> Iterator[Engine]:
    """A database after these events, all processed by one runner."""
    runtime = embedded(url, POLICY, LEVELS)
    try:
        ingest_stream(runtime, events)
        yield runtime.engine
    finally:
        close(runtime.engine)


def alone(databases: Databases, events: Sequence[ReceivedEvent]) -> dict[str, Any]:
    """The essence of the database of embedded mode after these events."""
    with processed(databases.fresh(), events) as engine:
        return essence(engine)


def rows(cluster: Cluster, query: Select[Any]) -> list[Any]:
    with reading(cluster.engine) as connection:
        return list(connection.execute(query))


def essence(engine: Engine) -> dict[str, Any]:
    """What must not depend on the order of receipt: facts, current claims, answers, states of the asks, figures."""
    with reading(engine) as connection:
        found = list(connection.execute(select(orders.c.order_id, orders.c.facts, orders.c.dialogue)))
        columns = [column for column in answers.c if column.name != "received_at"]
        put = select(asks.c.order_id, asks.c.contact_id, asks.c.purpose, asks.c.reason, asks.c.state)
        return {
            "facts": {row.order_id: without_places(opened(connection, row.facts)) for row in found},
            "claims": {row.order_id: msgspec.json.decode(row.dialogue, type=Dialogue).claim for row in found},
            "answers": sorted(opened(connection, repr(tuple(row))) for row in connection.execute(select(*columns))),
            "asks": sorted(map(repr, connection.execute(put))),
            "figures": sorted(map(repr, connection.execute(select(rollups).where(rollups.c.n != 0)))),
        }


def with_repeats(rng: Random, events: Sequence[ReceivedEvent]) -> list[ReceivedEvent]:
    """The events, of which a share is there twice, with the same time of receipt: workers may process either first."""
    return [*events, *(known for known in events if rng.random() < 0.4)]


def in_batches(rng: Random, records: Sequence[Record], worker: ClusterRunner, stage: str = "process_events") -> None:
    """Process records in batches of random size that overlap, so that some records are processed twice."""
    seq = 0
    while seq < len(records):
        size = rng.randint(1, 25)
        getattr(worker, stage)(records[max(0, seq - rng.randint(0, 5)) : seq + size], MONDAY)
        seq += size


def settle(cluster: Cluster, rng: Random, workers: int) -> None:
    """Relay and process until the outbox is empty: each event by one worker, each part of a pair by one worker."""
    several = [cluster.worker() for _ in range(workers)]
    while events := cluster.relay():
        shares: list[tuple[list[RelayedEvent], list[RelayedEvent]]] = [([], []) for _ in several]
        for one in events:
            # One worker processes all pairs of a part, as of a partition; any worker may process an event.
            share = shares[shard_of(one.part) % workers] if one.part else rng.choice(shares)
            share[bool(one.part)].append(one)
        side_by_side(*(partial(_both_stages, rng.random(), *one) for one in zip(several, shares, strict=True)))


def finish(cluster: Cluster, rng: Random) -> None:
    """Relay and process everything, and fire timers until none is due."""
    settle(cluster, rng, 3)
    while cluster.worker().tick(AFTER_ALL, 7):
        settle(cluster, rng, 3)


def _both_stages(seed: float, worker: ClusterRunner, share: tuple[list[RelayedEvent], list[RelayedEvent]]) -> None:
    events, parts = share
    in_batches(Random(seed), events, worker)
    in_batches(Random(seed), parts, worker, "process_evidence")


def deal(rng: Random, records: Sequence[T], hands: int) -> list[list[T]]:
    """Each record in one or two of the lists, regardless of its order."""
    dealt: list[list[T]] = [[] for _ in range(hands)]
    for record in records:
        for hand in rng.sample(dealt, rng.choice((1, 1, 2))):
            hand.append(record)
    return dealt


def is_sound(cluster: Cluster) -> None:
    """Check the invariants of every installation."""
    assert violated_invariants(cluster.engine, cluster.setup) == []


@pytest.mark.parametrize("historic", [True, False], ids=["historic", "live"])
@few
@given(seed=SEEDS)
def test_a_cluster_gives_the_result_of_embedded_mode(databases: Databases, seed: int, historic: bool) -> None:
    events = stream(seed, orders=6, historic=historic)
    with processed(databases.fresh(), events) as one, processed(for_cluster(databases.fresh()), events) as several:
        assert dump(several, BOOKKEEPING) == dump(one, BOOKKEEPING)


@pytest.mark.parametrize("source", ["topics", "http"])
@few
@given(seed=SEEDS)
def test_several_parallel_workers_give_the_result_of_one(databases: Databases, seed: int, source: str) -> None:
    """With duplicates, overlapping batches, and events of one order in two workers at once."""
    rng, events = Random(seed), stream(seed)
    expected = alone(databases, events)
    before = value(metrics.RETRIES)
    with cluster_on(databases) as cluster:
        outside = list(arrivals(with_repeats(rng, events)))
        records: Sequence[Record] = outside
        if source == "http":
            writer = OutboxWriter(cluster.store)
            side_by_side(*(partial(writer.store_batches, [hand]) for hand in deal(rng, outside, 3)))
            records = cluster.relay()
        shares = [(Random(rng.random()), hand, cluster.worker()) for hand in deal(rng, records, 4)]
        side_by_side(*(partial(in_batches, *share) for share in shares))
        assert value(metrics.RETRIES) == before, "no deadlock occurred"
        finish(cluster, rng)
        assert essence(cluster.engine) == expected
        is_sound(cluster)


@few
@given(seed=SEEDS)
def test_parallel_asks_timers_and_answers_keep_all_invariants(databases: Databases, seed: int) -> None:
    rng, events = Random(seed), stream(seed, orders=16, historic=False)
    expected = alone(databases, events)
    with cluster_on(databases) as cluster:

        def _tick() -> None:
            worker = cluster.worker()
            # Less than the 14 days for which carriers' events wait for their order, which may be processed later.
            for hours in range(0, 14 * 24, 12):
                worker.tick(at(hours=hours), 3)

        shares = [(Random(rng.random()), hand, cluster.worker()) for hand in deal(rng, list(arrivals(events)), 3)]
        side_by_side(_tick, _tick, *(partial(in_batches, *share) for share in shares))
        finish(cluster, rng)
        found = essence(cluster.engine)
        assert {name: found[name] for name in ("facts", "claims", "answers")} == {
            name: expected[name] for name in ("facts", "claims", "answers")
        }
        assert rows(cluster, select(timers).where(timers.c.kind != SOURCE)) == [], "all but the watch of sources"
        is_sound(cluster)


def test_two_workers_keep_to_the_cap_of_an_account(databases: Databases) -> None:
    with cluster_on(databases, Policy(account_cap=3)) as cluster:
        people = [contact(f"c{n}", phone=f"+4477009006{n:02}") for n in range(24)]
        known = [incoming(completed(f"SO-{n}", contacts=[person])) for n, person in enumerate(people)]
        cluster.worker().process_events(known, MONDAY)
        delivered = [incoming(scanned(f"SO-{n}", at(hours=2))) for n in range(24)]
        hands = [delivered[n::4] for n in range(4)]
        side_by_side(*(partial(in_batches, Random(1), hand, cluster.worker()) for hand in hands))
        reasons = Counter(row.reason for row in rows(cluster, select(asks.c.reason)))
        assert reasons == {None: 3, "account_cap": 21}


def test_two_workers_keep_to_the_rest_of_an_address(databases: Databases) -> None:
    with cluster_on(databases, Policy()) as cluster:
        known = [incoming(completed(f"SO-{n}", account={"id": f"A-{n}"})) for n in range(24)]
        cluster.worker().process_events(known, MONDAY)
        delivered = [incoming(scanned(f"SO-{n}", at(hours=2))) for n in range(24)]
        hands = [delivered[n::4] for n in range(4)]
        side_by_side(*(partial(in_batches, Random(1), hand, cluster.worker()) for hand in hands))
        reasons = Counter(row.reason for row in rows(cluster, select(asks.c.reason)))
        assert reasons == {None: 1, "address_asked_recently": 23}


def test_an_event_processed_by_two_workers_has_one_effect(cluster: Cluster) -> None:
    raws = [completed(), scanned(time=at(hours=2)), answered(time=at(hours=3), arrival="late")]
    done = []
    side_by_side(
        *(lambda: done.append(cluster.worker().process_events([*map(incoming, raws)], MONDAY)) for _ in range(4))
    )
    assert sorted((one.new, one.duplicates) for one in done) == [(0, 3), (0, 3), (0, 3), (3, 0)]
    assert len(rows(cluster, select(answers))) == 1
    (pair,) = [one for one in cluster.relay() if one.part == "fleet"]
    assert pair.seq > 0


def test_a_worker_that_lost_its_partition_changes_nothing(databases: Databases) -> None:
    events = [raw for n in range(12) for raw in denied(n)]
    with cluster_on(databases) as cluster:
        cluster.worker().process_events([*map(incoming, events)], MONDAY)
        parts = [one for one in cluster.relay() if one.part]
        before = value(metrics.RETRIES)
        side_by_side(*(lambda: in_batches(Random(2), parts, cluster.worker(), "process_evidence") for _ in range(3)))
        assert value(metrics.RETRIES) == before
        is_sound(cluster)
        per_segment = select(pairs.c.value, func.count()).group_by(pairs.c.value)
        assert {n for _, n in rows(cluster, per_segment)} == {12}


def test_two_workers_count_in_a_segment_one_after_the_other(cluster: Cluster) -> None:
    events = [raw for n in range(16) for raw in denied(n)]
    cluster.worker().process_events([*map(incoming, events)], MONDAY)
    parts = [one for one in cluster.relay() if one.part]
    by_order = [[one for one in parts if one.seq % 2 == half] for half in (0, 1)]
    side_by_side(*(partial(in_batches, Random(3), half, cluster.worker(), "process_evidence") for half in by_order))
    is_sound(cluster)
    assert {n for _, n in rows(cluster, select(pairs.c.value, func.count()).group_by(pairs.c.value))} == {16}


def test_a_late_pair_of_an_earlier_day_counts_at_the_current_evidence(cluster: Cluster) -> None:
    events = [denied(n) for n in (0, 1, 5)]
    second = answered("SO-1", at(days=6), "ben", arrival="on_time")  # changes the pair that arrived late
    cluster.worker().process_events([incoming(raw) for raws in events for raw in raws], MONDAY)
    parts = sorted((one for one in cluster.relay() if one.part), key=lambda one: -one.seq)
    cluster.worker().process_evidence(parts[:4], MONDAY)
    cluster.worker().process_evidence(parts[4:], MONDAY)
    is_sound(cluster)
    cluster.worker().process_events([incoming(second)], MONDAY)
    cluster.worker().process_evidence([one for one in cluster.relay() if one.part], MONDAY)
    assert {row.x for row in rows(cluster, select(pairs.c.x).where(pairs.c.order_id == "SO-1"))} == {0.5}
    is_sound(cluster)


def test_two_workers_freeze_one_baseline_of_a_month(cluster: Cluster) -> None:
    worker = cluster.worker()
    worker.process_events([*map(incoming, denied(0))], MONDAY)
    parts = [one for one in cluster.relay() if one.part]
    assert len(parts) == 4
    side_by_side(*(partial(cluster.worker().process_evidence, [one], MONDAY) for one in parts))
    frozen = [line for line in dump(cluster.engine) if line.startswith("nulls ")]
    assert len(frozen) == 1
    assert "signal='on_time'" in frozen[0]


def test_the_baseline_that_another_worker_froze_first_counts(cluster: Cluster) -> None:
    first, second = Baseline(300, 1.5, 0.07), Baseline(250, 1.0, 0.05)
    with cluster.engine.begin() as connection:
        ours = EvidenceStore(connection)
        assert ours.baseline("on_time", "2026-03") is None
        with cluster.engine.begin() as other:
            assert EvidenceStore(other).freeze("on_time", "2026-03", first) == first
        assert ours.freeze("on_time", "2026-03", second) == first
        assert ours.baseline("on_time", "2026-03") == first


class Killed(BaseException):
    """The simulated death of the process."""


@contextmanager
def dying_before_commit(engine: Engine) -> Iterator[None]:
    def _die(*_: object) -> None:
        raise Killed

    sqlalchemy_event.listen(engine, "commit", _die)
    try:
        yield
    finally:
        sqlalchemy_event.remove(engine, "commit", _die)


def test_a_batch_processed_repeatedly_has_one_effect(databases: Databases) -> None:
    events = stream(5, historic=False)
    with cluster_on(databases) as cluster:
        worker, batch = cluster.worker(), list(arrivals(events))
        with dying_before_commit(cluster.engine), pytest.raises(Killed):
            worker.process_events(batch, MONDAY)
        assert rows(cluster, select(journal)) == []
        assert worker.process_events(batch, MONDAY).new == len(batch)
        once = dump(cluster.engine)
        again = worker.process_events(batch, MONDAY)
        assert (again.new, again.duplicates) == (0, len(batch))
        assert dump(cluster.engine) == once
        published_pairs = [one for one in cluster.relay() if one.part]
        with dying_before_commit(cluster.engine), pytest.raises(Killed):
            worker.process_evidence(published_pairs, MONDAY)
        assert rows(cluster, select(pairs)) == []
        assert worker.process_evidence(published_pairs, MONDAY).new == len(published_pairs)
        once = dump(cluster.engine)
        assert worker.process_evidence(published_pairs, MONDAY).duplicates == len(published_pairs)
        assert dump(cluster.engine) == once


def test_timers_of_a_killed_worker_are_fired_by_another(cluster: Cluster) -> None:
    cluster.worker().process_events([incoming(completed())], MONDAY)
    with dying_before_commit(cluster.engine), pytest.raises(Killed):
        cluster.worker().tick(at(days=3), 10)
    fired: list[int] = []
    side_by_side(*(lambda: fired.append(cluster.worker().tick(at(days=3), 10)) for _ in range(3)))
    assert sorted(fired) == [0, 0, 1]
    ((purpose, decided_at),) = rows(cluster, select(asks.c.purpose, asks.c.decided_at))
    assert (purpose, decided_at) == ("missing_scan", at(hours=3 + 24))


def test_events_that_cannot_be_processed_become_dead_letters_and_the_rest_is_processed(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def _refuse(event: Any, *rest: Any) -> None:
        if event.data.order_id == "SO-1":
            raise BadEvent("has no business here", "data.order_id")

    monkeypatch.setattr(cluster_runner, "PROCESSORS", {**PROCESSORS, "delivery.updated": _refuse})
    garbage = Incoming(b"{", "orders", "orders:0:17")
    refused = Incoming(scanned("SO-1"), "deliveries", "deliveries:3:4")
    batch = [garbage, incoming(completed("SO-1")), refused, incoming(scanned("SO-2"))]
    done = cluster.worker().process_events(batch, MONDAY)
    assert (done.new, [one.record for one in done.dead]) == (2, [garbage, refused])
    assert [one.bad.field for one in done.dead] == ["", "data.order_id"]
    found = rows(cluster, select(dead_letters).order_by(dead_letters.c.position))
    assert [row.position for row in found] == ["deliveries:3:4", "orders:0:17"]
    assert VAULT.open_bytes(found[1].raw) == b"{"
    again = cluster.worker().process_events(batch, MONDAY)
    assert (again.new, again.duplicates, len(again.dead)) == (0, 3, 1)

    refused_too = RelayedEvent(1, "", scanned("SO-1", event_id="other"), at(hours=1))
    no_part = RelayedEvent(2, "depot=Nowhere", pair_payload(cluster), at(hours=1))
    assert [one.record for one in cluster.worker().process_events([refused_too], MONDAY).dead] == [refused_too]
    assert [one.record for one in cluster.worker().process_evidence([no_part], MONDAY).dead] == [no_part]
    positions = {row.position for row in rows(cluster, select(dead_letters))}
    assert {"journal:1", "journal:2"} < positions


def pair_payload(cluster: Cluster) -> bytes:
    cluster.worker().process_events([*map(incoming, denied(7))], MONDAY)
    return next(one.payload for one in cluster.relay() if one.part)


def entry(event_id: str, order_id: str) -> Entry:
    return Entry("erp", event_id, "order.completed", False, MONDAY, "{}", order_id)


def waiting(connection: Connection) -> list[int]:
    return list(connection.execute(select(outbox.c.seq).order_by(outbox.c.seq)).scalars())


def test_an_event_committed_late_is_still_relayed(cluster: Cluster) -> None:
    with cluster.engine.connect() as slow, slow.begin():
        (early,) = SharedJournal().append(slow, [entry("a", "SO-1")])
        with cluster.engine.begin() as quick:
            (late,) = SharedJournal().append(quick, [entry("b", "SO-2")])
        with reading(cluster.engine) as connection:
            assert waiting(connection) == [late]
    assert isinstance(early, int)
    assert isinstance(late, int)
    assert early < late
    with reading(cluster.engine) as connection:
        assert waiting(connection) == [early, late]


def test_events_of_one_order_share_a_shard_and_keep_their_order(cluster: Cluster) -> None:
    with cluster.engine.begin() as connection:
        # Inserted in the order of their ids, and numbered in the order of receipt.
        seqs = SharedJournal().append(connection, [entry(name, "SO-1") for name in ("z", "b", "z", "a")])
        assert seqs[2] == "duplicate"
        new = [seq for seq in seqs if isinstance(seq, int)]
        assert sorted(new) == new
        assert SharedJournal().append(connection, [entry("c", "SO-1")], publish=False) != ["duplicate"]
        shards = list(connection.execute(select(outbox.c.shard)).scalars())
        assert shards == [shard_of("SO-1")] * 3
    assert {shard_of(f"SO-{n}") for n in range(400)} == set(range(SHARDS))


def test_an_event_that_came_from_a_topic_is_not_published_again(cluster: Cluster) -> None:
    cluster.worker().process_events([*map(incoming, denied(0))], MONDAY)
    types = [row.type for row in rows(cluster, select(journal.c.type).join(outbox, outbox.c.seq == journal.c.seq))]
    assert sorted(types) == ["case.opened", "fulfilment.compared"]
