"""Logs of the cluster's processes: one JSON object a line, as collectors read them."""

import json
import logging
import traceback
from datetime import UTC, datetime

# What a record may carry beside its message: where something is, never what it says.
FIELDS = ("event", "seq", "topic", "partition", "offset")
_LOUD = ("aiokafka", "faust", "kafka", "mode")  # libraries that tell each of their steps


class JsonLines(logging.Formatter):
    """Writes a record as JSON. Of an exception its type and its frames: its message may hold what an event said."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "role": self._role,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["frames"] = traceback.format_tb(record.exc_info[2])
        return json.dumps(line, ensure_ascii=False)


def begin(role: str, level: str, libraries: int = logging.ERROR, file: str | None = None) -> None:
    """From now on this process logs so, to stderr or to a file. At `debug` each event is followed by its id."""
    handler = logging.StreamHandler() if file is None else logging.FileHandler(file)
    handler.setFormatter(JsonLines(role))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("pipeline").setLevel(level.upper())
    for name in _LOUD:
        logging.getLogger(name).setLevel(libraries)
