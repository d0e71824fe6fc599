"""What a worker's loop reports to probes, metrics and the watchdog."""

import threading
from collections.abc import Collection, Sequence

from aiokafka import TopicPartition


class Progress:
    """Written by the loop and the watchdog, read by others, each in a thread of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._activity_count = 0
        self._partitions: frozenset[TopicPartition] | None = None
        self.problem: str | None = None  # why nothing is processed now, and is retried
        self.stalled: str | None = None  # why the watchdog considers the loop stalled

    def record_activity(self) -> None:
        """Count one step of the loop: something was processed, or failed and is to be retried."""
        with self._lock:
            self._activity_count += 1

    @property
    def activity_count(self) -> int:
        """The number of steps so far."""
        return self._activity_count

    def assign(self, partitions: Collection[TopicPartition]) -> None:
        """Set the partitions that this worker processes from now on."""
        self._partitions = frozenset(partitions)

    @property
    def partitions(self) -> frozenset[TopicPartition]:
        """The partitions that this worker processes."""
        return self._partitions or frozenset()

    def problems(self) -> Sequence[str]:
        """What keeps the worker from processing, in sentences. Empty: it is ready."""
        found = [text for text in (self.problem, self.stalled) if text is not None]
        if not found and self._partitions is None:
            return ["it has not joined its group yet"]
        return found
