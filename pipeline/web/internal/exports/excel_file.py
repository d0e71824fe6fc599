"""Excel files, written row by row to a temporary file, so that memory does not grow with the table."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from tempfile import TemporaryFile
from typing import Any

from pipeline.web.internal.exports.sheet import Column, Sheet

_MOST_ROWS = 1_000_000  # of one sheet; Excel reads 1,048,576, the rest goes to further sheets
_MOST_CHARACTERS = 32_767  # of a cell in Excel
_PIECE = 1 << 16  # bytes
_FIRST = datetime(1900, 3, 1, tzinfo=UTC)  # Excel counts days from 1900, and has a day too many in its first February
_WIDTH = 18  # characters


def pieces(sheet: Sheet) -> Iterator[bytes]:
    """The file in pieces. Times are UTC: Excel has no time zones."""
    with TemporaryFile() as file:
        _write(sheet, file)
        file.seek(0)
        while piece := file.read(_PIECE):
            yield piece


def _write(sheet: Sheet, file: Any) -> None:
    from xlsxwriter import Workbook  # only files in this format need it

    # Text stays text: neither formulas nor links are made of it.
    plain = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    book = Workbook(file, plain | {"remove_timezone": True, "nan_inf_to_errors": True})
    formats = {
        "moment": book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
        "day": book.add_format({"num_format": "yyyy-mm-dd"}),
        "head": book.add_format({"bold": True}),
    }
    page, number = _new_page(book, sheet, formats, 1), 0
    for row in sheet.rows:
        if number == _MOST_ROWS:
            page, number = _new_page(book, sheet, formats, len(book.worksheets()) + 1), 0
        number += 1
        for place, (column, value) in enumerate(zip(sheet.columns, row, strict=True)):
            _write_cell(page, number, place, value, formats.get(column.kind))
    book.close()


def _new_page(book: Any, sheet: Sheet, formats: dict[str, Any], number: int) -> Any:
    page = book.add_worksheet(sheet.name if number == 1 else f"{sheet.name} {number}")
    page.set_column(0, len(sheet.columns) - 1, _WIDTH)
    page.freeze_panes(1, 1)
    for place, name in enumerate(_heads(sheet.columns)):
        page.write_string(0, place, name, formats["head"])
    return page


def _heads(columns: Sequence[Column]) -> list[str]:
    return [f"{column.name} (UTC)" if column.kind == "moment" else column.name for column in columns]


def _write_cell(page: Any, row: int, place: int, value: object, form: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        page.write_boolean(row, place, value)
    elif isinstance(value, int | float):
        page.write_number(row, place, value)
    elif isinstance(value, datetime) and value >= _FIRST:
        page.write_datetime(row, place, value.astimezone(UTC), form)
    elif isinstance(value, date) and not isinstance(value, datetime) and value >= _FIRST.date():
        page.write_datetime(row, place, value, form)
    else:
        page.write_string(row, place, str(value)[:_MOST_CHARACTERS])
