"""Events nested deeper than any parser should have to read."""

LEVELS = (101, 985, 1_000, 1_100, 1_200, 100_000)


def nested(event: bytes, levels: int, begin: bytes = b"[", end: bytes = b"]") -> bytes:
    """An event with one more field in `data`, which is nested `levels` deep."""
    place = event.index(b'"data":') + len(b'"data":')
    place = event.index(b"{", place) + 1
    return (
        event[:place]
        + b'"memo":'
        + begin * levels
        + (b"1" if b":" in begin else b"")
        + end * levels
        + b","
        + event[place:]
    )
