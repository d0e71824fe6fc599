"""Ways to embellish: each observed once, when it is first known, and run through the detector like any signal."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zlib import crc32

import pytest
from sqlalchemy import select

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.store.db.engine import reading
from pipeline.store.schema.evidence import alerts, pairs
from tests.support.builders import answered, asked, at, completed, contact, repromised, scanned
from tests.support.modes import EVERYWHERE
from tests.support.running.embedded import embedded, ingest
from tests.support.stored import HISTORIC, published, rows

everywhere = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)
NOON = timedelta(hours=3)  # the promise of an order, from its completion at nine


def signs(runtime: EmbeddedRunner) -> list[tuple[str, dict[str, float]]]:
    """Every event about signs: the order, and `x` by signal."""
    return [
        (event["order_id"], {signal: seen["x"] for signal, seen in event["observations"].items()})
        for event in published(runtime, "embellishment.observed")
    ]


def phone_of(order_id: str) -> str:
    """A phone that no other order has: nobody is asked twice within days."""
    return f"+4477009{crc32(order_id.encode()) % 100_000:05}"


def late(order_id: str, time: datetime, depot: str = "Lyon", moved: bool = False, **data: Any) -> list[bytes]:
    """An order delivered six hours after its completion, three after its promise; if `moved` on time by a new one."""
    own = contact(phone=phone_of(order_id))
    known = {"account": {"id": f"A-{order_id}"}, "dimensions": {"depot": depot}, "contacts": [own]} | data
    raws = [completed(order_id, time, **known)]
    if moved:
        raws.append(repromised(order_id, time + NOON + timedelta(minutes=5), time + timedelta(hours=7)))
    return [*raws, scanned(order_id, time + timedelta(hours=6))]


@everywhere
def test_a_late_order_is_observed_once_and_later_edits_change_nothing(database_url: str) -> None:
    runtime = embedded(database_url)
    try:
        ingest(runtime, *late("SO-1", at()))
        assert signs(runtime) == [("SO-1", {"moved": 0.0, "no_question": 0.0})]
        ingest(runtime, repromised("SO-1", at(hours=8), at(hours=9)))
        ingest(runtime, completed("SO-1", at(hours=10), "again", contacts=[]))
        assert len(signs(runtime)) == 1
    finally:
        runtime.engine.dispose()


def test_an_order_on_time_with_a_contact_shows_no_sign(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed("SO-1", at()), scanned("SO-1", at(hours=1)))
    assert signs(runtime) == []


def test_a_promise_moved_after_it_was_missed_and_kept_is_a_sign(runtime: EmbeddedRunner) -> None:
    ingest(runtime, *late("SO-1", at(), moved=True))
    known: dict[str, Any] = {"account": {"id": "A-2"}, "contacts": [contact(phone=phone_of("SO-2"))]}
    before = [
        completed("SO-2", at(), **known),
        repromised("SO-2", at(hours=1), at(hours=7)),
        scanned("SO-2", at(hours=6)),
    ]
    ingest(runtime, *before)
    assert signs(runtime) == [
        ("SO-1", {"moved": 1.0, "no_question": 0.0}),
        ("SO-2", {"moved": 0.0, "no_question": 0.0}),
    ], "a promise moved in time is no sign"


def test_a_problem_order_without_anybody_to_ask_is_a_sign(runtime: EmbeddedRunner) -> None:
    ingest(runtime, *late("SO-1", at(), contacts=[]))
    ingest(runtime, *late("SO-2", at(), contacts=[contact(phone=None)]))
    assert [x["no_question"] for _, x in signs(runtime)] == [1.0, 1.0]


def test_an_arrival_well_after_the_scan_is_a_sign(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed("SO-1", at()), scanned("SO-1", at(hours=1)))
    ingest(runtime, answered("SO-1", at(hours=9), arrival="late", arrived_at=at(hours=4)))
    ingest(runtime, answered("SO-1", at(hours=10), arrival="on_time", arrived_at=at(hours=1)))
    assert signs(runtime) == [("SO-1", {"early": 1.0})], "a correction of the answer changes nothing"


MARCH, APRIL = at(), datetime(2026, 4, 1, 9, tzinfo=at().tzinfo)
OTHERS = ("Metz", "Nancy", "Nice", "Pau", "Lens")


def ordinary_month(runtime: EmbeddedRunner) -> None:
    """In March 25 late orders of each of five depots, of which they moved two promises."""
    raws = [
        raw
        for depot in OTHERS
        for n in range(25)
        for raw in late(f"{depot}-{n}", MARCH + timedelta(days=n), depot, moved=n in (7, 15), **HISTORIC)
    ]
    ingest(runtime, *raws)


def moving_depot(runtime: EmbeddedRunner, arrival: str, first: int = 0, n: int = 12) -> None:
    """Lyon moves the promise of each of its late orders, and their customers state this arrival."""
    raws: list[bytes] = []
    for k in range(first, first + n):
        order_id, time = f"SO-{k}", APRIL + timedelta(days=k)
        known = {"account_id": f"A-{order_id}"}
        raws += late(order_id, time, moved=True, **HISTORIC)
        raws.append(asked(order_id, time + timedelta(hours=7), **known))
        raws.append(answered(order_id, time + timedelta(hours=8), arrival=arrival))
    ingest(runtime, *raws)


def kinds(runtime: EmbeddedRunner) -> dict[str, str]:
    return {row["signal"]: row["kind"] for row in rows(runtime, alerts) if row["dimension"] == "depot"}


@everywhere
def test_a_depot_that_moves_promises_is_called_only_if_its_customers_disagree(database_url: str) -> None:
    runtime = embedded(database_url, levels="depot:8")
    try:
        ordinary_month(runtime)
        moving_depot(runtime, "on_time")
        assert kinds(runtime)["moved"] == "watch"
        moving_depot(runtime, "late", first=12, n=20)
        assert kinds(runtime)["moved"] == "divergence", "asked again while the evidence grows"
    finally:
        runtime.engine.dispose()


def test_a_depot_that_moves_promises_and_whose_customers_disagree_is_called_at_once(database_url: str) -> None:
    runtime = embedded(database_url, levels="depot:8")
    try:
        ordinary_month(runtime)
        moving_depot(runtime, "late")
        assert kinds(runtime)["moved"] == "divergence"
    finally:
        runtime.engine.dispose()


def test_the_baseline_of_a_sign_is_the_others_share_with_their_spread(database_url: str) -> None:
    runtime = embedded(database_url, levels="depot:8")
    try:
        ordinary_month(runtime)
        moving_depot(runtime, "late", n=1)
        with reading(runtime.engine) as connection:
            query = select(pairs.c.delta).where(pairs.c.signal == "moved", pairs.c.value == "Lyon")
            (delta,) = connection.execute(query).scalars()
        assert delta == (10 + 0.5) / (125 + 1), "they do not differ: no spread"
    finally:
        runtime.engine.dispose()


def test_without_enough_others_a_sign_has_no_baseline_and_no_evidence(database_url: str) -> None:
    runtime = embedded(database_url, levels="depot:8")
    try:
        moving_depot(runtime, "late", n=3)
        assert [row for row in rows(runtime, pairs) if row["signal"] == "moved"] == []
    finally:
        runtime.engine.dispose()


def test_a_depot_whose_customers_have_no_phones_hides_nothing(
    database_url: str, start: Callable[..., EmbeddedRunner]
) -> None:
    """Half of its orders have nobody to ask, whether they are late or not."""
    runtime = start(levels="depot:8")
    nobody: dict[str, Any] = {"contacts": []}
    raws: list[bytes] = []
    for place, depot in enumerate([*OTHERS, "Lyon"]):
        for n in range(26):
            time = MARCH + timedelta(days=n, minutes=place)
            missing = nobody if depot == "Lyon" and n % 2 else {}
            raws += late(f"{depot}-{n}", time, depot, **missing)
            own = contact(phone=phone_of(f"{depot}-C{n}"))
            clean = {"account": {"id": f"B-{depot}-{n}"}, "dimensions": {"depot": depot}, "contacts": [own]} | missing
            raws += [completed(f"{depot}-C{n}", time, **clean), scanned(f"{depot}-C{n}", time + timedelta(hours=1))]
    ingest(runtime, *raws)
    for n in range(20):
        ingest(runtime, *late(f"SO-{n}", APRIL + timedelta(days=n), **(nobody if n % 2 else {})))
    assert "no_question" not in kinds(runtime)
    for n in range(20, 45):
        ingest(runtime, *late(f"SO-{n}", APRIL + timedelta(hours=20 * n), "Metz", **nobody))
    assert kinds(runtime)["no_question"] == "divergence"
