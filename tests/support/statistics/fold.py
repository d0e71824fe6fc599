"""A fold of pairs into the evidence of a segment, and lists of pairs."""

from collections.abc import Sequence
from datetime import date

import msgspec
from hypothesis import strategies as st

from pipeline.domain.detection.alerting import (
    Evidence,
    OpenAlert,
    Pair,
    Rules,
    Transition,
    observe,
)

THRESHOLD = 73_000.0
START = date(2026, 3, 1).toordinal()
answers = st.sampled_from([0.0, 1.0, 0.5, 1 / 3, 2 / 3])
baselines = st.sampled_from([0.05, 0.0952, 0.02, 0.3])


def pairs_of(answers: Sequence[float], per_day: int = 5, accounts: int = 7, delta: float = 0.05) -> list[Pair]:
    """Pairs of the answers in order, `per_day` a day, from the accounts in turn."""
    return [Pair(START + i // per_day, x, delta, f"a{i % accounts}", f"o{i}") for i, x in enumerate(answers)]


def must_not_read(k: int) -> Sequence[Pair]:
    raise AssertionError("the run was read without need")


class Fold:
    """The evidence of one segment. Records the transitions and the number of pairs read again."""

    def __init__(self, a: float = THRESHOLD, rules_since: int = 0) -> None:
        self.a = a
        self.rules = Rules(rules_since)
        self.evidence = Evidence()
        self.seen: list[Pair] = []
        self.transitions: list[tuple[int, Transition]] = []
        self.read = 0

    def add(self, pairs: Sequence[Pair]) -> "Fold":
        for pair in pairs:
            self.seen.append(pair)
            transition = observe(self.evidence, pair, self.a, self._recent, self.rules)
            if transition is not None:
                self.transitions.append((len(self.seen), transition))
        return self

    def _recent(self, k: int) -> Sequence[Pair]:
        assert 0 < k <= len(self.seen)
        self.read += k
        return self.seen[-k:]

    def restart(self) -> None:
        """Continue from the stored state, as another worker does."""
        self.evidence = msgspec.json.decode(msgspec.json.encode(self.evidence), type=Evidence)

    @property
    def alert(self) -> OpenAlert:
        assert self.evidence.alert is not None
        return self.evidence.alert

    @property
    def history(self) -> list[tuple[str, str]]:
        return [(transition.what, transition.alert.kind) for _, transition in self.transitions]


def even_answers(rate: float, n: int) -> list[float]:
    """`n` answers with this rate, spread as evenly as possible."""
    return [float(int((i + 1) * rate) - int(i * rate)) for i in range(n)]
