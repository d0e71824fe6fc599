"""Changes between two periods: a difference is called a change only where its range excludes 0."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.reports.periods.changes import Change, changes

N = st.integers(0, 400)


def counts(
    kept: int, of: int, denied: int = 0, answered: int = 0, scores: dict[int, int] | None = None
) -> dict[str, int]:
    found = {"on_time": kept, "on_time:stated": of, "on_time:10": denied, "on_time:11": answered - denied}
    return found | {f"score:10:{score}": n for score, n in (scores or {}).items()}


def named(found: list[Change], name: str) -> Change:
    return next(change for change in found if change.name == name)


def test_a_large_difference_is_a_change_and_says_which_way() -> None:
    found = changes(counts(990, 1_000, 150, 300), counts(990, 1_000, 6, 300))
    experienced, claimed = named(found, "Experienced on time"), named(found, "Claimed on time")
    assert (experienced.verdict, experienced.is_better) == ("change", False)
    assert experienced.difference is not None
    assert experienced.difference.high < 0
    assert (claimed.verdict, claimed.is_better) == ("no proven change", None)
    gap = named(found, "Difference, in points")
    assert (gap.verdict, gap.is_better) == ("change", False), "more difference is worse"


def test_below_ten_answers_nothing_is_compared() -> None:
    found = named(changes(counts(50, 50, 9, 9), counts(50, 50, 0, 40)), "Experienced on time")
    assert (found.now, found.difference, found.verdict) == (None, None, "not enough answers")
    assert found.before is not None


@given(N, N, N, N, N, N)
def test_the_range_contains_the_difference_and_is_wider_than_each_of_the_two(
    kept: int, late: int, before: int, late_before: int, denied: int, agreed: int
) -> None:
    for change in changes(
        counts(kept, kept + late, denied, denied + agreed, {9: agreed, 2: denied}),
        counts(before, before + late_before, agreed, denied + agreed, {9: denied, 2: agreed}),
    ):
        if change.difference is None or change.now is None or change.before is None:
            continue
        assert change.difference.low <= change.difference.value + 1e-9
        assert change.difference.value - 1e-9 <= change.difference.high
        width = change.difference.high - change.difference.low
        assert width >= max(change.now.high - change.now.low, change.before.high - change.before.low) - 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_equal_periods_are_rarely_called_a_change(seed: int) -> None:
    """At most 5 % by the bound; far fewer in fact."""
    rng, called = Random(seed), 0
    for _ in range(100):
        weeks = [sum(rng.random() < 0.3 for _ in range(120)) for _ in range(2)]
        found = changes(*(counts(120, 120, denied, 120) for denied in weeks))
        called += named(found, "Experienced on time").verdict == "change"
    assert called <= 5
