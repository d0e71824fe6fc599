"""The migration that counts what causes cost gives the figures that orders counted from the start have."""

from typing import Any

import msgspec
from sqlalchemy import select

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.reports.counts import CAUSE
from pipeline.store.orders.orders import count_causes
from pipeline.store.schema.orders import orders, rollup_sums, rollups
from tests.support.builders import answered, asked, at, completed, contact, scanned
from tests.support.running.embedded import ingest


def sums(runtime: EmbeddedRunner) -> list[tuple[object, ...]]:
    with runtime.engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(select(rollups).order_by(*rollups.primary_key.columns))]
        found += [tuple(row) for row in connection.execute(select(rollup_sums).order_by(*rollup_sums.primary_key))]
    return found


def order(number: int, **said: Any) -> list[bytes]:
    who = [contact("ana", phone=f"+4477009001{number:02d}")]
    return [
        completed(f"SO-{number}", at(days=number), contacts=who, dimensions={"depot": "Lyon"}),
        scanned(f"SO-{number}", at(days=number, hours=1)),
        asked(f"SO-{number}", at(days=number, hours=2)),
        answered(f"SO-{number}", at(days=number, hours=3), **said),
    ]


def test_orders_of_the_version_before_are_counted_as_new_ones_are(runtime: EmbeddedRunner) -> None:
    score = {"value": 2, "scale": 10}
    ingest(
        runtime,
        *order(0, arrival="late", score=score),
        *order(1, arrival="on_time", complete=False, condition=["damaged"], score=score),
        *order(2, arrival="on_time", score={"value": 10, "scale": 10}),
        *order(3, arrival="late"),
    )
    counted = sums(runtime)
    assert sum("cause:late:detractor" in row for row in counted) >= 4, "of the fleet and of Lyon, by day and by span"
    with runtime.engine.begin() as connection:  # as the version before left them
        for table in (rollups, rollup_sums):
            connection.execute(table.delete().where(table.c.counter.startswith(CAUSE)))
        for order_id, text in connection.execute(select(orders.c.order_id, orders.c.counted)).all():
            stored = msgspec.json.decode(text)
            stored["counts"] = {name: n for name, n in stored["counts"].items() if not name.startswith(CAUSE)}
            changed = orders.update().where(orders.c.order_id == order_id)
            connection.execute(changed.values(counted=msgspec.json.encode(stored).decode()))
    assert sums(runtime) != counted
    for _ in range(2):  # a second time changes nothing
        with runtime.engine.begin() as connection:
            count_causes(connection, [f"SO-{number}" for number in range(4)])
        assert sums(runtime) == counted
    ingest(runtime, answered("SO-0", at(days=9), arrival="on_time", score={"value": 9, "scale": 10}))
    assert not any("cause:late:detractor" in row for row in sums(runtime)), "an amended answer takes them back"
