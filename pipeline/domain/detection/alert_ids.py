"""The id of an alert: signal/dimension/value/number. A value may contain slashes."""

from pipeline.domain.detection.segments import Series


def alert_id(series: Series, number: int) -> str:
    """The id of an alert of a signal and segment. `number`: 1 for the first one."""
    return f"{series.signal}/{series.dimension}/{series.value}/{number}"


def series_of(alert: str) -> Series:
    """The signal and segment of an alert by its id. Of an id that has fewer parts, those that are missing are empty."""
    signal, _, rest = alert.partition("/")
    dimension, _, value = rest.rpartition("/")[0].partition("/")
    return Series(dimension, value, signal)
