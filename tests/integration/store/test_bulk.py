"""Rows written in bulk are read back unchanged, whatever they contain, on both databases."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import Connection, Table, select
from sqlalchemy.exc import DBAPIError

from pipeline.store.db.bulk import add, insert, insert_new, remove, upsert
from pipeline.store.db.engine import connect
from pipeline.store.schema.answers import answers
from pipeline.store.schema.evidence import pairs
from pipeline.store.schema.journal import dead_letters
from pipeline.store.schema.orders import rollups
from pipeline.store.schema.people import people

COUNTER = ("dimension", "value", "day", "counter", "n")
AWKWARD = 'two "words"\\u0000 \\ back\nnew\tline \u2028 é 東京 🚚 {}[]:,\' %s %(x)s'


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    engine = connect(database_url)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def stored(connection: Connection, table: Table) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()]


def person(**more: Any) -> dict[str, Any]:
    known = {"account_id": "A", "contact_id": "ana", "said_at": datetime(2026, 3, 2, 9, tzinfo=UTC)}
    empty = dict.fromkeys(("name", "phone", "email", "phone_digest", "email_digest"))
    return known | empty | {"email": bytes(range(256)), "key_id": None} | more


def test_text_bytes_instants_and_fractions_are_read_back_bit_for_bit(connection: Connection) -> None:
    far = datetime(2026, 10, 25, 2, 30, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    rows = [person(contact_id=AWKWARD, said_at=far, name=b""), person(contact_id="ben", phone=b"\x00\xff")]
    insert(connection, people, rows)
    assert stored(connection, people) == sorted(rows, key=lambda row: row["contact_id"])
    tuples = [
        ("depot", "L", "on_time", n, 739_000, far, "A", "O", x, 1 / 3) for n, x in enumerate((0.1, 1e-300, 2 / 3))
    ]
    insert(connection, pairs, tuples, tuple(column.name for column in pairs.c))
    assert [tuple(row.values()) for row in stored(connection, pairs)] == tuples


def test_missing_and_none_values_are_null_and_booleans_stay_booleans(connection: Connection) -> None:
    row: dict[str, Any] = {
        "source": "s",
        "event_id": "1",
        "order_id": "o",
        "contact_id": "c",
        "channel": "sms",
        "condition": "",
    }
    row |= {"received_at": datetime(2026, 3, 2, tzinfo=UTC), "complete": False, "score": 0, "comment": None}
    insert(connection, answers, [row])
    (found,) = stored(connection, answers)
    assert found == dict.fromkeys(found) | row


def test_insert_new_skips_existing_rows(connection: Connection) -> None:
    row = {"received_at": datetime(2026, 3, 2, tzinfo=UTC), "topic": "", "position": "", "field": "", "reason": ""}
    first, again, other = (row | {"digest": d, "raw": raw} for d, raw in (("a", b"1"), ("a", b"2"), ("b", b"3")))
    insert_new(connection, dead_letters, [first])
    insert_new(connection, dead_letters, [again, other, again])
    assert [row["raw"] for row in stored(connection, dead_letters)] == [b"1", b"3"]


def test_a_row_replaces_another_unless_it_is_older(connection: Connection) -> None:
    upsert(connection, people, [person(name=b"first")], newest="said_at")
    older = person(said_at=datetime(2026, 3, 1, tzinfo=UTC), name=b"older")
    upsert(connection, people, [older, person(contact_id="ben")], newest="said_at")
    assert [row["name"] for row in stored(connection, people)] == [b"first", None]
    upsert(connection, people, [person(name=b"as old")], newest="said_at")
    upsert(connection, people, [older | {"contact_id": "ben"}])
    assert [row["name"] for row in stored(connection, people)] == [b"as old", b"older"]


def test_amounts_are_added_and_rows_are_removed_by_their_values(connection: Connection) -> None:
    rows = [("depot", AWKWARD, 1, "asked", 2), ("depot", AWKWARD, 2, "asked", 5)]
    add(connection, rollups, rows, ("n",), COUNTER)
    add(connection, rollups, [("depot", AWKWARD, 1, "asked", -2)], ("n",), COUNTER)
    assert [row["n"] for row in stored(connection, rollups)] == [0, 5]
    remove(connection, rollups, [("depot", AWKWARD, 1, "asked", 0), ("depot", AWKWARD, 2, "asked", 0)], COUNTER)
    assert [row["n"] for row in stored(connection, rollups)] == [5]


def test_no_rows_execute_no_statement_and_a_wrong_row_is_refused(connection: Connection) -> None:
    for write in (insert, insert_new, upsert, remove):
        write(connection, people, [])
    with pytest.raises(DBAPIError), connection.begin_nested():
        insert(connection, people, [person(), person()])
    assert stored(connection, people) == []
