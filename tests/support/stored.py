"""Rows and published events of an installation, with sealed words opened."""

import json
import re
from collections import Counter
from typing import Any

from sqlalchemy import Connection, Table, select

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.store.db.engine import reading
from pipeline.store.people.keys import by_id
from pipeline.store.schema.journal import journal
from pipeline.store.schema.orders import rollups
from pipeline.store.schema.people import people
from tests.support.running.embedded import VAULT

HISTORIC: dict[str, Any] = {"_": {"historic": True}}
_SEALED = re.compile(r"sealed:([0-9a-f]{24}):[A-Za-z0-9_=-]+")


def rows(runtime: EmbeddedRunner, table: Table) -> list[dict[str, Any]]:
    with reading(runtime.engine) as connection:
        found = [dict(row) for row in connection.execute(select(table)).mappings()]
        return [{name: opened(connection, value) for name, value in row.items()} for row in found]


def published(runtime: EmbeddedRunner, kind: str) -> list[dict[str, Any]]:
    """The data of this installation's own events of a type, oldest first."""
    with reading(runtime.engine) as connection:
        query = select(journal.c.payload).where(journal.c.type == kind, journal.c.outgoing).order_by(journal.c.seq)
        return [json.loads(text)["data"] for text in connection.execute(query).scalars()]


def opened_people(runtime: EmbeddedRunner) -> list[dict[str, Any]]:
    """The rows of people, with their names and addresses opened."""
    with reading(runtime.engine) as connection:
        found = [dict(row) for row in connection.execute(select(people)).mappings()]
        keys = by_id(connection, VAULT, {row["key_id"] for row in found})
    for row in found:
        for name in ("name", "phone", "email"):
            row[name] = None if row[name] is None else keys[row["key_id"]].open_value(row[name])
    return found


def opened(connection: Connection, value: Any) -> Any:
    """A value with its sealed words opened: a sealed text, or JSON with sealed texts in it."""
    if isinstance(value, bytes) and value.startswith(b"sealed:"):
        return opened(connection, value.decode()).encode()
    if not isinstance(value, str) or not (used := set(_SEALED.findall(value))):
        return value
    keys = by_id(connection, VAULT, used)
    if _SEALED.fullmatch(value):
        return keys[value.split(":")[1]].open(value)
    return _SEALED.sub(lambda found: json.dumps(keys[found[1]].open(found[0]), ensure_ascii=False)[1:-1], value)


def counters(runtime: EmbeddedRunner) -> dict[str, int]:
    """The counters of the whole fleet, summed over its days; zeros omitted."""
    found: Counter[str] = Counter()
    with reading(runtime.engine) as connection:
        for counter, n in connection.execute(select(rollups.c.counter, rollups.c.n).where(rollups.c.dimension == "")):
            found[counter] += n
    return {counter: n for counter, n in found.items() if n}
