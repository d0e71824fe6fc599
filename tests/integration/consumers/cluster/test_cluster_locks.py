"""Locks of workers, dispatchers and callbacks on one database: no deadlock, and no long wait."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, event, func, literal_column, select, text

from pipeline import metrics
from pipeline.app.installation import DatabaseMismatch, open_installation, open_shared
from pipeline.consumers.cluster import runner as cluster_runner
from pipeline.consumers.cluster.outbox_writer import OutboxWriter
from pipeline.consumers.conversation import handling
from pipeline.consumers.conversation.texts import Inbound
from pipeline.consumers.routing import PROCESSORS
from pipeline.domain.answers.replies import PlainReader
from pipeline.domain.asking.ask_states import AskState
from pipeline.domain.asking.policy import Policy
from pipeline.domain.events.contract import Account
from pipeline.domain.events.decoding import decode
from pipeline.domain.orders.facts import Revision
from pipeline.settings import Settings
from pipeline.store.asks import outcomes as asks_store
from pipeline.store.asks.claiming import Claimer
from pipeline.store.asks.outcomes import AcceptedMessage
from pipeline.store.db.engine import connect, reading
from pipeline.store.evidence.evidence import Baseline, EvidenceStore
from pipeline.store.evidence.spreads import SpreadStore
from pipeline.store.journal.journal import Entry
from pipeline.store.journal.state import clock_of
from pipeline.store.orders.order_list import ORDER
from pipeline.store.orders.timers import TimerStore
from pipeline.store.schema.answers import answers
from pipeline.store.schema.asks import asks
from pipeline.store.schema.journal import journal
from pipeline.store.schema.orders import search_parts
from pipeline.store.schema.tables import metadata
from pipeline.store.schema.upgrade import migrate
from pipeline.store.unit_of_work import UnitOfWork
from tests.support.builders import MONDAY, answered, at, completed, contact, scanned
from tests.support.limits import PATIENCE, until
from tests.support.metrics import value
from tests.support.running.cluster import Cluster
from tests.support.running.cluster_work import denied, side_by_side
from tests.support.running.embedded import VAULT, incoming

LEASE = timedelta(seconds=60)


@pytest.fixture
def cluster(postgresql_database_url: str) -> Iterator[Cluster]:
    cluster = Cluster(postgresql_database_url, Policy(remind_after=None), "depot:20", sending=True)
    yield cluster
    cluster.engine.dispose()


def being_sent(cluster: Cluster, orders: int) -> list[AcceptedMessage]:
    """Deliveries whose questions a dispatcher has claimed. Returns the provider's later reports on them."""
    raws = []
    for n in range(orders):
        person, account = contact(phone=f"+4477009003{n:02}"), {"id": f"A-{n}"}
        raws += [completed(f"SO-{n}", account=account, contacts=[person]), scanned(f"SO-{n}", at(hours=2))]
    cluster.worker().process_events([*map(incoming, raws)], MONDAY)
    with cluster.engine.begin() as connection:
        claims = Claimer(VAULT, Policy(), "one", {"sms"}, LEASE).claim(connection, at(hours=2), orders)
    assert len(claims.to_send) == orders
    return sorted(AcceptedMessage(one.key, one.attempt, f"SM-{one.key.order_id}") for one in claims.to_send)


def impatient(connection: Connection) -> None:
    connection.execute(text("SET LOCAL lock_timeout = '2s'"))


def waits_for_a_lock(cluster: Cluster) -> bool:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    with reading(cluster.engine) as connection:
        return bool(connection.execute(waiting).scalar())


def test_appending_waits_for_no_other_transaction(cluster: Cluster) -> None:
    news = being_sent(cluster, 2)
    inbound = Inbound("twilio", "SM-x", VAULT.phone_digest("+447700900399"), "STOP", MONDAY)
    with cluster.engine.begin() as slow:
        cluster.store.journal.append(slow, [Entry("erp", "slow", "order.completed", False, MONDAY, "{}", "SO-9")])
        with cluster.engine.begin() as quick, cluster.engine.begin() as other:
            impatient(other)
            asks_store.record_accepted(quick, cluster.store.journal, news[:1], at(hours=2))
            asks_store.record_accepted(other, cluster.store.journal, news[1:], at(hours=2))
        with cluster.engine.begin() as quick:
            impatient(quick)
            assert handling.handle_text(quick, cluster.store, inbound, PlainReader(), MONDAY).outcome == "quarantined"
        OutboxWriter(cluster.store).store_batches([[incoming(completed("SO-8"))]])


def test_reports_about_several_asks_lock_them_in_one_order(cluster: Cluster) -> None:
    first, second = being_sent(cluster, 2)
    with ThreadPoolExecutor(1) as pool:
        with cluster.engine.begin() as one:
            asks_store.record_accepted(one, cluster.store.journal, [first], at(hours=2))
            other = pool.submit(in_a_transaction, cluster, [second, first])
            until(lambda: waits_for_a_lock(cluster), "a wait for a lock")
            impatient(one)
            asks_store.record_accepted(
                one, cluster.store.journal, [second], at(hours=2)
            )  # the second waits for the first, and has no lock yet
        other.result(PATIENCE)


def test_shared_rows_are_written_in_one_order(cluster: Cluster) -> None:
    shared = {"rollups", "rollup_sums", "account_sums", "people", "person_orders", "sealing_keys"}
    written: dict[str, list[tuple[object, ...]]] = {}

    def _note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        table = (statement.split() + [""] * 3)[2]
        if statement.startswith("INSERT") and table in shared:
            keys = [column.name for column in metadata.tables[table].primary_key]
            given = msgspec.json.decode(parameters["given_rows"])
            written.setdefault(table, []).extend(tuple(row[key] for key in keys) for row in given)

    event.listen(cluster.engine, "before_cursor_execute", _note)
    ids = (9, 2, 5)
    raws = [completed(f"SO-{n}", at(days=n), contacts=[contact(f"c{n}")], account={"id": f"A-{n}"}) for n in ids]
    cluster.worker().process_events([*map(incoming, raws)], MONDAY)
    assert written.keys() == shared
    for keys in written.values():
        assert keys == sorted(keys)


MONTH = MONDAY.date().replace(day=1)
FREEZES: dict[str, Callable[[Connection], object]] = {
    "baseline": lambda connection: EvidenceStore(connection).freeze("late", "2026-03", Baseline(300, 1.5, 0.07)),
    "spread": lambda connection: SpreadStore(connection).spread("late", "depot", MONTH),
    "contacts": lambda connection: SpreadStore(connection).contacts("depot", MONTH, list),
    "factor": lambda connection: SpreadStore(connection).factor("late", 738_000, lambda: 1.0),
}


@pytest.mark.parametrize(("first", "second"), [*combinations(FREEZES, 2)])
def test_batches_that_freeze_the_same_in_opposite_orders_do_not_deadlock(
    cluster: Cluster, first: str, second: str
) -> None:
    def _freeze(*names: str) -> None:
        with cluster.engine.begin() as connection:
            for name in names:
                FREEZES[name](connection)

    with ThreadPoolExecutor(1) as pool:
        with cluster.engine.begin() as one:
            FREEZES[first](one)
            other = pool.submit(_freeze, second, first)
            until(lambda: waits_for_a_lock(cluster), "a wait for a lock")
            FREEZES[second](one)
        other.result(PATIENCE)


def test_what_the_search_finds_is_written_once_and_late(cluster: Cluster) -> None:
    """A transaction may write orders several times. Those of one account share what the search finds."""
    written: list[str] = []

    def _note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO"):
            written.append(statement.split()[2])

    event.listen(cluster.engine, "before_cursor_execute", _note)
    with cluster.engine.begin() as connection:
        work = UnitOfWork(connection, cluster.store.journal, cluster.setup, TimerStore(connection, (), MONDAY))
        for name in ("SO-2", "SO-1"):
            work.orders.get(name).facts.revisions.append(Revision(MONDAY, "erp", name, Account("A-1", "Acme"), MONDAY))
            work.orders.flush()
        assert "search_parts" not in written
        work.flush()
    assert written.count("search_parts") == 1
    assert {"order_list", "orders", "journal", "opt_outs"}.isdisjoint(written[written.index("search_parts") :])
    with reading(cluster.engine) as connection:
        found = connection.execute(select(search_parts.c.subject).where(search_parts.c.kind == ORDER)).scalars()
        assert set(found) == {"SO-1", "SO-2"}


def test_a_dispatcher_skips_asks_that_a_worker_has_locked(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.worker().process_events([incoming(completed()), incoming(scanned(time=at(hours=2)))], MONDAY)
    found = []

    def _claim_meanwhile(event: Any, work: Any, now: Any) -> None:
        with cluster.engine.begin() as connection:
            found.append(Claimer(VAULT, Policy(), "one", {"sms"}, LEASE).claim(connection, at(hours=3), 5))
        PROCESSORS[event.type](event, work, now)

    monkeypatch.setattr(cluster_runner, "PROCESSORS", {**PROCESSORS, "feedback.received": _claim_meanwhile})
    cluster.worker().process_events([incoming(answered(time=at(hours=3), arrival="late"))], MONDAY)
    assert [claims.to_send for claims in found] == [[]]
    with reading(cluster.engine) as connection:
        assert connection.execute(select(asks.c.state)).scalar() == "answered"


def in_a_transaction(cluster: Cluster, news: Sequence[AcceptedMessage]) -> None:
    with cluster.engine.begin() as connection:
        asks_store.record_accepted(connection, cluster.store.journal, news, at(hours=2))


def test_answers_reports_and_callbacks_do_not_deadlock(cluster: Cluster) -> None:
    news, before = being_sent(cluster, 20), value(metrics.RETRIES)
    replies = [incoming(answered(f"SO-{n}", at(hours=3), arrival="late")) for n in (*range(19, -1, -1),)]
    delivered = [one._replace(state=AskState.DELIVERED) for one in news]
    side_by_side(
        lambda: cluster.worker().process_events(replies[:14], MONDAY),
        lambda: cluster.worker().process_events(replies[6:], MONDAY),
        lambda: in_a_transaction(cluster, news[::-1]),
        *(lambda one=one: in_a_transaction(cluster, [one]) for one in delivered),
    )
    for relayed in (cluster.relay(), cluster.relay()):
        cluster.worker().process_events([one for one in relayed if not one.part], MONDAY)
    with reading(cluster.engine) as connection:
        assert set(connection.execute(select(asks.c.state)).scalars()) == {"answered"}
        requests = select(func.count()).where(journal.c.type == "feedback.requested")
        assert connection.execute(requests).scalar() == 20, "each question was published once"
    assert value(metrics.RETRIES) == before


def test_a_suspended_worker_loses_its_locks_and_starts_again(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    stood_still = list[int]()

    def _stand_still(event: Any, work: Any, now: Any) -> None:
        if not stood_still:
            backend = work.connection.execute(text("SELECT pg_backend_pid()")).scalar()
            work.connection.execute(text("SET idle_in_transaction_session_timeout = '20ms'"))
            stood_still.append(backend)
            until(lambda: not is_there(cluster, backend), "the end of the backend")
            cluster.worker().process_events(
                [incoming(answered(time=at(hours=3)))], MONDAY
            )  # other workers continue meanwhile
        PROCESSORS[event.type](event, work, now)

    monkeypatch.setattr(cluster_runner, "PROCESSORS", {**PROCESSORS, "delivery.updated": _stand_still})
    batch = [incoming(raw) for raw in (completed(), answered(time=at(hours=3)), scanned(time=at(hours=2)))]
    done = cluster.worker().process_events(batch, MONDAY)
    assert (done.new, done.duplicates) == (2, 1)
    with reading(cluster.engine) as connection:
        assert connection.execute(select(func.count()).select_from(answers)).scalar() == 1


def is_there(cluster: Cluster, backend: int) -> bool:
    with reading(cluster.engine) as connection:
        found = text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid")
        return bool(connection.execute(found, {"pid": backend}).scalar())


def test_a_transaction_of_a_worker_may_be_idle_for_ten_seconds(cluster: Cluster) -> None:
    with reading(cluster.engine) as connection:
        assert connection.execute(text("SHOW idle_in_transaction_session_timeout")).scalar() == "10s"


def test_a_page_is_rendered_again_after_every_change(cluster: Cluster) -> None:
    seen = []
    for raw in denied(0):
        cluster.worker().process_events([incoming(raw)], MONDAY)
        with reading(cluster.engine) as connection:
            seen.append(cluster.store.journal.version(connection))
            assert clock_of(connection) == decode(raw).time
    for one in cluster.relay():
        (cluster.worker().process_evidence if one.part else cluster.worker().process_events)([one], MONDAY)
        with reading(cluster.engine) as connection:
            seen.append(cluster.store.journal.version(connection))
    assert len(set(seen)) == len(seen) > 3


# --- which mode a database is in ----------------------------------------------------------------------------


def test_a_database_keeps_the_mode_of_its_first_start(postgresql_database_url: str, tmp_path: Path) -> None:
    settings = Settings(database_url=postgresql_database_url, data_dir=tmp_path)
    for _ in range(2):
        open_shared(settings).store.engine.dispose()
    with pytest.raises(DatabaseMismatch, match="first started in cluster mode"):
        open_installation(settings)


def test_a_database_of_embedded_mode_cannot_become_a_clusters(postgresql_database_url: str, tmp_path: Path) -> None:
    settings = Settings(database_url=postgresql_database_url, data_dir=tmp_path)
    open_installation(settings).store.engine.dispose()
    with pytest.raises(DatabaseMismatch, match="first started in embedded mode"):
        open_shared(settings)


def test_several_processes_need_postgresql(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="PostgreSQL"):
        open_shared(Settings(data_dir=tmp_path))


def test_processes_that_start_at_once_migrate_one_after_the_other(postgres_server: Any) -> None:
    database = postgres_server.create_database()
    url = database.render_as_string(hide_password=False)
    side_by_side(*(lambda: migrate(url) for _ in range(3)))
    engine = connect(url)
    with reading(engine) as connection:
        assert connection.execute(select(literal_column("count(*)")).select_from(journal)).scalar() == 0
    engine.dispose()
    postgres_server.drop_database(database)
