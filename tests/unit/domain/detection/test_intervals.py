"""Intervals contain the estimate, shrink with answers, and cover the true value at all times."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.detection.intervals import (
    breakdown_rho,
    gap_interval,
    mean_interval,
    poststratified,
    rate_interval,
)

counts = st.integers(0, 3000)


@given(counts, counts, st.sampled_from([0.01, 0.05, 0.1]))
def test_the_rate_interval_contains_the_observed_rate(hits: int, misses: int, alpha: float) -> None:
    n = hits + misses
    low, high = rate_interval(hits, n, alpha)

    assert 0.0 <= low <= high <= 1.0
    if n:
        assert low <= hits / n <= high
        assert high - low > 0.0


@given(counts, counts, counts)
def test_the_gap_interval_contains_the_observed_gap(n10: int, n01: int, n0: int) -> None:
    n = n10 + n01 + n0
    low, high = gap_interval(n10, n01, n0)

    assert -1.0 <= low <= high <= 1.0
    if n:
        assert low <= (n10 - n01) / n <= high


@given(st.integers(0, 50), st.integers(1, 50))
def test_the_rate_interval_shrinks_as_the_same_rate_is_seen_more_often(hits: int, misses: int) -> None:
    widths = []
    for times in (1, 4, 16):
        low, high = rate_interval(hits * times, (hits + misses) * times)
        widths.append(high - low)

    assert widths[0] > widths[1] > widths[2]


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 50))
def test_the_gap_interval_shrinks_as_the_same_gap_is_seen_more_often(n10: int, n01: int, n0: int) -> None:
    widths = []
    for times in (1, 4, 16):
        low, high = gap_interval(n10 * times, n01 * times, n0 * times)
        widths.append(high - low)

    assert widths[0] > widths[1] > widths[2]


@given(counts, counts)
def test_hits_and_misses_are_mirror_images(hits: int, misses: int) -> None:
    low, high = rate_interval(hits, hits + misses)
    mirrored_low, mirrored_high = rate_interval(misses, hits + misses)

    assert low == pytest.approx(1.0 - mirrored_high, abs=1e-9)
    assert high == pytest.approx(1.0 - mirrored_low, abs=1e-9)


@given(counts, counts, counts)
def test_claimed_and_experienced_are_mirror_images(n10: int, n01: int, n0: int) -> None:
    low, high = gap_interval(n10, n01, n0)
    mirrored_low, mirrored_high = gap_interval(n01, n10, n0)

    assert low == pytest.approx(-mirrored_high, abs=1e-9)
    assert high == pytest.approx(-mirrored_low, abs=1e-9)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.floats(-0.999, 0.999))
def test_the_closed_form_of_the_gap_is_the_best_of_a_fine_grid(n10: int, n01: int, n0: int, g: float) -> None:
    """The interval uses a closed form of a maximum; a search finds no larger value."""
    n = n10 + n01 + n0
    if not n:
        return
    low, high = gap_interval(n10, n01, n0)
    mixture = (
        sum(math.lgamma(k + 0.5) - math.lgamma(0.5) for k in (n10, n01, n0)) - math.lgamma(n + 1.5) + math.lgamma(1.5)
    )
    floor, width = max(0.0, -g), (1.0 - abs(g)) / 2
    best = -math.inf
    for i in range(1, 2000):
        q = floor + width * i / 2000
        best = max(best, n10 * math.log(q + g) + n01 * math.log(q) + n0 * math.log(max(1 - g - 2 * q, 1e-300)))
    if mixture - best < math.log(1 / 0.05):
        assert low - 1e-6 <= g <= high + 1e-6


def test_a_smaller_alpha_gives_a_wider_interval() -> None:
    narrow, wide = rate_interval(5, 40, 0.1), rate_interval(5, 40, 0.01)

    assert wide[0] < narrow[0]
    assert wide[1] > narrow[1]


def test_without_answers_the_interval_is_the_whole_range() -> None:
    assert rate_interval(0, 0) == (0.0, 1.0)
    assert gap_interval(0, 0, 0) == (-1.0, 1.0)
    assert mean_interval({}, 0, 10) == mean_interval({3.0: 0}, 0, 10) == (0.0, 10.0)


def test_fractions_of_stakeholders_lie_between_their_neighbours() -> None:
    below, between, above = rate_interval(3, 20), rate_interval(3.5, 20), rate_interval(4, 20)

    assert below[0] < between[0] < above[0]
    assert below[1] < between[1] < above[1]


def capital(counts: dict[float, int], m: float) -> float:
    """What the 28 bettors have against a mean `m` of scores in [0, 1], on average, by the definition."""
    fractions = [0.004 * (0.95 / 0.004) ** (i / 13) for i in range(14)]
    bets = [f / m for f in fractions] + [-f / (1 - m) for f in fractions]
    return sum([math.prod([float((1 + bet * (x - m)) ** n) for x, n in counts.items()]) for bet in bets]) / 28


@given(st.dictionaries(st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0]), st.integers(1, 40), min_size=1))
def test_the_interval_of_a_mean_is_every_mean_the_bettors_do_not_disprove(counts: dict[float, int]) -> None:
    low, high = mean_interval(counts, 0.0, 1.0)

    observed = sum(x * n for x, n in counts.items()) / sum(counts.values())
    assert 0.0 <= low <= observed <= high <= 1.0
    for m in (i / 50 for i in range(1, 50)):
        if abs(m - low) > 1e-6 and abs(m - high) > 1e-6:
            assert (low < m < high) == (capital(counts, m) < 20.0)


def test_the_interval_of_a_mean_has_the_scale_of_its_scores_and_is_much_narrower_than_yes_or_no() -> None:
    scores = {2.0: 5, 5.0: 10, 7.0: 25, 8.0: 30, 9.0: 20, 10.0: 10}
    low, high = mean_interval(scores, 0.0, 10.0)
    doubled = mean_interval({2 * score + 1: n for score, n in scores.items()}, 1.0, 21.0)
    yes_or_no = rate_interval(sum(score * n for score, n in scores.items()) / 10, 100)

    assert doubled == pytest.approx((2 * low + 1, 2 * high + 1))
    assert high - low < 0.6 * 10 * (yes_or_no[1] - yes_or_no[0])


def test_the_interval_of_a_mean_is_rarely_wrong_at_any_look() -> None:
    rng = random.Random(3)
    wrong = 0
    for _ in range(200):
        counts = dict.fromkeys((0.0, 0.5, 1.0), 0)
        for n in range(1, 121):
            counts[rng.choices((0.0, 0.5, 1.0), (1, 2, 7))[0]] += 1
            if n % 10 == 0:
                low, high = mean_interval(counts, 0.0, 1.0)
                if not low <= 0.8 <= high:
                    wrong += 1
                    break
    assert wrong <= 14  # 5 % of 200, and three standard deviations less than that would allow 19


def test_the_interval_covers_the_true_rate_at_all_times() -> None:
    """At most alpha of all sequences may exclude the true rate at *any* time."""
    rng = random.Random(11)
    left_out = 0
    for _ in range(200):
        hits = 0
        outside = False
        for n in range(1, 151):
            hits += rng.random() < 0.1
            low, high = rate_interval(hits, n, 0.2)
            outside = outside or not low <= 0.1 <= high
        left_out += outside

    assert 0 < left_out <= 0.2 * 200


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: rate_interval(3, 2),
        lambda: rate_interval(-1, 2),
        lambda: rate_interval(1, 2, 0.0),
        lambda: gap_interval(1, -1, 2),
        lambda: mean_interval({1.0: 1}, 5, 5),
        lambda: mean_interval({1.0: -1}, 0, 5),
        lambda: mean_interval({1.0: 1}, 0, 5, 1.0),
        lambda: breakdown_rho(0.1, 0.0),
    ],
)
def test_impossible_counts_are_refused(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(ValueError, match=r"must|need"):
        wrong()


def test_nothing_completed_has_no_figures() -> None:
    assert poststratified(n10=0, n11=0, n00=0, n01=0, completed=0, claimed_on_time=0) is None


def test_a_group_without_answers_has_an_interval_but_no_point() -> None:
    figures = poststratified(n10=2, n11=18, n00=0, n01=0, completed=100, claimed_on_time=90)

    assert figures is not None
    assert figures.gap is None
    d_low, d_high = rate_interval(2, 20, 0.025)
    assert figures.gap_interval == pytest.approx((0.9 * d_low - 0.1, 0.9 * d_high))


def test_a_group_without_weight_need_not_answer() -> None:
    figures = poststratified(n10=2, n11=18, n00=0, n01=0, completed=90, claimed_on_time=90)

    assert figures is not None
    assert figures.gap == pytest.approx(0.1)


@given(
    st.integers(0, 60),
    st.integers(0, 60),
    st.integers(0, 60),
    st.integers(0, 60),
    st.integers(0, 300),
    counts,
)
def test_a_poststratified_gap_lies_in_its_interval(
    n10: int, n11: int, n00: int, n01: int, claimed: int, rest: int
) -> None:
    figures = poststratified(n10=n10, n11=n11, n00=n00, n01=n01, completed=claimed + rest, claimed_on_time=claimed)
    if figures is None:
        return
    low, high = figures.gap_interval
    assert low <= high
    if figures.gap is not None:
        assert low <= figures.gap <= high


def test_a_gap_compatible_with_honesty_needs_no_explanation() -> None:
    assert breakdown_rho(0.05, 0.05) == pytest.approx(1.0)
    assert breakdown_rho(0.02, 0.05) < 1.0 < breakdown_rho(0.12, 0.05)
    assert breakdown_rho(1.0, 0.05) == math.inf
