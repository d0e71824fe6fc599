"""CSV that spreadsheets open as it is meant: UTF-8 with its mark, and no text that they would run as a formula."""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO

from pipeline.web.internal.exports.sheet import Sheet

_MARK = "\ufeff"  # Excel reads UTF-8 only with it
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # beginnings that spreadsheets run (OWASP, CSV injection)
_ROWS = 200  # of one piece of the stream


def pieces(sheet: Sheet) -> Iterator[bytes]:
    """The file in pieces."""
    buffer = StringIO()
    writer = csv.writer(buffer)
    buffer.write(_MARK)
    writer.writerow([column.name for column in sheet.columns])
    for number, row in enumerate(sheet.rows, 1):
        writer.writerow([_cell(value) for value in row])
        if number % _ROWS == 0:
            yield _take(buffer)
    yield _take(buffer)


def _cell(value: object) -> object:
    """Only text can be a formula: a negative number stays a number."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULAS) else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value


def _take(buffer: StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode("utf-8", "replace")
