"""How far the data is, for pages that update themselves."""

from sqlalchemy import Connection

from pipeline.domain.access.principal import Principal
from pipeline.store.journal.journal import Version
from pipeline.store.store import Store

_DIGITS = 13  # of the digest: 52 bits, which JavaScript's numbers hold exactly


def version_of(connection: Connection, principal: Principal, store: Store) -> Version:
    """The number of events stored and the last one processed.

    For those who see a part of the orders both are digests: they change whenever anything changes, and count nothing.
    """
    found = store.journal.version(connection)
    if principal.scope.is_everything:
        return found
    return Version(*(_opaque(store, number) for number in found))


def _opaque(store: Store, number: int) -> int:
    digest = store.vault.content_digest(f"version {number}".encode()) or "0"
    return int(digest[:_DIGITS], 16)
