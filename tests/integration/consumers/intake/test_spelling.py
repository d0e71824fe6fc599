"""Ids and dimension values that are written in several ways: one order, one segment."""

import pytest

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.principal import LOCAL
from pipeline.store.db.engine import reading
from pipeline.store.reads import reports
from pipeline.store.schema.asks import asks
from pipeline.store.schema.orders import orders
from tests.support.builders import at, completed, scanned
from tests.support.modes import EVERYWHERE
from tests.support.running.embedded import ingest
from tests.support.stored import rows

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)

DEPOTS = ("Orléans", "Orléans ", "Orle\u0301ans", "Orléans\u00a0", "Orlé\u200bans", "\ufeffOrléans")


def test_a_depot_written_in_several_ways_is_one_segment(runtime: EmbeddedRunner) -> None:
    ingest(runtime, *(completed(f"SO-{n}", dimensions={"depot": depot}) for n, depot in enumerate(DEPOTS)))
    ingest(runtime, *(scanned(f"SO-{n}", time=at(hours=2)) for n in range(len(DEPOTS))))
    with reading(runtime.engine) as connection:
        assert [*reports.by_segment(connection, LOCAL, "depot")] == ["Orléans"]
        assert reports.by_segment(connection, LOCAL, "depot")["Orléans"]["delivered"] == len(DEPOTS)


@pytest.mark.parametrize("spelled", ["SO-1 ", "\u00a0SO-1", "SO-\u200b1", "\nSO-1"])
def test_an_order_written_in_two_ways_is_one_order(runtime: EmbeddedRunner, spelled: str) -> None:
    ingest(runtime, completed("SO-1"), scanned(spelled, time=at(hours=2)), completed(spelled, event_id="again"))
    assert [row["order_id"] for row in rows(runtime, orders)] == ["SO-1"]
    assert [row["order_id"] for row in rows(runtime, asks)] == ["SO-1"]
