"""What the search finds does not depend on the order in which events of an order arrive."""

from itertools import permutations

import pytest

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.principal import LOCAL
from pipeline.store.db.engine import reading
from pipeline.store.reads.listing.search import accounts_like, orders_like
from tests.support.builders import answered, at, completed, scanned
from tests.support.running.embedded import ingest

EVENTS = (
    completed("SO-1", account={"id": "A-9", "name": "Atelier Roux"}),
    scanned("SO-1", at(hours=1)),
    answered("SO-1", at(hours=2), arrival="late", score={"value": 2}),
)


@pytest.mark.parametrize("places", list(permutations(range(3))))
def test_an_account_is_found_whatever_was_heard_first_of_its_order(
    runtime: EmbeddedRunner, places: tuple[int, ...]
) -> None:
    for place in places:
        ingest(runtime, EVENTS[place], received_at=at(hours=3))
    with reading(runtime.engine) as connection:
        assert orders_like(connection, LOCAL, "so-1", 5) == ["SO-1"]
        assert [found.account_id for found in accounts_like(connection, LOCAL, "roux", 5)] == ["A-9"]
