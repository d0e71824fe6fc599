"""From answers to receivers: a replayed past notifies nobody, and what follows from today on reaches its receiver."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipeline.consumers import incidents as acting
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.incidents import lifecycle
from pipeline.store.db.engine import reading
from pipeline.store.notices import notices
from pipeline.store.orders.timers import TimerStore
from pipeline.store.unit_of_work import UnitOfWork
from tests.support.builders import answered, asked, at, completed, contact, scanned
from tests.support.limits import until
from tests.support.modes import EVERYWHERE
from tests.support.receiving.hooks import HookServer
from tests.support.receiving.sending import all_are, hook, sending
from tests.support.running.embedded import VAULT, ingest
from tests.support.stored import HISTORIC

NEVER = datetime.min.replace(tzinfo=UTC)


def history(n: int, late: bool) -> list[bytes]:
    """A historic order, on time by the record, and what its customer says."""
    order_id, time = f"SO-{n}", at(days=n)
    known: dict[str, Any] = {"account": {"id": f"A-{n}"}, "contacts": [contact("ana")], "dimensions": {"depot": "Lyon"}}
    return [
        completed(order_id, time, **known, **HISTORIC),
        scanned(order_id, time + timedelta(hours=1)),
        asked(order_id, time + timedelta(hours=2), account_id=f"A-{n}"),
        answered(order_id, time + timedelta(hours=3), arrival="late" if late else "on_time"),
    ]


@pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)
def test_a_replayed_past_notifies_nobody_and_an_act_of_today_arrives(start: Callable[..., EmbeddedRunner]) -> None:
    runtime = start(levels="depot:2")
    for n in range(18):
        ingest(runtime, *history(n, late=n >= 6))
    runtime.tick(at(days=20))
    with reading(runtime.engine) as connection:
        assert not notices.any_unrouted(connection)
    with runtime.engine.begin() as connection:
        work = UnitOfWork(connection, runtime.store.journal, runtime.setup, TimerStore(connection, (), NEVER))
        acknowledge = lambda incident: lifecycle.acknowledge(incident, "ada", at(days=21))  # noqa: E731
        assert acting.perform(1, acknowledge, VAULT, work, at(days=21)) is not None
        work.flush()
    with HookServer() as server, sending(runtime.engine, hook(server)):
        until(lambda: all_are(runtime.engine, "erp", "delivered", 1), "delivered")
    [call] = server.calls
    assert call.json["type"] == "incident.acknowledged"
    assert call.json["data"]["cause"] == {"signal": "on_time", "dimension": "depot", "value": "Lyon"}

    with HookServer() as server, HookServer() as later:
        for _ in range(2):  # a restart
            with sending(runtime.engine, hook(server) + hook(later, "later")):
                until(lambda: all_are(runtime.engine, "later", "delivered", 1), "a receiver that is added later has it")
        assert not server.calls
        [call] = later.calls
        assert (call.json["type"], call.json["data"]["state"]) == ("incident.opened", "acknowledged")
