"""Few states are kept, none is far from where it is needed, and the history of a series does not decide which."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.detection.checkpoints import begins_week, superseded

some_days = st.sets(st.integers(730_000, 733_000), min_size=1, max_size=200)


def kept(days: set[int]) -> list[int]:
    return sorted(days - set(superseded(days)))


def test_a_pair_every_day_for_ten_years_keeps_a_few_dozen_states() -> None:
    assert max(len(kept(set(range(730_000, 730_000 + days)))) for days in range(1, 3_650, 50)) <= 60


@given(some_days)
def test_a_pair_is_folded_again_from_a_state_that_is_at_most_its_age_away(days: set[int]) -> None:
    newest = max(days)
    assert {day for day in days if day > newest - 8} <= set(kept(days))
    for day in days:
        before = max((each for each in kept(days) if each < day), default=0)
        first = min(each for each in days if each > before)
        assert day - first <= newest - day


@given(some_days, some_days)
def test_what_was_thinned_on_the_way_is_what_is_thinned_at_the_end(days: set[int], more: set[int]) -> None:
    stored: set[int] = set()
    for before, day in pairwise([min(days | more), *sorted(days | more)]):
        stored.add(day)
        if begins_week(before, day):
            stored -= set(superseded(stored))
    assert sorted(stored) == kept(days | more)
