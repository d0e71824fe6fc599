"""One cause, one alert: an alert that is nothing without another's orders is an echo of it."""

import random
import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.domain.detection.alerting import Kind, Pair
from pipeline.domain.detection.explanation import Explanation, OpenRun, OrderPlace, explain
from pipeline.domain.detection.segments import Segment
from tests.support.statistics.fold import START
from tests.support.statistics.slow_explanation import causes_of

A = 20_000.0


class Fleet:
    """Orders with their segments, and the alerts that are open about them."""

    def __init__(self) -> None:
        self.orders: dict[str, OrderPlace] = {}
        self.pairs: list[Pair] = []

    def add(self, n: int, x: float, account: str = "", **dimensions: str) -> "Fleet":
        """`n` orders, one a day, each of its own account unless one is named."""
        for _ in range(n):
            order = f"o{len(self.orders)}"
            self.orders[order] = OrderPlace(account or order, [Segment(*item) for item in dimensions.items()])
            self.pairs.append(Pair(START + len(self.pairs), x, 0.05, self.orders[order].account, order))
        return self

    def run(self, dimension: str, value: str, kind: Kind = "divergence", counted: int | None = None) -> OpenRun:
        segment = Segment(dimension, value)
        pairs = [pair for pair in self.pairs if segment in self.orders[pair.order].segments]
        key = f"{dimension}={value}"
        return OpenRun(key=key, segment=segment, kind=kind, threshold=A, pairs=pairs, counted=counted or len(pairs))

    def explain(self, *segments: str) -> Explanation:
        dimension_value = [key.split("=") for key in segments]
        return explain([self.run(dimension, value) for dimension, value in dimension_value], self.orders)


def bad_depot() -> Fleet:
    fleet = Fleet().add(20, 1.0, depot="Lyon", region="South", carrier="Nordex")
    fleet.add(30, 0.0, depot="Nice", region="South", carrier="Nordex")
    return fleet.add(10, 1.0, depot="Lyon", region="South", carrier="Other")


def test_a_depot_explains_its_region_and_its_carrier() -> None:
    found = bad_depot().explain("region=South", "depot=Lyon", "carrier=Nordex")

    assert found.causes == ("depot=Lyon",)
    assert found.explained == {"depot=Lyon": ("carrier=Nordex", "region=South")}
    assert found.disputed_accounts == found.unexplained == ()


def test_a_region_whose_depots_are_all_bad_is_the_cause() -> None:
    fleet = Fleet()
    for depot in ("Lyon", "Nice", "Pau"):
        fleet.add(12, 1.0, depot=depot, region="South")

    found = fleet.explain("depot=Lyon", "depot=Nice", "depot=Pau", "region=South")

    assert found.causes == ("region=South",)
    assert found.explained == {"region=South": ("depot=Lyon", "depot=Nice", "depot=Pau")}


def test_two_independent_faults_are_two_causes_and_an_echo_belongs_to_the_larger() -> None:
    fleet = Fleet().add(12, 1.0, depot="Lyon", region="South").add(30, 1.0, depot="Lille", region="North")
    fleet.add(8, 1.0, depot="Lille", region="South")

    found = fleet.explain("depot=Lyon", "depot=Lille", "region=South")

    assert found.causes == ("depot=Lille", "depot=Lyon"), "most evidence first"
    assert found.explained == {"depot=Lyon": ("region=South",)}


def test_of_two_alerts_about_the_same_orders_the_one_with_fewer_pairs_ever_counted_is_the_cause() -> None:
    fleet = Fleet().add(20, 1.0, depot="Lyon", carrier="Nordex")
    depot, carrier = fleet.run("depot", "Lyon", counted=900), fleet.run("carrier", "Nordex", counted=400)
    assert explain([depot, carrier], fleet.orders).causes == ("carrier=Nordex",)
    same = fleet.run("depot", "Lyon", counted=400)
    assert explain([same, carrier], fleet.orders).causes == ("carrier=Nordex",), "of equals the smallest key"


def test_an_account_that_disputes_everywhere_is_no_cause_of_anything() -> None:
    fleet = Fleet().add(20, 1.0, "A-1", depot="Lyon", region="South").add(20, 0.0, depot="Lyon", region="South")
    dispute = fleet.run("depot", "Lyon", kind="single_account_dispute")

    found = explain([dispute, fleet.run("region", "South")], fleet.orders)

    assert found.disputed_accounts == ("A-1",)
    assert found.causes == ()
    assert found.unexplained == ("region=South",)


def test_an_account_without_which_an_alert_still_stands_is_left_in() -> None:
    fleet = Fleet().add(20, 1.0, "A-1", depot="Lyon", region="South").add(20, 1.0, depot="Nice", region="South")
    dispute = fleet.run("depot", "Lyon", kind="single_account_dispute")

    found = explain([dispute, fleet.run("region", "South")], fleet.orders)

    assert found.disputed_accounts == ()
    assert found.causes == ("region=South",)


def test_orders_are_matched_by_their_own_dimensions_and_not_by_what_was_counted() -> None:
    """The cap of a day may leave an order out of the depot's run that the region's run contains."""
    fleet = bad_depot()
    depot = fleet.run("depot", "Lyon")
    capped = OpenRun(
        key=depot.key, segment=depot.segment, kind="divergence", threshold=A, pairs=depot.pairs[::2], counted=15
    )

    assert explain([capped, fleet.run("region", "South")], fleet.orders).causes == ("depot=Lyon",)


fleets = st.lists(
    st.tuples(st.sampled_from("xyz"), st.sampled_from("pq"), st.sampled_from((0.0, 1.0, 1.0))),
    min_size=1,
    max_size=80,
)


@given(fleets, st.randoms(use_true_random=False))
def test_every_alert_is_a_cause_or_explained_or_neither_in_any_order(
    drawn: Sequence[tuple[str, str, float]], rng: random.Random
) -> None:
    fleet = Fleet()
    for depot, carrier, x in drawn:
        fleet.add(1, x, f"A-{len(fleet.pairs) % 5}", depot=depot, carrier=carrier)
    runs = [run for name in "xyz" if (run := fleet.run("depot", name)).pairs]
    runs += [run for name in "pq" if (run := fleet.run("carrier", name)).pairs]

    found = explain(runs, fleet.orders)

    assert explain(rng.sample(runs, len(runs)), fleet.orders) == found
    listed = [*found.causes, *(key for keys in found.explained.values() for key in keys), *found.unexplained]
    assert sorted(listed) == sorted(run.key for run in runs)
    assert set(found.explained) <= set(found.causes)


wide_fleets = st.lists(
    st.tuples(st.sampled_from("wxyz"), st.sampled_from("pqr"), st.sampled_from("nm"), st.sampled_from((0.0, 0.5, 1.0))),
    min_size=20,
    max_size=150,
)


@settings(max_examples=60)
@given(wide_fleets, st.sampled_from((400.0, 4_000.0, A)), st.sampled_from(("divergence", "single_account_dispute")))
def test_the_causes_are_those_of_the_rules_without_shortcuts(
    drawn: Sequence[tuple[str, str, str, float]], threshold: float, kind: Kind
) -> None:
    fleet = Fleet()
    for depot, carrier, region, x in drawn:
        bad = 1.0 if depot == "w" or carrier == "p" else x
        fleet.add(1, bad, f"A-{len(fleet.pairs) % 7}", depot=depot, carrier=carrier, region=region)
    places = [("depot", each) for each in "wxyz"] + [("carrier", each) for each in "pqr"] + [("region", "n")]
    runs = [run for place in places if (run := fleet.run(*place)).pairs]
    runs = [replace(run, threshold=threshold, kind=kind if run.key == "depot=x" else run.kind) for run in runs]

    assert list(explain(runs, fleet.orders).causes) == causes_of(runs, fleet.orders)


def test_large_random_fleets_have_the_causes_of_the_rules_without_shortcuts() -> None:
    for seed in range(3):
        runs, orders = large_fleet(40, 40, share_bad=seed / 2, seed=seed, crossing=seed == 2)
        assert list(explain(runs, orders).causes) == causes_of(runs, orders)


def large_fleet(
    depots: int, days: int, share_bad: float, seed: int = 1, *, crossing: bool = False
) -> tuple[list[OpenRun], dict[str, OrderPlace]]:
    """Depots with an order a day, each in a region (`crossing`: in any) and with any of 30 carriers."""
    rng = random.Random(seed)
    orders: dict[str, OrderPlace] = {}
    by_segment: dict[Segment, list[Pair]] = {}
    for n in range(depots * days):
        depot, order, account = n % depots, f"o{n}", f"a{n % 977}"
        region = rng.randrange(70) if crossing else depot % 70
        places = [Segment("depot", f"d{depot}"), Segment("region", f"r{region}")]
        places.append(Segment("carrier", f"c{rng.randrange(30)}"))
        orders[order] = OrderPlace(account, places)
        rate = 0.3 if depot < share_bad * depots else 0.05
        pair = Pair(START + n // depots, float(rng.random() < rate), 0.05, account, order)
        for place in places:
            by_segment.setdefault(place, []).append(pair)
    runs = [
        OpenRun(key="=".join(place), segment=place, kind="divergence", threshold=A, pairs=p[-300:], counted=len(p))
        for place, p in by_segment.items()
    ]
    return runs, orders


@pytest.mark.parametrize(("share_bad", "crossing", "seconds"), [(0.1, False, 2.0), (1.0, True, 4.0)])
def test_five_hundred_open_alerts_with_runs_of_three_hundred_are_grouped_within_seconds(
    share_bad: float, crossing: bool, seconds: float
) -> None:
    """Also where everything is bad and nothing explains anything: over 400 causes, in two seconds if undisturbed."""
    runs, orders = large_fleet(400, 300, share_bad, crossing=crossing)
    started = time.process_time()

    found = explain(runs, orders)

    assert (len(runs), {len(run.pairs) for run in runs}) == (500, {300})
    assert time.process_time() - started < seconds
    assert len(found.causes) > (400 if crossing else 6)
