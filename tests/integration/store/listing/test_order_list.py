"""The list of orders: every filter finds exactly the orders that have the property, page by page, in one order."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Any

import pytest
from sqlalchemy import Connection, select, text

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.permissions import Role
from pipeline.domain.access.principal import LOCAL, Principal, user_principal
from pipeline.domain.access.scopes import parse_scope
from pipeline.domain.detection.pairs import verdict_of
from pipeline.domain.detection.segments import Segment
from pipeline.domain.orders.order import Order
from pipeline.domain.reports.counts import contribution
from pipeline.domain.reports.order_list import CODES, COUNTED
from pipeline.store.reads import reports
from pipeline.store.reads.listing import order_list
from pipeline.store.reads.listing.order_list import OrderFilter
from pipeline.store.reads.order_record import read_orders
from pipeline.store.schema.orders import order_list as table
from pipeline.store.schema.orders import order_terms, orders
from tests.support.builders import answered, asked, at, cancelled, completed, contact, repromised, scanned
from tests.support.running.embedded import VAULT, ingest

SEVERAL = 7  # orders of a page: none of the numbers below is a multiple


def fill(runtime: EmbeddedRunner, count: int = 40) -> None:
    """Orders of every kind, some of them not asked about, late, rescued, denied, cancelled or not completed yet."""
    for number in range(count):
        order_id, when = f"SO-{number:03d}", at(days=number % 9, hours=number / 10)
        where = {"depot": ("Lyon", "Nantes", "Paris")[number % 3], "carrier": "Nordex" if number % 2 else "Rapid+Sons"}
        people = [] if number % 5 == 4 else [contact(f"c-{number}", phone=f"+4477009{number:05d}")]
        account = {"id": f"A-{number % 4}", "name": f"Company {number % 4}"}
        events = [completed(order_id, when, account=account, contacts=people, dimensions=where)]
        if number % 11 == 3:
            events = [scanned(order_id, when)]  # its `order.completed` never comes
        elif number % 13 == 5:
            events.append(cancelled(order_id, at(days=number % 9, hours=number / 10 + 1)))
        else:
            late = number % 6 == 1
            if number % 12 == 7:
                events.append(repromised(order_id, at(days=number % 9 + 1), at(days=number % 9 + 3)))
            events.append(scanned(order_id, at(days=number % 9 + (2 if late else 0), hours=number / 10 + 0.5)))
            if people and number % 3:
                said: dict[str, Any] = {"arrival": "late" if number % 4 == 1 else "on_time"}
                if number % 7 == 1:
                    said |= {"condition": ["damaged"], "score": {"value": 3}, "comment": "The boxes were crushed"}
                events.append(asked(order_id, at(days=number % 9 + 2, hours=3), f"c-{number}"))
                events.append(answered(order_id, at(days=number % 9 + 2, hours=5), f"c-{number}", **said))
        ingest(runtime, *events)


def scoped(*entries: str) -> Principal:
    return user_principal("rolf", Role.OPERATIONS, parse_scope(Role.OPERATIONS, entries))


def all_orders(connection: Connection, principal: Principal = LOCAL) -> dict[str, Order]:
    ids = connection.execute(select(orders.c.order_id)).scalars().all()
    return read_orders(connection, principal, ids)


def found(connection: Connection, wanted: OrderFilter, principal: Principal = LOCAL, limit: int = SEVERAL) -> list[str]:
    """All pages."""
    ids: list[str] = []
    after = None
    while True:
        page = order_list.page(connection, principal, VAULT, wanted, limit, after)
        ids += [row.order_id for row in page]
        if len(page) < limit:
            return ids
        after = page[-1].position


def in_segment(dimension: str, *values: str) -> Callable[[Order], bool]:
    return lambda order: order.facts.known and order.facts.dimensions.get(dimension) in values


def counted_in(*counters: str) -> Callable[[Order], bool]:
    return lambda order: any(contribution(order).get(counter) for counter in counters)


def states(code: str) -> Callable[[Order], bool]:
    def _states(order: Order) -> bool:
        return any(
            code in (answer.arrival, *answer.condition) or (code == "unhappy" and answer.score is not None)
            for answer in order.dialogue.current_answers()
        )

    return _states


def day(order: Order) -> date | None:
    return date.fromordinal(order.facts.day()) if order.facts.known else None


DERIVED = {
    "understood": ("answered", "unread"),
    "not_answered": ("asked", "answered"),
    "on_time:scored": ("on_time:answered", "on_time:unscored"),
}
FIRST, LAST = date(2026, 3, 4), date(2026, 3, 7)
FILTERS: Sequence[tuple[OrderFilter, Callable[[Order], bool]]] = [
    (OrderFilter(), lambda _: True),
    (OrderFilter(verdict="embellished"), lambda order: verdict_of(order) == "embellished"),
    (OrderFilter(verdict="agrees"), lambda order: verdict_of(order) == "agrees"),
    (OrderFilter(reason="no_reachable_contact"), counted_in("not_asked:no_reachable_contact")),
    (OrderFilter(segments=(Segment("depot", "Lyon"),)), in_segment("depot", "Lyon")),
    (
        OrderFilter(segments=(Segment("depot", "Lyon"), Segment("depot", "Paris"))),
        in_segment("depot", "Lyon", "Paris"),
    ),
    (
        OrderFilter(segments=(Segment("depot", "Lyon"), Segment("carrier", "Nordex"))),
        lambda order: in_segment("depot", "Lyon")(order) and in_segment("carrier", "Nordex")(order),
    ),
    (
        OrderFilter(segments=(Segment("depot+carrier", "Lyon+Nordex"),)),
        lambda order: in_segment("depot", "Lyon")(order) and in_segment("carrier", "Nordex")(order),
    ),
    (OrderFilter(segments=(Segment("carrier", "Rapid+Sons"),)), in_segment("carrier", "Rapid+Sons")),
    (OrderFilter(account="A-2"), lambda order: order.facts.known and order.facts.latest.account.id == "A-2"),
    (OrderFilter(first=FIRST), lambda order: (day(order) or date.min) >= FIRST),
    (OrderFilter(last=LAST), lambda order: (day(order) or date.max) <= LAST),
    (
        OrderFilter(first=FIRST, last=LAST, segments=(Segment("depot", "Nantes"),)),
        lambda order: FIRST <= (day(order) or date.min) <= LAST and in_segment("depot", "Nantes")(order),
    ),
    (OrderFilter(codes=("late",)), states("late")),
    (OrderFilter(codes=("damaged", "late")), lambda order: states("late")(order) or states("damaged")(order)),
    (OrderFilter(counted=("on_time:10",)), counted_in("on_time:10")),
    (OrderFilter(counted=("on_time:11", "on_time:10")), counted_in("on_time:11", "on_time:10")),
    (OrderFilter(counted=("rescued",)), counted_in("rescued")),
    (OrderFilter(segments=(Segment("depot", "Nowhere"),)), lambda _: False),
]


@pytest.mark.parametrize("few", [order_list.FEW, 3], ids=["sorted here", "along the index"])
def test_every_filter_finds_the_orders_that_have_the_property(
    runtime: EmbeddedRunner, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(order_list, "FEW", few)
    fill(runtime)
    rolf = scoped("depot=Lyon", "carrier=Nordex")
    with runtime.engine.begin() as connection:
        known, his = all_orders(connection), all_orders(connection, rolf)
        assert 0 < len(his) < len(known)
        for wanted, has in FILTERS:
            assert sorted(found(connection, wanted)) == sorted(id for id, order in known.items() if has(order)), wanted
            assert sorted(found(connection, wanted, rolf)) == sorted(id for id, order in his.items() if has(order))
            assert found(connection, wanted) == found(connection, wanted, limit=1_000), "paging changes no order"
        assert found(connection, OrderFilter(), scoped("depot=Nowhere")) == []


def test_the_newest_event_comes_first_and_with_a_last_day_the_newest_day(runtime: EmbeddedRunner) -> None:
    fill(runtime)
    with runtime.engine.begin() as connection:
        rows = order_list.page(connection, LOCAL, VAULT, OrderFilter(), 100)
        assert [row.last_event_at for row in rows] == sorted((row.last_event_at for row in rows), reverse=True)
        rows = order_list.page(connection, LOCAL, VAULT, OrderFilter(last=LAST), 100)
        keys = [(row.day, row.last_event_at) for row in rows]
        assert keys == sorted(keys, key=lambda key: (key[0] or 0, key[1]), reverse=True)


def test_a_new_event_moves_an_order_to_the_top_of_each_of_its_lists(runtime: EmbeddedRunner) -> None:
    fill(runtime)
    wanted = OrderFilter(segments=(Segment("depot", "Lyon"),))
    with runtime.engine.begin() as connection:
        last = found(connection, wanted)[-1]
    ingest(runtime, scanned(last, at(days=40), status="exception"))
    with runtime.engine.begin() as connection:
        assert found(connection, wanted)[0] == found(connection, OrderFilter())[0] == last
        assert found(connection, OrderFilter(since=at(days=40))) == [last]
    ingest(runtime, completed(last, at(days=41), f"{last}:moved", dimensions={"depot": "Paris"}))
    with runtime.engine.begin() as connection:
        assert last not in found(connection, wanted)
        assert found(connection, OrderFilter(segments=(Segment("depot", "Paris"),)))[0] == last


def test_the_index_has_each_order_once_under_each_of_its_terms(runtime: EmbeddedRunner) -> None:
    fill(runtime)
    with runtime.engine.begin() as connection:
        rows = connection.execute(select(order_terms)).all()
        assert len({(row.term, row.order_id) for row in rows}) == len(rows)
        listed = {row.order_id: row.last_event_at for row in connection.execute(select(table))}
        assert all(listed[row.order_id] == row.last_event_at for row in rows)
        assert set(listed) == set(all_orders(connection))


@pytest.mark.parametrize("where", [None, Segment("depot", "Lyon"), Segment("carrier", "Nordex")])
def test_each_figure_leads_to_as_many_orders_as_it_counts(runtime: EmbeddedRunner, where: Segment | None) -> None:
    fill(runtime)
    with runtime.engine.begin() as connection:
        for days in ((None, None), (FIRST, LAST)):
            ordinals = tuple(None if one is None else one.toordinal() for one in days)
            if where is None:
                counts = reports.total(connection, LOCAL, *ordinals)
            else:
                counts = reports.by_segment(connection, LOCAL, where.dimension, *ordinals).get(where.value, {})
            wanted = OrderFilter(segments=(where,) if where else (), first=days[0], last=days[1])
            assert counts["completed"] > 3
            for counter in COUNTED:
                orders_behind = found(connection, wanted._replace(counted=(counter,)))
                of, without = DERIVED.get(counter, (counter, ""))
                assert len(orders_behind) == counts.get(of, 0) - counts.get(without, 0), counter
            for name, n in counts.items():
                if name.startswith("not_asked:"):
                    assert len(found(connection, wanted._replace(reason=name.removeprefix("not_asked:")))) == n


def test_words_find_orders_by_words_and_their_beginnings_for_those_who_may_read_them(
    runtime: EmbeddedRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(runtime)
    auditor = user_principal("audit", Role.AUDITOR, parse_scope(Role.AUDITOR, ()))
    with runtime.engine.begin() as connection:
        crushed = [id for id, order in all_orders(connection).items() if states("damaged")(order)]
        for few in (order_list.FEW, 1):  # few answers, and more than a search reads at once
            monkeypatch.setattr(order_list, "FEW", few)
            for words in ("crushed", "CRUSH boxes", "the", "cru"):
                assert sorted(found(connection, OrderFilter(words=words))) == sorted(crushed), words
            assert found(connection, OrderFilter(words="crushed flowers")) == []
            assert found(connection, OrderFilter(words="cr")) == [], "two letters are a word, and no beginning"
            assert found(connection, OrderFilter(words="crushed"), auditor) == []
            lyon = found(connection, OrderFilter(words="crushed"), scoped("depot=Lyon"))
            assert sorted(lyon) == sorted(set(crushed) & set(found(connection, OrderFilter(), scoped("depot=Lyon"))))
    assert crushed


def test_bits_of_counters_and_codes_fit_their_column() -> None:
    assert len(COUNTED) <= 62
    assert len(CODES) <= 62


def plans(connection: Connection, run: Callable[[], Any]) -> Iterator[str]:
    from sqlalchemy import event

    seen: list[tuple[str, Any]] = []

    def _note(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        seen.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", _note)
    run()
    event.remove(connection, "before_cursor_execute", _note)
    for statement, parameters in seen:
        for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters):
            yield row[3]


def test_no_page_sorts_or_scans_the_orders(runtime: EmbeddedRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    if runtime.engine.dialect.name != "sqlite":
        pytest.skip("the plans of PostgreSQL depend on its statistics")
    fill(runtime)
    monkeypatch.setattr(order_list, "FEW", 3)
    with runtime.engine.begin() as connection:
        after = order_list.page(connection, LOCAL, VAULT, OrderFilter(), 5)[-1].position
        for wanted in (
            OrderFilter(),
            OrderFilter(segments=(Segment("depot", "Lyon"),)),
            OrderFilter(last=LAST),
            OrderFilter(codes=("late",), first=FIRST),
        ):
            for start in (None, after):

                def _read(wanted: OrderFilter = wanted, start: Any = start) -> None:
                    order_list.page(connection, LOCAL, VAULT, wanted, 5, start)

                steps = list(plans(connection, _read))
                assert not [step for step in steps if "TEMP B-TREE" in step], (wanted, steps)
                assert not [step for step in steps if step.startswith("SCAN order_list") and "USING" not in step]


def test_orders_of_an_earlier_version_are_listed_by_the_migration(runtime: EmbeddedRunner) -> None:
    from pipeline.store.orders.orders import list_existing

    fill(runtime, 12)
    with runtime.engine.begin() as connection:
        before = [sorted(map(tuple, connection.execute(select(one)))) for one in (table, order_terms)]
        rows = connection.execute(text("SELECT order_id, facts, dialogue, counted FROM orders")).all()
        for one in (table, order_terms):
            connection.execute(one.delete())
        counted = list_existing(connection, [tuple(row) for row in rows])
        assert [sorted(map(tuple, connection.execute(select(one)))) for one in (table, order_terms)] == before
        assert counted == {row.order_id: row.counted for row in rows}
