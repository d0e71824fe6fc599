"""Which segments of a level get metrics of their own: the largest. The rest are added up, so the number is bounded."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from pipeline.domain.reports.counts import Counts

OTHER = "other"


class Bounded(NamedTuple):
    """Counters by segment, at most `limit` and `OTHER`. `folded`: how many segments are in `OTHER`."""

    counts: Mapping[str, Counts]
    folded: int


def bounded(counts: Mapping[str, Counts], limit: int) -> Bounded:
    """The `limit` segments with the most delivered orders, the rest added up, with a segment named `other`."""
    ranked = sorted((name for name in counts if name != OTHER), key=lambda name: (-_delivered(counts[name]), name))
    kept, rest = ranked[:limit], [*ranked[limit:], *({OTHER} & counts.keys())]
    total = Counter[str]()
    for name in rest:
        total.update(counts[name])
    found: dict[str, Counts] = {name: counts[name] for name in kept}
    return Bounded(found | {OTHER: dict(total)} if rest else found, len(rest))


def _delivered(counts: Counts) -> int:
    return counts.get("delivered", 0)
