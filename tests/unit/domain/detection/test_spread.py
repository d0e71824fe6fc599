"""The spread of honest segments: estimated from the others, whatever their order."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.detection.spread import Contacts, SegmentSums, Spread


def tau_by_definition(others: list[tuple[int, float]]) -> float:
    n, k = sum(each for each, _ in others), len(others)
    mu = sum(total for _, total in others) / n
    between = sum(each * (total / each - mu) ** 2 for each, total in others)
    return math.sqrt(max(0.0, (between - (k - 1) * mu * (1 - mu)) / (n - sum(each**2 for each, _ in others) / n)))


rows = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=2),
    st.integers(1, 400).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n).map(float))),
    min_size=2,
    max_size=12,
)


@given(rows, st.randoms(use_true_random=False))
def test_the_spread_of_a_segment_is_that_of_the_others_in_any_order(
    segments: dict[str, tuple[int, float]], rng: random.Random
) -> None:
    listed = [SegmentSums(value, n, total, n // 2, total / 2) for value, (n, total) in segments.items()]
    shuffled = rng.sample(listed, len(listed))
    for value in [*segments, "new"]:
        others = [row for name, row in segments.items() if name != value and row[0] >= 20]
        tau = Spread(listed).tau(value)
        assert tau == Spread(shuffled).tau(value)
        assert Spread(listed).others(value)[0] == sum(row.recent_n for row in listed if row.value != value)
        assert tau == pytest.approx(tau_by_definition(others) if len(others) >= 3 else 0.0, abs=1e-7)


def test_segments_that_differ_only_by_chance_have_no_spread() -> None:
    assert Spread([SegmentSums(f"d{i}", 200, 24.0) for i in range(8)]).tau("d0") == 0.0
    assert Spread([SegmentSums(f"d{i}", 200, 16.0 + 4 * i) for i in range(8)]).tau("d0") == pytest.approx(
        0.035, abs=0.005
    )


def contacts(value: str, clean: int, clean_missing: int, risk: int, risk_missing: int) -> SegmentSums:
    return SegmentSums(value, clean, clean_missing, risk, risk_missing)


def test_a_segments_own_customers_explain_missing_contacts_in_proportion_to_the_others_risk_ratio() -> None:
    others = [contacts("a", 500, 20, 40, 3), contacts("b", 500, 30, 60, 5)]
    without_phones = contacts("c", 200, 100, 30, 15)
    ratio = ((8 + 0.5) / 101) / ((50 + 0.5) / 1001)
    assert Contacts([*others, without_phones]).explained("c") == pytest.approx(100.5 / 201 * ratio)
    assert Contacts(others).explained("new") == 0.0
    assert Contacts([without_phones]).explained("c") == pytest.approx(100.5 / 201), "nobody to compare with"
