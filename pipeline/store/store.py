"""What every part of an installation needs to work on its database."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import Engine

from pipeline.store.journal.journal import Journal
from pipeline.store.people.vault import Vault


@dataclass(frozen=True)
class Store:
    """An installation's database, the vault that seals personal data in it, and its journal."""

    engine: Engine
    vault: Vault
    journal: Journal
    # How far the time of an event may be ahead of its receipt.
    max_event_ahead: timedelta = field(default=timedelta(minutes=10), kw_only=True)
    event_types: Mapping[str, str] = field(default_factory=dict)  # our types of events, by those of other systems
