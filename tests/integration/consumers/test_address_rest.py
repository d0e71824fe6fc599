"""Rest and daily cap of an address, whatever contacts and accounts it belongs to."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.principal import LOCAL
from pipeline.domain.asking.policy import Policy
from pipeline.store.db.engine import reading
from pipeline.store.reads import reports
from pipeline.store.reads.order_record import read_orders
from pipeline.store.schema.asks import asks
from tests.support.builders import asked, at, completed, contact, repromised, scanned
from tests.support.modes import EVERYWHERE
from tests.support.running.embedded import ingest
from tests.support.stored import rows

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)

DOCK = "+447700900808"


def deliver(
    runtime: EmbeddedRunner, n: int, days: float, account: str = "A-1", phone: str = DOCK, name: str = ""
) -> None:
    people = [contact(name or f"dock-{n}", phone=phone)]
    ingest(
        runtime,
        completed(f"SO-{n}", at(days=days), account={"id": account}, contacts=people),
        scanned(f"SO-{n}", at(days=days)),
    )


def reasons(runtime: EmbeddedRunner) -> list[str | None]:
    return [row["reason"] for row in sorted(rows(runtime, asks), key=lambda row: row["order_id"])]


def counts(runtime: EmbeddedRunner) -> dict[str, int]:
    with reading(runtime.engine) as connection:
        return reports.total(connection, LOCAL)


def test_a_phone_rests_under_any_contact_id(runtime: EmbeddedRunner) -> None:
    for n in range(4):
        deliver(runtime, n, n / 24, phone=(DOCK, "+44 7700 900808")[n % 2])
    deliver(runtime, 5, 7)
    assert reasons(runtime) == [None, "asked_recently", "asked_recently", "asked_recently", None]


def test_a_phone_rests_within_one_batch(start: Callable[..., EmbeddedRunner]) -> None:
    runtime = start()
    raws = []
    for n in range(5):
        people, account = [contact(f"dock-{n}", phone=DOCK)], {"id": f"A-{n % 2}"}
        raws += [completed(f"SO-{n}", at(hours=n), contacts=people, account=account), scanned(f"SO-{n}", at(hours=n))]
    ingest(runtime, *raws)
    assert reasons(runtime) == [
        None,
        "address_asked_recently",
        "asked_recently",
        "address_asked_recently",
        "asked_recently",
    ]


def test_a_refusal_for_another_account_has_its_own_reason_and_counts_as_no_question(runtime: EmbeddedRunner) -> None:
    """Otherwise anybody with an account of their own could keep a phone from being asked."""
    deliver(runtime, 0, 0, account="A-0")
    people = [contact("dock", phone=DOCK)]
    ingest(runtime, completed("SO-1", at(hours=1), contacts=people, promised_at=at(hours=2)))
    ingest(runtime, scanned("SO-1", at(hours=4)))  # late: at risk
    deliver(runtime, 2, 1, account="A-2")  # on time
    assert reasons(runtime) == [None, "address_asked_recently", "address_asked_recently"]
    found = counts(runtime)
    assert found["not_asked:address_asked_recently"] == 2
    assert (found["risk"], found["risk:unreachable"], found["clean"], found["clean:unreachable"]) == (1, 1, 2, 1)
    assert found["contactable"] == 3


def test_who_is_asked_under_another_address_is_no_lost_order(runtime: EmbeddedRunner) -> None:
    deliver(runtime, 0, 0, account="A-0")
    people = [contact("dock", phone=DOCK), contact("user", role="user", phone="+447700900809")]
    ingest(runtime, completed("SO-1", at(hours=1), contacts=people, promised_at=at(hours=2)))
    ingest(runtime, repromised("SO-1", at(hours=3), at(hours=9)), scanned("SO-1", at(hours=4)))
    found = counts(runtime)
    assert (found["risk"], "risk:unreachable" in found, found["asked"]) == (1, False, 2)


def test_the_daily_cap_holds_without_a_rest(start: Callable[..., EmbeddedRunner]) -> None:
    runtime = start(policy=Policy(contact_rest=timedelta(0)))
    for n in range(4):
        deliver(runtime, n, n / 24, account=f"A-{n % 2}")
    deliver(runtime, 5, 1)
    assert reasons(runtime) == [None, None, "address_asked_recently", "address_asked_recently", None]


def test_neither_holds_where_they_are_switched_off(start: Callable[..., EmbeddedRunner]) -> None:
    runtime = start(policy=Policy(contact_rest=timedelta(0), address_daily_cap=0))
    for n in range(4):
        deliver(runtime, n, n / 24)
    assert reasons(runtime) == [None] * 4


def test_a_question_by_another_system_counts(runtime: EmbeddedRunner) -> None:
    ingest(runtime, completed("SO-0", at(), contacts=[contact("dock-0", phone=DOCK)]), asked("SO-0", at(), "dock-0"))
    deliver(runtime, 1, 1 / 24)
    assert reasons(runtime) == [None, "asked_recently"]


def test_phones_of_several_accounts_are_counted(runtime: EmbeddedRunner) -> None:
    deliver(runtime, 0, 0, account="A-0")
    deliver(runtime, 1, 10, account="A-1")
    deliver(runtime, 2, 20, account="A-1", phone="+447700900811", name="alone")
    assert counts(runtime)["shared_address"] == 1
    with reading(runtime.engine) as connection:
        assert reports.by_segment(connection, LOCAL, "depot")["Lyon"]["shared_address"] == 1
        found = read_orders(connection, LOCAL, ["SO-0", "SO-1", "SO-2"])
    shared = {order_id: order.dialogue.shared_addresses for order_id, order in found.items()}
    assert shared == {"SO-0": [], "SO-1": ["dock-1"], "SO-2": []}


def test_contacts_changed_shortly_before_are_counted(runtime: EmbeddedRunner) -> None:
    deliver(runtime, 0, 0, name="ana", phone="+447700900821")
    deliver(runtime, 1, 1, name="ana", phone="+447700900822")  # swapped since the order of yesterday
    deliver(runtime, 2, 30, name="ana", phone="+447700900823")  # a new phone some day
    ingest(runtime, completed("SO-3", at(days=40), contacts=[contact("ben", phone="+447700900824")]))
    swapped = [contact("ben", phone="+447700900825")]
    ingest(runtime, completed("SO-3", at(days=40, hours=1), event_id="swapped", contacts=swapped))
    ingest(runtime, scanned("SO-3", at(days=40, hours=2)))
    with reading(runtime.engine) as connection:
        found = read_orders(connection, LOCAL, [f"SO-{n}" for n in range(4)])
    changed = {order_id: order.dialogue.changed_addresses for order_id, order in found.items()}
    assert changed == {"SO-0": [], "SO-1": ["ana"], "SO-2": [], "SO-3": ["ben"]}
    assert counts(runtime)["changed_address"] == 2
