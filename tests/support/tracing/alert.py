"""The answer that opens an alert, from the comparison of its pair to the published alert."""

from pathlib import Path
from types import FrameType
from typing import Any

from pipeline.store.schema.upgrade import migrate
from tests.support.builders import answered, asked, at, completed, scanned
from tests.support.running.embedded import embedded, ingest
from tests.support.tracing.recorder import Call, Recorder

PACKAGES = ("consumers", "store", "domain")
_QUIET, _MOST = 240, 120  # pairs: enough for a baseline; so many late ones open an alert at the latest


class _AlertRecorder(Recorder):
    """Records each processing of `fulfilment.compared` by itself, and keeps the one that opened an alert."""

    def __init__(self) -> None:
        super().__init__()
        self.opening: list[Call] = []
        self._compared: FrameType | None = None

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """Called by Python at every call and return."""
        if self._compared is None and event == "call" and frame.f_code.co_name == "compared":
            self._compared = frame
            self.start()
        super().__call__(frame, event, argument)
        if frame is self._compared and event == "return":
            self._compared = None
            calls = self.stop()
            if any(call.function == "emit" for call in calls):
                self.opening = calls


def trace_alert(folder: Path) -> list[Call]:
    """The calls while the pair that opens an alert is processed."""
    url = f"sqlite:///{folder / 'alert.db'}"
    migrate(url)
    runtime, recorder = embedded(url), _AlertRecorder()
    ingest(runtime, *(event for n in range(_QUIET) for event in _answered(n, n // 4, "on_time", f"D-{n % 7}")))
    recorder.install()
    for n in range(_MOST):
        ingest(runtime, *_answered(_QUIET + n, 61 + n // 3, "late", "Lyon"))
        if recorder.opening:
            return recorder.opening
    raise AssertionError("no alert opened")


def _answered(n: int, day: int, arrival: str, depot: str) -> list[bytes]:
    order_id, account, time = f"SO-{n}", f"A-{n}", at(days=day)
    dimensions = {"depot": depot, "carrier": "Nordex"}
    return [
        completed(order_id, time, account={"id": account}, dimensions=dimensions, _={"historic": True}),
        scanned(order_id, time),
        asked(order_id, at(days=day, hours=1), account_id=account),
        answered(order_id, at(days=day, hours=2), arrival=arrival),
    ]
