"""What metrics show of incidents."""

from sqlalchemy import Connection, func, select

from pipeline.store.schema.alerting.incidents import incidents


def open_incidents(connection: Connection) -> dict[tuple[str, str], int]:
    """The number of incidents that go on, by severity and signal of the cause."""
    severity = func.coalesce(incidents.c.severity, "minor")
    query = (
        select(severity, incidents.c.signal, func.count())
        .where(incidents.c.ended_at.is_(None))
        .group_by(severity, incidents.c.signal)
    )
    return {(severity, signal): n for severity, signal, n in connection.execute(query)}
