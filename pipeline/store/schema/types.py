"""The metadata that every table belongs to, and the types and options that tables share."""

from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import DateTime, Dialect, MetaData, String
from sqlalchemy.types import TypeDecorator, TypeEngine

metadata = MetaData()
# SQLite stores the rows of such a table in its primary key index. Good for short rows only.
WITHOUT_ROWID: dict[str, Any] = {"sqlite_with_rowid": False}


def utc_text(value: datetime | None) -> str | None:
    """An instant as SQLite stores it: text in UTC."""
    if value is None:
        return None
    moment = value if value.tzinfo is UTC else value.astimezone(UTC)
    return moment.isoformat(" ", "microseconds")


class Utc(TypeDecorator[datetime]):
    """An aware instant: `timestamptz` on PostgreSQL; on SQLite text in UTC, of one length, which sorts as time does."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Text on SQLite, which has no type with a time zone."""
        return dialect.type_descriptor(String(32) if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Store UTC."""
        return utc_text(value) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return UTC."""
        if value is None:
            return None
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return cast(datetime, moment).astimezone(UTC)
