"""A table that becomes a file: named columns of one kind each, and rows that are read while the file is written."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

Kind = Literal["text", "whole", "number", "yes_no", "moment", "day"]


class Column(NamedTuple):
    """A column. `moment`: an aware datetime; `day`: a date; every kind may be missing (None)."""

    name: str
    kind: Kind = "text"


class Sheet(NamedTuple):
    """A table. `name`: of the file and the sheet in it. A row has one value for each column."""

    name: str
    columns: Sequence[Column]
    rows: Iterator[Sequence[object]]
