"""How far a worker is, for those who look at it from outside its loop: probes, metrics, the watchdog."""

import threading
from collections.abc import Collection, Sequence

from aiokafka import TopicPartition


class Progress:
    """What the loop tells and others read, each from a thread of its own."""

    def __init__(self) -> None:
        self._changed = threading.Lock()
        self._beats = 0
        self._partitions: frozenset[TopicPartition] | None = None
        self.trouble: str | None = None  # why nothing is processed now, and is tried again
        self.stalled: str | None = None  # why somebody who looks from outside thinks that it has stopped

    def beat(self) -> None:
        """Something was done, or tried and is waited for: the loop goes round."""
        with self._changed:
            self._beats += 1

    @property
    def beats(self) -> int:
        """How often it did."""
        return self._beats

    def assign(self, partitions: Collection[TopicPartition]) -> None:
        """From now on these are ours."""
        self._partitions = frozenset(partitions)

    @property
    def partitions(self) -> frozenset[TopicPartition]:
        """What is ours to process."""
        return self._partitions or frozenset()

    def troubles(self) -> Sequence[str]:
        """What keeps it from working, in sentences; nothing: it is ready."""
        found = [text for text in (self.trouble, self.stalled) if text is not None]
        if not found and self._partitions is None:
            return ["it has not joined its group yet"]
        return found
