"""Parquet files, streamed group of rows by group of rows."""

from collections.abc import Iterator
from io import RawIOBase
from itertools import islice
from typing import Any

from pipeline.web.internal.exports.sheet import Sheet

_ROWS = 5_000  # of one group: what is held in memory


class _Sink(RawIOBase):
    """Takes what the writer writes until it is sent."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        """The writer asks."""
        return True

    def write(self, data: Any) -> int:
        """Keep these bytes."""
        piece = bytes(data)
        self._pieces.append(piece)
        self._size += len(piece)
        return len(piece)

    def tell(self) -> int:
        """How many bytes were written so far."""
        return self._size

    def take(self) -> bytes:
        """What was written since the last call."""
        found = b"".join(self._pieces)
        self._pieces.clear()
        return found


def pieces(sheet: Sheet) -> Iterator[bytes]:
    """The file in pieces. Moments are timestamps in UTC."""
    import pyarrow  # a third of a second: only files in this format need it
    from pyarrow import parquet

    types = {
        "text": pyarrow.string(),
        "whole": pyarrow.int64(),
        "number": pyarrow.float64(),
        "yes_no": pyarrow.bool_(),
        "moment": pyarrow.timestamp("us", tz="UTC"),
        "day": pyarrow.date32(),
    }
    schema = pyarrow.schema([(column.name, types[column.kind]) for column in sheet.columns])
    sink = _Sink()
    with parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        while rows := list(islice(sheet.rows, _ROWS)):
            columns = [list(values) for values in zip(*rows, strict=True)]
            arrays = [pyarrow.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
            writer.write_batch(pyarrow.record_batch(arrays, schema=schema))
            yield sink.take()
    yield sink.take()
