"""Status callbacks of the provider."""

from sqlalchemy import Connection

from pipeline.store.db.bulk import Row, insert_once
from pipeline.store.schema.conversations import provider_callbacks


def store_callback(connection: Connection, row: Row) -> bool:
    """Store a status callback. False: this status of this message is stored already."""
    return insert_once(connection, provider_callbacks, row)
