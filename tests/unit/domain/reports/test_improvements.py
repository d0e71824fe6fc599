"""What to improve first: the cost of causes, its ranges, and the correction for many comparisons."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.reports.periods.improvements import ALPHA, CAUSES, COUNTERS, improvements
from pipeline.domain.reports.scenario_nps import Moods, nps_of

SMALL = st.integers(0, 60)


def segment(good: int, late_unhappy: int, late_happy: int = 0) -> dict[str, int]:
    """`good`: promoters who were served well."""
    scores = {"score:10:10": good + late_happy, "score:10:0": late_unhappy}
    return scores | {"cause:late:detractor": late_unhappy, "cause:late:promoter": late_happy}


def test_the_effect_is_the_share_times_the_difference_of_both_nps() -> None:
    [row] = improvements({"Lyon": segment(60, 40)}, 5).rows
    assert (row.segment, row.cause, row.answers, row.of) == ("Lyon", "late", 40, 100)
    assert row.effect is not None
    assert row.effect.value == 0.4 * 200, "all of the points that separate 20 from 100"
    assert row.proven
    assert row.effect.low < row.effect.value < row.effect.high


def test_the_largest_effect_comes_first_and_small_numbers_are_named_as_such() -> None:
    found = improvements({"A": segment(90, 12), "B": segment(50, 50), "C": segment(90, 9)}, 5)
    assert [row.segment for row in found.rows] == ["B", "A", "C"]
    assert found.rows[-1].effect is None
    assert not found.rows[-1].proven
    assert (found.compared, found.too_few) == (2, 1)


def test_a_cause_without_others_to_compare_with_is_not_compared() -> None:
    [row] = improvements({"A": segment(5, 40)}, 5).rows
    assert row.effect is None


def test_ranges_grow_with_the_number_of_comparisons() -> None:
    alone = improvements({"A": segment(80, 30)}, 1).rows[0].effect
    many = improvements({f"S{n}": segment(80, 30) for n in range(50)}, 1).rows[0].effect
    assert alone is not None
    assert many is not None
    assert many.low < alone.low
    assert many.high > alone.high


def test_without_an_effect_no_row_claims_one_in_a_hundred_fleets() -> None:
    """30 segments whose late customers score as all others do: some effect is "proven" in at most 5 % of fleets."""
    wrong, rng = 0, Random(5)
    for _ in range(100):
        fleet = {}
        for name in range(30):
            late = sum(rng.random() < 0.5 for _ in range(20))
            fleet[f"S{name}"] = {
                "score:10:10": late + 40,
                "score:10:0": 20 - late + 40,
                "cause:late:promoter": late,
                "cause:late:detractor": 20 - late,
            }
        wrong += any(row.proven for row in improvements(fleet, 30).rows)
    assert wrong <= 100 * ALPHA


@given(SMALL, SMALL, SMALL, SMALL)
def test_the_range_contains_the_effect(good: int, bad: int, late_good: int, late_bad: int) -> None:
    counts = {"score:10:10": good + late_good, "score:10:0": bad + late_bad}
    counts |= {"cause:late:promoter": late_good, "cause:late:detractor": late_bad}
    for row in improvements({"A": counts}, 5).rows:
        if row.effect is not None:
            assert row.effect.low - 1e-9 <= row.effect.value <= row.effect.high + 1e-9
            all_of = nps_of(Moods(good + late_good, 0, bad + late_bad))
            others = nps_of(Moods(good, 0, bad))
            assert all_of is not None
            assert others is not None
            assert abs(others.value - all_of.value - row.effect.value) < 1e-6, (
                "the NPS without the cause, minus the NPS"
            )


def test_every_counter_that_is_read_is_listed() -> None:
    assert {f"cause:{cause}:detractor" for cause in CAUSES} <= set(COUNTERS)
    assert "score:5:1" in COUNTERS
    assert "score:10:0" in COUNTERS
