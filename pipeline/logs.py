"""Logs of a cluster's processes: one JSON object per line, as log collectors read them."""

import json
import logging
import traceback
from datetime import UTC, datetime

# Extra attributes of a record that are logged: where something is, never its content.
FIELDS = ("event", "seq", "topic", "partition", "offset")
_VERBOSE = ("aiokafka", "faust", "kafka", "mode")  # libraries that log each of their steps


class JsonLines(logging.Formatter):
    """Formats a record as JSON. Of an exception it logs type and frames, not the message: that may quote an event."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line. Called by the module `logging`."""
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


def configure(role: str, level: str, libraries: int = logging.ERROR, file: str | None = None) -> None:
    """Configure the logs of this process.

    `level`: of our own logs; at "debug" each event is logged with its id. `libraries`: of Kafka's and Faust's logs.
    `file`: where to write instead of stderr.
    """
    handler = logging.StreamHandler() if file is None else logging.FileHandler(file)
    handler.setFormatter(JsonLines(role))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("pipeline").setLevel(level.upper())
    for name in _VERBOSE:
        logging.getLogger(name).setLevel(libraries)
