"""Rows and published events of an installation."""

import json
from collections import Counter
from typing import Any

from sqlalchemy import Table, select

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.store.db.engine import reading
from pipeline.store.schema.journal import journal
from pipeline.store.schema.orders import rollups

HISTORIC: dict[str, Any] = {"_": {"historic": True}}


def rows(runtime: EmbeddedRunner, table: Table) -> list[dict[str, Any]]:
    with reading(runtime.engine) as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


def published(runtime: EmbeddedRunner, kind: str) -> list[dict[str, Any]]:
    """The data of this installation's own events of a type, oldest first."""
    with reading(runtime.engine) as connection:
        query = select(journal.c.payload).where(journal.c.type == kind, journal.c.outgoing).order_by(journal.c.seq)
        return [json.loads(text)["data"] for text in connection.execute(query).scalars()]


def counters(runtime: EmbeddedRunner) -> dict[str, int]:
    """The counters of the whole fleet, summed over its days; zeros omitted."""
    found: Counter[str] = Counter()
    with reading(runtime.engine) as connection:
        for counter, n in connection.execute(select(rollups.c.counter, rollups.c.n).where(rollups.c.dimension == "")):
            found[counter] += n
    return {counter: n for counter, n in found.items() if n}
