"""The detector: evidence, runs, and the cap per account and day."""

import math
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.detection import alerting
from pipeline.domain.detection import detector as module
from pipeline.domain.detection.baseline import threshold
from pipeline.domain.detection.detector import EVIDENCE_CAP, Detector, may_count, replay
from tests.support.statistics.fold import START, answers, baselines


def recursion(pairs: Sequence[tuple[int, float, float]]) -> list[float]:
    """The recursion as docs/statistics.md states it, one bet after another."""
    evidence = []
    for f in module.BETS:
        r, last = 0.0, None
        for day, x, delta in pairs:
            mass = 1 if last is None else max(day - last, 0)
            r = (r + mass) * (1 - f + f * x / delta)
            last = day if last is None else max(day, last)
        evidence.append(r)
    return evidence


pairs_of_days = st.lists(st.tuples(st.integers(0, 40), answers, baselines), max_size=60)


@given(pairs_of_days)
def test_the_unrolled_step_equals_the_recursion(pairs: list[tuple[int, float, float]]) -> None:
    detector = Detector()
    for day, x, delta in pairs:
        r = detector.step(day, x, delta)
        assert r == detector.evidence

    assert detector.by_bet == pytest.approx(recursion(pairs), rel=1e-12)


@given(pairs_of_days)
def test_every_run_follows_from_its_cusum(pairs: list[tuple[int, float, float]]) -> None:
    detector = Detector()
    for day, x, delta in pairs:
        detector.step(day, x, delta)

    for j, f in enumerate(module.BETS):
        cusum, n, total, since, last = 0.0, 0, 0.0, 0, 0
        for day, x, delta in pairs:
            last = max(day, last)
            if cusum <= 0.0:
                cusum, n, total, since = 0.0, 0, 0.0, last
            cusum += math.log(1 - f + f * x / delta)
            n, total = n + 1, total + x
        assert (detector.run_n[j], detector.run_since[j]) == (n, since)
        assert detector.run_sum[j] == pytest.approx(total)


def test_six_straight_disagreements_cross_at_the_default_threshold() -> None:
    detector = Detector()
    found = [detector.step(START, 1.0, 0.05) >= threshold(200, 1, 1.0) for _ in range(6)]

    assert found == [False] * 5 + [True]
    run = detector.run
    assert run is not None
    assert (run.n, run.rate, run.since) == (6, 1.0, START)


def test_a_fresh_detector_has_no_evidence_and_no_run() -> None:
    detector = Detector()

    assert detector.evidence == 0.0
    assert detector.log10_evidence == -math.inf
    assert detector.run is None


def test_two_detectors_share_nothing() -> None:
    one, other = Detector(), Detector()
    one.step(START, 1.0, 0.05)

    assert other == Detector()


def test_a_day_before_the_last_one_counts_as_the_last_one() -> None:
    backwards, level = Detector(), Detector()
    for day, same in ((START + 5, START + 5), (START, START + 5), (START + 6, START + 6)):
        backwards.step(day, 0.0, 0.05)
        level.step(same, 0.0, 0.05)

    assert backwards == level
    assert backwards.last_day == START + 6


def test_unbounded_evidence_is_capped_at_a_number_json_can_represent() -> None:
    detector = Detector()
    for day in range(400):
        r = detector.step(START + day, 1.0, 0.001)

    assert r == EVIDENCE_CAP == detector.evidence
    assert msgspec.json.decode(msgspec.json.encode(detector), type=Detector) == detector


@pytest.mark.parametrize(("x", "delta"), [(1.1, 0.05), (-0.1, 0.05), (math.nan, 0.05), (1.0, 0.0), (1.0, 1.0)])
def test_values_outside_their_range_are_refused(x: float, delta: float) -> None:
    with pytest.raises(ValueError, match="must lie"):
        Detector().step(START, x, delta)


def test_the_cache_of_factors_has_a_size_limit() -> None:
    detector = Detector()
    for i in range(1, 1000):
        detector.step(START, 1.0, i / 1000)
    assert len(module._factors) <= module._CACHE_LIMIT

    for i in range(1, 1000):
        detector.step(START, i / 1000, 0.05)
    assert max(len(by_x) for by_x in module._factors.values()) <= module._CACHE_LIMIT


def test_three_orders_of_an_account_and_day_count() -> None:
    assert may_count(2)
    assert not may_count(3)


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from((0.0, 1 / 3, 1.0)), st.sampled_from((0.001, 0.05, 0.2)))))
def test_a_replay_without_runs_gives_the_evidence_of_each_step_bit_for_bit(
    drawn: list[tuple[int, float, float]],
) -> None:
    days = [730_000 + sum(step for step, _, _ in drawn[: place + 1]) for place in range(len(drawn))]
    pairs = [
        alerting.Pair(day - (day % 2), x, delta, "", "") for day, (_, x, delta) in zip(days, drawn, strict=True)
    ] * 3
    stepped = Detector()
    assert list(replay(pairs)) == [stepped.step(pair.day, pair.x, pair.delta) for pair in pairs]


def test_a_replay_has_the_same_cap() -> None:
    pairs, stepped = [alerting.Pair(730_000 + n, 1.0, 0.001, "", "") for n in range(400)], Detector()
    assert list(replay(pairs)) == [stepped.step(pair.day, pair.x, pair.delta) for pair in pairs]
    assert stepped.evidence == EVIDENCE_CAP
