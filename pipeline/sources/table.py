"""CSV files as people really send them: rows with the line they start on, and a fault for each broken one.

A broken row costs itself and not its neighbours: after one, reading resumes at the next line that is a row.
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

# Takes the values of the wanted columns, and the line the row starts on.
Take = Callable[[tuple[str, ...], int], None]


class UnreadableSource(Exception):
    """A file that is missing, damaged as a whole or lacks a column: a sentence that names the file."""


class Broken(NamedTuple):
    """A row nobody can use: the line it starts on (the header is 1), its own bytes and what is wrong."""

    line: int
    raw: bytes
    fault: BadEvent


class Table:
    """One CSV file in `folder`, plain or .gz. Columns that are not wanted may be there, in any order."""

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
        places = [self._header.index(column) for column in wanted]
        self._pick = cast(Callable[[list[str]], tuple[str, ...]], itemgetter(*places))

    def read(self, take: Take) -> Iterator[Broken]:
        """Call `take` with every row and yield those that are broken or for which it raised BadEvent.

        Blank lines are no rows. The file is in memory while it is read.
        """
        lines = list(self._lines())
        at = 1  # lines used so far; the header is one
        while at < len(lines):
            at = yield from self._read(lines, at, take)

    def _read(self, lines: Sequence[str], first: int, take: Take) -> Generator[Broken, None, int]:
        """Read from the line of index `first` to the end, or of a broken row; return where to go on."""
        # Strict, so that a quote that is never closed is an error and not a comment of 500 rows.
        reader = csv.reader(islice(lines, first, None), strict=True)
        end = first
        while True:
            start = end
            try:
                cells = next(reader)
                end = first + reader.line_num
                if len(cells) == len(self._header):
                    self._check(lines[start] if end == start + 1 else "".join(lines[start:end]), cells)
                    take(self._pick(cells), start + 1)
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
        """Where a broken row ends that took the lines from `start` to `end`: before the next whole row."""
        for place in range(start + 1, end):
            try:
                cells = next(csv.reader([lines[place]], strict=True), [])
            except csv.Error:
                continue
            if len(cells) == len(self._header):
                return place
        return end

    def _check(self, text: str, cells: Sequence[str]) -> None:
        """Refuse what no event can carry: NUL characters, and bytes that are not UTF-8."""
        if "\x00" not in text and (text.isascii() or _is_utf8(text)):
            return
        for name, cell in zip(self._header, cells, strict=True):
            if "\x00" in cell:
                raise BadEvent("holds a NUL character", name)
            if not _is_utf8(cell):
                raise BadEvent("is not UTF-8", name)

    def _lines(self) -> Iterator[str]:
        """The file's lines. Bytes that are not UTF-8 become surrogates, and bytes again in dead letters."""
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


def _broken(lines: Sequence[str], start: int, end: int, fault: BadEvent) -> Broken:
    text = "".join(lines[start:end]).rstrip("\r\n")
    return Broken(start + 1, text.encode("utf-8", "surrogateescape"), fault)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
