"""How many segments each level has, next to the number it is configured for."""

from collections.abc import Iterable

from sqlalchemy import Connection

from pipeline.domain.access.principal import SYSTEM
from pipeline.domain.detection.levels import LevelUse
from pipeline.domain.detection.segments import Level
from pipeline.store.reads.reports import segment_names


def level_uses(connection: Connection, levels: Iterable[Level]) -> list[LevelUse]:
    """The use of each level. Reads one key of an index per segment."""
    return [LevelUse(*level, len(segment_names(connection, SYSTEM, level.name))) for level in levels]
