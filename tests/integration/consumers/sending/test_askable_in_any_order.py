"""In whatever order events arrive: an order that is delivered to somebody askable is asked about, once."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.sending.dispatcher import Dispatcher
from pipeline.domain.asking.policy import Policy
from pipeline.notifiers.port import Accepted, Message, ProviderAnswer
from tests.support.builders import at, completed, contact, scanned
from tests.support.examples import examples
from tests.support.running.embedded import ingest
from tests.support.running.sending import dispatcher, sending_runner, stored
from tests.support.servers.postgres import PostgresServer
from tests.support.streams import Databases

POLICY = Policy(
    ask_after=timedelta(minutes=90),
    probe_after=timedelta(hours=4),
    remind_after=None,
    quiet_from=datetime.min.time(),
    quiet_until=datetime.min.time(),
)
UNASKABLE: tuple[list[dict[str, Any]], ...] = (
    [],
    [contact(role="gatekeeper")],
    [contact(consent=None)],
    [contact(phone=None)],
    [contact(phone="0000")],
)  # No word against consent is among them: the strictest counts, whenever it comes.
few = hypothesis_settings(max_examples=examples(5), suppress_health_check=list(HealthCheck))


class Recorder:
    """A channel that takes everything."""

    name = "recorder"

    def __init__(self) -> None:
        self.sent: list[str] = []

    def send(self, message: Message) -> ProviderAnswer:
        self.sent.append(message.to)
        return Accepted(f"R-{len(self.sent)}")

    def find(self, *_: Any) -> None:
        return None


@pytest.fixture(scope="module")
def databases(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Databases]]:
    server: PostgresServer = request.getfixturevalue("postgres_server")
    template = request.getfixturevalue("_migrated_postgres_database")
    migrated: Path = request.getfixturevalue("_migrated_sqlite_file")
    found = {
        "sqlite": Databases(tmp_path_factory.mktemp("any_order"), migrated, None, None),
        "postgresql": Databases(tmp_path_factory.mktemp("unused"), None, server, template),
    }
    yield found
    for one in found.values():
        one.drop()


@contextmanager
def sending(databases: Databases) -> Iterator[tuple[EmbeddedRunner, Dispatcher, Recorder]]:
    runtime, phone = sending_runner(databases.fresh(), POLICY), Recorder()
    sender = dispatcher(runtime.store, phone, POLICY)
    try:
        yield runtime, sender, phone
    finally:
        sender.stop()
        runtime.engine.dispose()


def story(rng: Random) -> list[bytes]:
    """One order, by the times of its events: in the end delivered, to a contact who can be asked."""
    minutes = iter(range(1, 100))
    parcels, raws = rng.randint(1, 2), []
    for n in range(rng.randint(0, 3)):
        time = at() + timedelta(minutes=next(minutes))
        more: dict[str, Any] = {"contacts": rng.choice(UNASKABLE), "shipments": rng.randint(1, 2)}
        raws.append(completed(time=time, event_id=f"revision-{n}", **more))
    raws.append(completed(time=at() + timedelta(minutes=next(minutes)), event_id="last", shipments=parcels))
    for parcel in range(parcels):
        statuses = [*rng.choice(((), ("returned",), ("delivered", "returned"))), "delivered"]
        for n, status in enumerate(statuses):
            time = at() + timedelta(minutes=next(minutes))
            raws.append(scanned(time=time, status=status, shipment_id=f"p{parcel}", event_id=f"scan-{parcel}-{n}"))
    return raws


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
@few
@given(seed=st.integers(0, 2**32), hours=st.sampled_from((1, 3)))
def test_no_order_of_arrival_leaves_anybody_unasked_or_asked_twice(
    databases: dict[str, Databases], engine: str, seed: int, hours: int
) -> None:
    rng = Random(seed)
    raws = story(rng)
    rng.shuffle(raws)
    with sending(databases[engine]) as (runtime, sender, phone):
        now = at(hours=2)
        for raw in raws:
            ingest(runtime, raw, received_at=now)
            sender.run_once(now)
            runtime.process_pending()
            for later in range(hours * 2):
                runtime.tick(now + timedelta(minutes=30 * later))
                sender.run_once(now + timedelta(minutes=30 * later))
                runtime.process_pending()
            now += timedelta(hours=hours)
        for later in range(60):
            runtime.tick(now + timedelta(hours=later))
            sender.run_once(now + timedelta(hours=later))
            runtime.process_pending()
        asked = [row for row in stored(runtime.engine) if row["recipient"] is not None]
        assert [row["contact_id"] for row in asked] == ["ana"], stored(runtime.engine)
        assert len(phone.sent) == 1

        again = now + POLICY.contact_rest
        ingest(runtime, completed("SO-2", again), scanned("SO-2", again))
        sender.run_once(again + timedelta(hours=2))
        assert len(phone.sent) == 2, "after the rest the customer is asked about the next order"


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
@few
@given(seed=st.integers(0, 2**32))
def test_no_address_is_asked_before_its_rest_is_over(databases: dict[str, Databases], engine: str, seed: int) -> None:
    """Contacts, accounts and phones at random, some phones corrected between the decision and the question."""
    rng = Random(seed)
    with sending(databases[engine]) as (runtime, sender, phone):
        for n in range(25):
            now = at(hours=n * rng.choice((2, 5, 9)))
            who, account = f"c{rng.randrange(6)}", {"id": f"A-{rng.randrange(3)}"}
            for version in range(rng.randint(1, 2)):
                people = [contact(who, phone=f"+44770090050{rng.randrange(3)}")]
                order = completed(f"SO-{n}", now, f"SO-{n}:{version}", account=account, contacts=people)
                ingest(runtime, order, scanned(f"SO-{n}", now), received_at=now)
                now += timedelta(minutes=10)
            if rng.random() < 0.8:
                sender.run_once(now + timedelta(hours=2))
                runtime.process_pending()
        sender.run_once(at(days=11))
        moments: dict[str, list[datetime]] = defaultdict(list)
        for row in stored(runtime.engine):
            if row["recipient"] is not None:
                moments[row["recipient"]].append(row["decided_at"])
        assert Counter({to: len(found) for to, found in moments.items()}).total() == len(phone.sent) > 0
        for found in moments.values():
            found.sort()
            assert all(later - earlier >= POLICY.contact_rest for earlier, later in pairwise(found))
