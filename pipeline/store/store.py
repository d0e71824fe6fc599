"""What every part of an installation needs to work on its database."""

from dataclasses import dataclass

from sqlalchemy import Engine

from pipeline.store.journal.journal import Journal
from pipeline.store.people.vault import Vault


@dataclass(frozen=True)
class Store:
    """An installation's database, the vault that seals personal data in it, and its journal."""

    engine: Engine
    vault: Vault
    journal: Journal
