"""Honest fleets: drawn with the promised rates, judged by the product's own functions."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.domain.detection import baseline
from pipeline.domain.detection.detector import Detector
from pipeline.domain.detection.pairs import EARLY, EXPERIENCE, MOVED, ON_TIME, UNANSWERED
from pipeline.simulation.fleets import FLEETS, STORM_SHARE, Fleet, Orders, _FleetDays, honest
from pipeline.simulation.screen import largest_evidence

SMALL = Fleet(depots=6, regions=2, carriers=3, years=1, capacities=(6, 2, 3))


def test_the_vectorised_detector_reaches_what_the_product_reaches() -> None:
    rng = np.random.default_rng(5)
    days, xs, deltas = [], [], []
    for n in (0, 1, 40, 300):
        days.append(np.sort(rng.integers(0, 90, n)).astype(np.float64))
        xs.append((rng.random(n) < 0.12).astype(np.float64))
        deltas.append(np.full(n, 0.05) + 0.01 * rng.random(n))
    expected = []
    for day, x, delta in zip(days, xs, deltas, strict=True):
        detector = Detector()
        steps = [detector.step(int(d), float(v), float(t)) for d, v, t in zip(day, x, delta, strict=True)]
        expected.append(max(steps, default=0.0))

    assert largest_evidence(days, xs, deltas) == pytest.approx(expected, rel=1e-9)


def test_the_fleets_present_state_is_the_products_formula() -> None:
    orders = Orders(replace(SMALL, peak=2.0), seed=3)
    fleet = _FleetDays(orders, EXPERIENCE)
    n = np.bincount(orders.day)
    total = np.bincount(orders.day, orders.x[EXPERIENCE])
    for day in (120, 250, 340):
        mean = fleet._mean_of_day[day]
        assert mean is not None
        earlier = [(day - d, int(n[d]), float(total[d])) for d in range(day)]
        assert fleet._now[day] == pytest.approx(baseline.fleet_now(mean, earlier))


def test_answers_have_the_rates_of_their_fleet() -> None:
    orders = Orders(replace(SMALL, unhappy=(0.08, 0.18), years=8), seed=1)
    rates = [orders.x[EXPERIENCE][orders.depot == depot].mean() for depot in range(6)]
    assert rates == sorted(rates)
    assert rates[0] == pytest.approx(0.08, abs=0.015)
    assert rates[-1] == pytest.approx(0.18, abs=0.02)
    assert orders.x[ON_TIME].mean() == pytest.approx(0.04, abs=0.005)
    assert (np.diff(orders.day) >= 0).all(), "in the order of receipt"


def test_a_storm_day_is_bad_in_its_region() -> None:
    always = Orders(replace(SMALL, storms=365.0), seed=1)
    assert always.x[ON_TIME].mean() == pytest.approx(STORM_SHARE, abs=0.02)


def test_accounts_differ_around_their_depot() -> None:
    equal, different = (Orders(replace(SMALL, years=8, concentration=c), seed=2) for c in (None, 5.0))
    spread = []
    for orders in (equal, different):
        n = np.bincount(orders.account)
        spread.append(float((np.bincount(orders.account, orders.x[EXPERIENCE]) / n).std()))
    assert spread[1] > 2 * spread[0]


def test_the_same_seeds_give_the_same_counts_and_few_false_alarms() -> None:
    one, again = honest(SMALL, range(3)), honest(SMALL, range(3))
    assert one == again
    assert one.fleet_years == 3.0
    assert one.per_year(sum(one.pages.values())) <= 2.0
    assert one.incidents <= sum(one.pages.values())


def test_a_fleet_that_is_not_honest_raises_pages_and_fewer_causes() -> None:
    """A third of the answers say late: every depot, region and carrier pages, and few of them are causes."""
    count = honest(replace(SMALL, late=0.3), range(1))
    assert count.pages[ON_TIME] >= 6 + 2 + 3
    assert 0 < count.incidents < count.pages[ON_TIME]


def test_the_documented_fleets_have_names_of_their_own() -> None:
    assert len({fleet.name for fleet in FLEETS}) == len(FLEETS) == 7


def test_the_other_signals_count_their_share_of_the_orders_and_change_no_figure_of_the_first() -> None:
    orders = Orders(replace(SMALL, years=4), seed=1)
    assert orders.counted[MOVED].mean() == pytest.approx(0.15, abs=0.01)
    assert orders.x[EARLY].mean() == pytest.approx(0.04, abs=0.005)
    peak = Orders(replace(SMALL, years=4, peak=1.5), seed=1)
    in_peak = np.isin(peak.day % 365, range(325, 355))
    assert peak.x[UNANSWERED][~in_peak].mean() == pytest.approx(0.65, abs=0.02)
    assert peak.x[UNANSWERED][in_peak].mean() == pytest.approx(1 - 0.35 / 1.5, abs=0.03), "fewer answer, not none"


@pytest.mark.parametrize("signal", [MOVED, UNANSWERED])
def test_each_of_the_other_signals_has_its_baseline(signal: str) -> None:
    nulls = _FleetDays(Orders(SMALL, seed=2), signal).nulls("depot", 0)
    rate = 0.15 if signal == MOVED else 0.65
    assert np.isnan(nulls[:31]).all(), "nothing is known in the first month"
    assert nulls[300] > rate - 0.1
