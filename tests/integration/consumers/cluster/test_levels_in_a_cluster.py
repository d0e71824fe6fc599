"""Levels that change while the processes of a cluster run: each pair counts once in each level."""

from collections.abc import Iterator, Sequence
from functools import partial

import pytest
from sqlalchemy import func, select

from pipeline.consumers import level_changes
from pipeline.consumers.cluster.relayed_event import RelayedEvent
from pipeline.domain.asking.policy import Policy
from pipeline.domain.detection.segments import Level
from pipeline.store.db.engine import reading
from pipeline.store.evidence import level_changes as stored_changes
from pipeline.store.schema.evidence import pairs
from pipeline.store.schema.journal import dead_letters
from tests.support.builders import MONDAY, at
from tests.support.invariants import violated_invariants
from tests.support.running.cluster import Cluster
from tests.support.running.cluster_work import denied, side_by_side
from tests.support.running.embedded import incoming
from tests.support.running.steps import relay


@pytest.fixture
def cluster(postgresql_database_url: str) -> Iterator[Cluster]:
    cluster = Cluster(postgresql_database_url, Policy(), "depot:2")
    yield cluster
    cluster.engine.dispose()


def unseen(_done: int, _total: int) -> None:
    """Nobody watches the progress."""


def relayed(cluster: Cluster) -> list[RelayedEvent]:
    """The parts of pairs in the outbox, as relays publish them under the levels of now."""
    with reading(cluster.engine) as connection:
        levels = cluster.setup.with_changes(stored_changes.read(connection)).levels
    return [one for one in relay(cluster.engine, levels) if one.part]


def answered_orders(cluster: Cluster, numbers: Sequence[int]) -> None:
    for n in numbers:
        cluster.worker().process_events([*map(incoming, denied(n))], MONDAY)


def carriers(cluster: Cluster) -> list[str]:
    with reading(cluster.engine) as connection:
        query = select(pairs.c.order_id).where(pairs.c.dimension == "carrier").order_by(pairs.c.n)
        return list(connection.execute(query).scalars())


def is_sound(cluster: Cluster) -> None:
    assert violated_invariants(cluster.engine, cluster.setup) == []
    with reading(cluster.engine) as connection:
        assert connection.execute(select(func.count()).select_from(dead_letters)).scalar_one() == 0


def test_pairs_that_wait_in_the_outbox_or_are_on_their_way_count_once(cluster: Cluster) -> None:
    answered_orders(cluster, [0, 1])
    on_their_way = relayed(cluster)
    answered_orders(cluster, [2, 3])
    level_changes.add(cluster.store, cluster.setup, Level("carrier", 1), at(), unseen)
    assert carriers(cluster) == ["SO-0", "SO-1", "SO-2", "SO-3"]
    waiting = relayed(cluster)
    assert any(one.part.startswith("carrier=") for one in waiting)
    answered_orders(cluster, [4])
    for parts in (on_their_way, waiting, relayed(cluster)):
        cluster.worker().process_evidence(parts, MONDAY)
    assert carriers(cluster) == ["SO-0", "SO-1", "SO-2", "SO-3", "SO-4"]
    is_sound(cluster)


def test_parts_of_a_removed_level_that_are_on_their_way_are_no_dead_letters(cluster: Cluster) -> None:
    level_changes.add(cluster.store, cluster.setup, Level("carrier", 1), at(), unseen)
    answered_orders(cluster, [0])
    cluster.worker().process_evidence(relayed(cluster), MONDAY)
    answered_orders(cluster, [1])
    on_their_way = relayed(cluster)
    level_changes.remove(cluster.store, cluster.setup, "carrier", at(), unseen)
    cluster.worker().process_evidence(on_their_way, MONDAY)
    assert carriers(cluster) == ["SO-0"]
    is_sound(cluster)


def test_a_level_is_added_while_workers_process(cluster: Cluster) -> None:
    answered_orders(cluster, range(4))
    for one in relayed(cluster):
        cluster.worker().process_evidence([one], MONDAY)
    add = partial(level_changes.add, cluster.store, cluster.setup, Level("carrier", 1), at(), unseen)
    work = (partial(answered_orders, cluster, some) for some in (range(10, 16), range(20, 26)))
    side_by_side(add, *work)
    for one in relayed(cluster):
        cluster.worker().process_evidence([one], MONDAY)
    assert sorted(carriers(cluster)) == sorted(f"SO-{n}" for n in (*range(4), *range(10, 16), *range(20, 26)))
    is_sound(cluster)
