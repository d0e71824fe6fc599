"""All tables: importing this module registers each of them in `metadata`.

The migrations in `migrations/` create them; a test compares the two. Instants are UTC; days are ordinals
(`date.toordinal`). Answers, claims, asks and the journal are append-only: triggers made by the migrations refuse
updates and deletes of what was recorded.
"""

from pipeline.store.schema import (
    answers,
    asks,
    conversations,
    demo_phone,
    evidence,
    inbox,
    journal,
    orders,
    people,
    tracking,
    users,
)
from pipeline.store.schema.alerting import cases, incidents, notices, sources
from pipeline.store.schema.types import metadata

__all__ = [
    "answers",
    "asks",
    "cases",
    "conversations",
    "demo_phone",
    "evidence",
    "inbox",
    "incidents",
    "journal",
    "metadata",
    "notices",
    "orders",
    "people",
    "sources",
    "tracking",
    "users",
]
