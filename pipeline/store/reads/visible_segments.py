"""Which alerts and incidents a principal sees: those of the segments that their scope sees."""

from sqlalchemy import ColumnElement, Connection, Table, select, true

from pipeline.domain.access.principal import Principal
from pipeline.store.db.bulk import among_rows


def segment_visible(connection: Connection, table: Table, principal: Principal) -> ColumnElement[bool]:
    """The condition that the principal sees the segment of a row. `table` has the columns `dimension` and `value`.

    Reads the segments that the table has, since only the scope can tell the parts of a composite one.
    """
    if principal.scope.is_everything:
        return true()
    columns = (table.c.dimension, table.c.value)
    segments = connection.execute(select(*columns).distinct()).all()
    return among_rows(connection, columns, [tuple(one) for one in segments if principal.scope.sees_segment(*one)])
