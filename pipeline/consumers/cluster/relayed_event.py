"""What travels from a relay to the workers: an event of the journal, or of a pair the part that one segment needs."""

from datetime import datetime
from typing import NamedTuple

from pipeline.domain.detection.segments import Segment

FLEET = "fleet"  # the part of a pair that all segments share


class RelayedEvent(NamedTuple):
    """An event of the journal that was published and is to be processed."""

    seq: int  # its sequence number in the journal
    part: str  # "": of its order; of a pair FLEET, or a segment as "dimension=value"
    payload: bytes
    received_at: datetime

    @property
    def key(self) -> tuple[int, str]:
        """What is processed once."""
        return (self.seq, self.part)


def part_of(segment: Segment) -> str:
    """The name of a segment's part of a pair."""
    return segment.key
