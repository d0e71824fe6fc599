"""Reads CSV files that may have broken rows: rows with the line they start on, and an error for each broken one.

A broken row does not affect its neighbours: reading continues at the next line that is a complete row.
"""

import csv
import gzip
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple, cast

from pipeline.domain.events.contract import BadEvent
from pipeline.errors import UserError

# Gets the values of the wanted columns and the line that the row starts on. May raise BadEvent.
RowHandler = Callable[[tuple[str, ...], int], None]


class UnreadableSource(UserError):
    """A file is missing, unreadable or lacks a column. The message is a sentence that names the file."""


class BrokenRow(NamedTuple):
    """A row that cannot be used: the line it starts on (the header is line 1), its bytes and the error."""

    line: int
    raw: bytes
    fault: BadEvent


class Table:
    """One CSV file in `folder`, plain or .gz. Its columns may have any order, and there may be others."""

    def __init__(self, folder: Path, name: str, wanted: Sequence[str]) -> None:
        """Find the file and check that it has the `wanted` columns, two or more. Raises UnreadableSource."""
        self.name = name
        self._path = _find(folder, name)
        header = next(self._lines(), "")
        try:
            self._header = next(csv.reader([header], strict=True), [])
        except csv.Error as error:
            raise UnreadableSource(f"{name}: the header cannot be read: {error}") from error
        for column in wanted:
            if column not in self._header:
                raise UnreadableSource(f"{name}: the column {column!r} is missing")
        positions = [self._header.index(column) for column in wanted]
        self._pick = cast(Callable[[list[str]], tuple[str, ...]], itemgetter(*positions))

    def read(self, handle: RowHandler) -> Iterator[BrokenRow]:
        """Call `handle` with every row. Yield those that are broken and those for which it raised BadEvent.

        Blank lines are skipped. The file is in memory while it is read.
        """
        lines = list(self._lines())
        at = 1  # lines used so far; the header is one
        while at < len(lines):
            at = yield from self._read(lines, at, handle)

    def _read(self, lines: Sequence[str], first: int, handle: RowHandler) -> Generator[BrokenRow, None, int]:
        """Read from the line with index `first` to the end of the file or of a broken row. Return where to continue."""
        # Strict, so that a quote without an end is an error and not a comment of 500 rows.
        reader = csv.reader(islice(lines, first, None), strict=True)
        end = first
        while True:
            start = end
            try:
                cells = next(reader)
                end = first + reader.line_num
                if len(cells) == len(self._header):
                    self._check(lines[start] if end == start + 1 else "".join(lines[start:end]), cells)
                    handle(self._pick(cells), start + 1)
                elif cells:
                    raise BadEvent(f"{len(cells)} columns instead of {len(self._header)}")
            except StopIteration:
                return len(lines)
            except csv.Error as error:
                end = self._end(lines, start, first + reader.line_num)
                yield _broken(lines, start, end, BadEvent(f"not a row of CSV: {error}"))
                return end
            except BadEvent as fault:
                own = end if len(cells) == len(self._header) else self._end(lines, start, end)
                yield _broken(lines, start, own, fault)
                if own < end:
                    return own

    def _end(self, lines: Sequence[str], start: int, end: int) -> int:
        """Where a broken row within the lines from `start` to `end` ends: before the next complete row."""
        for index in range(start + 1, end):
            try:
                cells = next(csv.reader([lines[index]], strict=True), [])
            except csv.Error:
                continue
            if len(cells) == len(self._header):
                return index
        return end

    def _check(self, text: str, cells: Sequence[str]) -> None:
        """Raise BadEvent for text that no event can contain: NUL characters, and bytes that are not UTF-8."""
        if "\x00" not in text and (text.isascii() or _is_utf8(text)):
            return
        for name, cell in zip(self._header, cells, strict=True):
            if "\x00" in cell:
                raise BadEvent("holds a NUL character", name)
            if not _is_utf8(cell):
                raise BadEvent("is not UTF-8", name)

    def _lines(self) -> Iterator[str]:
        """The lines of the file. Invalid UTF-8 becomes surrogates, which `_broken` turns back into bytes."""
        opened = gzip.open if self._path.suffix == ".gz" else open
        try:
            with opened(self._path, "rt", encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
                yield from file
        except (OSError, EOFError, zlib.error) as error:
            raise UnreadableSource(f"{self.name}: cannot be read: {error}") from error


def _find(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise UnreadableSource(f"{folder} has neither {name} nor {name}.gz")


def _broken(lines: Sequence[str], start: int, end: int, fault: BadEvent) -> BrokenRow:
    text = "".join(lines[start:end]).rstrip("\r\n")
    return BrokenRow(start + 1, text.encode("utf-8", "surrogateescape"), fault)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
