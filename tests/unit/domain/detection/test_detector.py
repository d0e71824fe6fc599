"""The detector and what is made of it: from a pair to an alert, and back."""

import math
import random
from collections.abc import Sequence
from datetime import date

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.domain.detection import detector as module
from pipeline.domain.detection.alerting import (
    Evidence,
    OpenAlert,
    Pair,
    Transition,
    excess,
    is_unverified,
    judge,
    observe,
    severity,
)
from pipeline.domain.detection.baseline import delta_on_responders, experience_baseline, response_ratio, rho, threshold
from pipeline.domain.detection.detector import EVIDENCE_CAP, Detector, may_count
from pipeline.domain.detection.intervals import rate_interval
from pipeline.domain.detection.resolver import Resolver, delta1
from tests.support.statistics.detection_blocks import Answer, Block, compose, day_block, settle

A = 73_000.0
START = date(2026, 3, 1).toordinal()

answers = st.sampled_from([0.0, 1.0, 0.5, 1 / 3, 2 / 3])
nulls = st.sampled_from([0.05, 0.0952, 0.02, 0.3])


def _pairs(answers: Sequence[float], per_day: int = 5, accounts: int = 7, delta: float = 0.05) -> list[Pair]:
    """Answers in order, `per_day` a day, accounts taking turns."""
    return [Pair(START + i // per_day, x, delta, f"a{i % accounts}", f"o{i}") for i, x in enumerate(answers)]


def _never(k: int) -> Sequence[Pair]:
    raise AssertionError("the run was read, and nothing called for it")


class Fold:
    """A segment over its pairs, keeping what happened and how much was read."""

    def __init__(self, a: float = A) -> None:
        self.a = a
        self.evidence = Evidence()
        self.seen: list[Pair] = []
        self.happened: list[tuple[int, Transition]] = []
        self.read = 0

    def take(self, pairs: Sequence[Pair]) -> "Fold":
        for pair in pairs:
            self.seen.append(pair)
            transition = observe(self.evidence, pair, self.a, self._recent)
            if transition is not None:
                self.happened.append((len(self.seen), transition))
        return self

    def _recent(self, k: int) -> Sequence[Pair]:
        assert 0 < k <= len(self.seen)
        self.read += k
        return self.seen[-k:]

    def restart(self) -> None:
        """The worker stops, and another one takes up the stored state."""
        self.evidence = msgspec.json.decode(msgspec.json.encode(self.evidence), type=Evidence)

    @property
    def alert(self) -> OpenAlert:
        assert self.evidence.alert is not None
        return self.evidence.alert

    @property
    def story(self) -> list[tuple[str, str]]:
        return [(transition.what, transition.alert.kind) for _, transition in self.happened]


# --- the detector -------------------------------------------------------------------------------------------


def _in_plain_words(pairs: Sequence[tuple[int, float, float]]) -> list[float]:
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


pairs_of_days = st.lists(st.tuples(st.integers(0, 40), answers, nulls), max_size=60)


@given(pairs_of_days)
def test_the_written_out_step_is_the_recursion(pairs: list[tuple[int, float, float]]) -> None:
    detector = Detector()
    for day, x, delta in pairs:
        r = detector.step(day, x, delta)
        assert r == detector.evidence

    assert detector.by_bet == pytest.approx(_in_plain_words(pairs), rel=1e-12)


@given(pairs_of_days)
def test_every_run_is_what_its_cusum_says(pairs: list[tuple[int, float, float]]) -> None:
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


def test_boundless_evidence_stays_a_number_that_json_can_write() -> None:
    detector = Detector()
    for day in range(400):
        r = detector.step(START + day, 1.0, 0.001)

    assert r == EVIDENCE_CAP == detector.evidence
    assert msgspec.json.decode(msgspec.json.encode(detector), type=Detector) == detector


@pytest.mark.parametrize(("x", "delta"), [(1.1, 0.05), (-0.1, 0.05), (math.nan, 0.05), (1.0, 0.0), (1.0, 1.0)])
def test_what_would_break_the_promise_is_refused(x: float, delta: float) -> None:
    with pytest.raises(ValueError, match="must lie"):
        Detector().step(START, x, delta)


def test_any_number_of_nulls_is_remembered_only_up_to_a_limit() -> None:
    detector = Detector()
    for i in range(1, 1000):
        detector.step(START, 1.0, i / 1000)
    assert len(module._factors) <= module._CACHE_LIMIT

    for i in range(1, 1000):
        detector.step(START, i / 1000, 0.05)
    assert max(len(by_x) for by_x in module._factors.values()) <= module._CACHE_LIMIT


# --- day blocks ---------------------------------------------------------------------------------------------

days = st.lists(st.tuples(st.integers(1, 9), st.lists(st.tuples(answers, nulls), min_size=1, max_size=8)), max_size=8)


@given(days)
def test_day_blocks_compose_to_what_the_pairs_do_one_by_one(
    days: list[tuple[int, list[tuple[float, float]]]],
) -> None:
    detector, whole, day = Detector(), Block(), START
    for i, (gap, pairs) in enumerate(days):
        mass = gap if i else 1
        day += gap
        for x, delta in pairs:
            detector.step(day, x, delta)
        whole = compose(whole, day_block(mass, pairs))

    assert whole.apply(Detector().by_bet) == pytest.approx(detector.by_bet, rel=1e-9)


@given(days, days)
def test_it_does_not_matter_where_blocks_are_put_together(
    first: list[tuple[int, list[tuple[float, float]]]], second: list[tuple[int, list[tuple[float, float]]]]
) -> None:
    blocks = [day_block(mass, pairs) for mass, pairs in first + second]
    left = Block()
    for block in blocks:
        left = compose(left, block)
    right = Block()
    for block in reversed(blocks):
        right = compose(block, right)

    assert left.a == pytest.approx(right.a, rel=1e-9)
    assert left.b == pytest.approx(right.b, rel=1e-9)


# --- the null -----------------------------------------------------------------------------------------------


def test_rho_is_never_guessed_high() -> None:
    assert rho(None) == rho(math.nan) == rho(0.0) == rho(1.0) == 1.0
    assert rho(response_ratio(0, 0, 500, 100)) == 1.0
    assert rho(response_ratio(40, 0, 500, 100)) == 1.0
    assert rho(response_ratio(40, 9, 500, 0)) == 1.0
    assert response_ratio(40, 0, 500, 100) is None  # no answer is no estimate, not an estimate of 0


def test_rho_undoes_what_confusion_dilutes_and_stops_at_three() -> None:
    assert rho(2.0) == pytest.approx((1.9 - 0.03) / (0.97 - 0.1))
    assert rho(response_ratio(100, 40, 1000, 200)) == rho(2.0)
    assert rho(2.8) == rho(19.4) == rho(25.0) == rho(math.inf) == 3.0


@given(st.floats(0.001, 0.5), st.floats(1.0, 3.0))
def test_eager_late_customers_raise_the_honest_rate_among_answers(delta0: float, ratio: float) -> None:
    delta = delta_on_responders(delta0, ratio)

    assert delta0 <= delta * (1 + 1e-12)
    assert delta < 1.0
    late, others = delta0 * ratio, 1.0 - delta0
    assert delta == pytest.approx(late / (late + others))


def test_there_is_no_experience_null_before_two_hundred_pairs() -> None:
    assert experience_baseline(199, 20.0) is None
    assert experience_baseline(200, 20.0) == 0.1


def test_an_experience_null_is_never_zero_or_one() -> None:
    assert experience_baseline(200, 0.0) == 0.5 / 201
    assert experience_baseline(200, 200.0) == 1 - 0.5 / 201
    for total in (0.0, 200.0):
        delta = experience_baseline(200, total)
        assert delta is not None
        Detector().step(START, 1.0, delta)


def test_the_threshold_shares_the_budget_over_segments_and_levels() -> None:
    assert threshold(200, 1, 1.0) == 73_000.0
    assert threshold(200, 3, 1.0) == 219_000.0
    with pytest.raises(ValueError, match="positive"):
        threshold(0, 1, 1.0)


# --- the gates ----------------------------------------------------------------------------------------------


def test_a_divergence_spread_over_accounts_opens_a_divergence() -> None:
    honest, embellished = [0.0, 0.0, 0.0, 0.0] * 20, [1.0, 0.0, 0.0, 0.0] * 30
    fold = Fold().take(_pairs(honest + embellished))

    n, opened = fold.happened[0]
    alert = opened.alert
    assert (opened.what, alert.kind, alert.severity) == ("opened", "divergence", "critical")
    assert alert.opened_pair == n - 1
    assert alert.opened_day == fold.seen[n - 1].day
    assert alert.since == fold.seen[80].day
    assert alert.run_n == n - 80
    assert alert.run_rate == pytest.approx(sum(p.x for p in fold.seen[80:n]) / (n - 80))
    assert alert.null == 0.05
    assert alert.low == rate_interval(alert.run_rate * alert.run_n, alert.run_n)[0]
    assert alert.delta1 == delta1(0.05, alert.low)
    assert 10**alert.log10_e >= A


def test_one_angry_account_is_a_dispute_and_pages_nobody() -> None:
    honest = _pairs([0.0] * 60)
    angry = [Pair(START + 12, 1.0, 0.05, "zz", f"z{i}") for i in range(8)]
    fold = Fold().take(honest + angry)

    assert fold.story == [("opened", "single_account_dispute")]
    assert fold.alert.severity == "critical"


def test_a_single_account_segment_can_only_be_a_dispute() -> None:
    fold = Fold().take([Pair(START + i, 1.0, 0.05, "only", f"o{i}") for i in range(20)])

    assert fold.story == [("opened", "single_account_dispute")]


def _slow_excess(rate: float, n: int) -> list[float]:
    """Answers whose rate is as even as can be."""
    return [float(int((i + 1) * rate) - int(i * rate)) for i in range(n)]


def test_a_difference_below_the_margin_is_watched_without_reading_the_run() -> None:
    evidence = Evidence()
    happened = [
        transition
        for pair in _pairs(_slow_excess(0.0765, 9_000), per_day=50, accounts=13)
        if (transition := observe(evidence, pair, A, _never))
    ]

    (opened,) = happened
    assert evidence.pairs == 9_000 > opened.alert.opened_pair + 1_000  # and many more while it is open
    assert (opened.alert.kind, opened.alert.severity) == ("watch", None)
    assert excess(opened.alert.run_rate, 0.05) < 0.03


def _crossing_run() -> list[Pair]:
    rng = random.Random(5)
    return [Pair(START + i // 5, float(rng.random() < 0.3), 0.05, f"a{rng.randrange(6)}", f"o{i}") for i in range(60)]


@given(st.permutations(["a0", "a1", "a2", "a3", "a4", "a5"]))
def test_what_accounts_are_called_does_not_change_the_verdict(names: list[str]) -> None:
    run = _crossing_run()
    renamed = [msgspec.structs.replace(pair, account=names[int(pair.account[1:])]) for pair in run]
    sums = {name: sum(p.x for p in run if p.account == name) for name in names}
    assert sorted(sums.values())[-1] > sorted(sums.values())[-2]  # one top account, whatever it is called

    plain, other = judge(run, 0.05, A), judge(renamed, 0.05, A)

    assert other.top_account == names[int(plain.top_account[1:])]
    assert msgspec.structs.replace(other, top_account=plain.top_account) == plain


@given(st.randoms(use_true_random=False))
def test_the_order_of_accounts_within_a_day_is_irrelevant_to_who_is_left_out(rng: random.Random) -> None:
    same_day = [Pair(START, x, 0.05, account, "o") for account in "abcd" for x in (1 / 3, 2 / 3, 1.0, 0.0)]
    shuffled = rng.sample(same_day, len(same_day))

    # All tie, in whatever order their thirds are added up: the smallest id is left out.
    assert judge(shuffled, 0.05, A).top_account == judge(same_day, 0.05, A).top_account == "a"
    assert judge(shuffled, 0.05, A).top_sum == 2.0


def test_the_rest_must_stand_by_itself() -> None:
    run = [Pair(START, 1.0, 0.05, "zz", "z")] * 6 + [Pair(START + 1, x, 0.05, "b", "o") for x in (1.0, 0.0, 1.0, 0.0)]

    judged = judge(run, 0.05, A)

    assert judged.rest_rate == 0.5
    assert judged.rest_max < math.sqrt(A)
    assert judged.kind == "single_account_dispute"
    assert judge(run, 0.05, judged.rest_max**2 * 0.999).kind == "divergence"
    assert judge(run, 0.05, 1.0, margin=0.46).kind == "single_account_dispute"
    assert judge(run, 0.05, 1.0, margin=0.76).kind == "watch"


def test_the_rest_is_replayed_with_each_pairs_own_null() -> None:
    run = [Pair(START, 1.0, 0.05, "zz", "z")] * 3 + [
        Pair(START, 1.0, 0.05, "b", "o"),
        Pair(START, 1.0, 0.1, "c", "o"),
    ]
    replay = Detector()
    replay.step(START, 1.0, 0.05)

    assert judge(run, 0.1, A).rest_max == replay.step(START, 1.0, 0.1)


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (0.05, None),
        (0.0799, None),
        (0.08, "minor"),
        (0.1199, "minor"),
        (0.12, "major"),
        (0.1999, "major"),
        (0.2, "critical"),
        (1.0, "critical"),
    ],
)
def test_severity_is_by_points_over_the_null(rate: float, expected: str | None) -> None:
    assert severity(rate, 0.05) == expected


# --- while an alert is open ---------------------------------------------------------------------------------


def test_a_dispute_that_others_join_becomes_a_divergence_with_the_figures_of_then() -> None:
    angry = [Pair(START + 12, 1.0, 0.05, "zz", f"z{i}") for i in range(8)]
    joined = [Pair(START + 13 + i // 5, float(i % 3 == 0), 0.05, f"a{i % 7}", f"j{i}") for i in range(100)]
    fold = Fold().take(_pairs([0.0] * 60) + angry)
    opening = msgspec.structs.replace(fold.alert)
    fold.take(joined)

    assert fold.story == [("opened", "single_account_dispute"), ("escalated", "divergence")]
    n, escalated = fold.happened[1]
    alert = escalated.alert
    assert (alert.opened_pair, alert.opened_day) == (opening.opened_pair, opening.opened_day)
    assert alert.run_n > opening.run_n
    assert alert.run_rate == pytest.approx(sum(p.x for p in fold.seen[n - alert.run_n : n]) / alert.run_n)
    assert alert.low == rate_interval(alert.run_rate * alert.run_n, alert.run_n)[0]
    assert alert.resolver == Resolver(delta1(0.05, alert.low))  # starts anew with the next pair
    assert alert.judged_at == n
    assert fold.alert == msgspec.structs.replace(alert, resolver=fold.alert.resolver)
    assert fold.alert.resolver.delta1 == alert.delta1
    assert fold.alert.resolver.last_day == fold.seen[-1].day


def test_a_watch_may_rise_and_severity_with_it() -> None:
    fold = Fold().take(_pairs(_slow_excess(0.0765, 9_000), per_day=50, accounts=13))
    assert fold.story == [("opened", "watch")]

    more = _pairs([1.0, 0.0, 0.0] * 2_000, per_day=50, accounts=13)
    fold.take([msgspec.structs.replace(pair, day=pair.day + 180) for pair in more])

    severities = [transition.alert.severity for _, transition in fold.happened]
    assert fold.story[0] == ("opened", "watch")
    assert fold.story[1][0] == "escalated"
    assert fold.story[-1] == ("escalated", "divergence")
    assert severities[0] is None
    assert severities == sorted(severities, key=[None, "minor", "major", "critical"].index)
    assert severities[-1] == "critical"


def test_severity_never_falls() -> None:
    fold = Fold().take(_pairs([1.0, 0.0, 0.0, 0.0] * 15 + ([1.0] + [0.0] * 7) * 100))

    assert fold.alert.severity == "critical"
    run = fold.evidence.detector.run
    assert run is not None
    assert severity(run.rate, 0.05) == "major"
    assert [what for what, _ in fold.story] == ["opened"]


def test_a_lone_answer_of_a_waning_alert_is_no_escalation() -> None:
    """With R back under A the lead bet's run may be one disagreement, a rate of 100 %."""
    fold = Fold().take(_pairs([1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0] * 40))
    opened = fold.alert.severity
    assert opened == "major"
    alert = fold.alert
    alert.resolver = Resolver(delta1=0.0501)  # one that takes long
    day = fold.seen[-1].day
    while fold.evidence.detector.evidence >= 500:
        fold.take([Pair(day, 0.0, 0.05, "a1", "o")])
    detector = fold.evidence.detector
    detector.cusum = [-1.0] * 5
    fold.take([Pair(day, 1.0, 0.05, "a1", "o")])

    run = detector.run
    assert run is not None
    assert (run.n, run.rate) == (1, 1.0)
    assert fold.alert.severity == "major"


def test_rereading_an_open_disputes_run_costs_a_few_pairs_for_each_that_comes() -> None:
    angry = [Pair(START + i // 10, float(i % 2), 0.05, "zz" if i % 2 else "aa", f"o{i}") for i in range(4000)]
    fold = Fold().take(angry)

    assert fold.story[0] == ("opened", "single_account_dispute")
    assert fold.alert.kind == "single_account_dispute"
    assert fold.read <= 21 * len(angry)
    assert fold.read > len(angry)  # it does look again


def test_recovery_resolves_and_the_next_fault_is_found_anew() -> None:
    fault, recovery = [1.0, 0.0, 0.0] * 20, [0.0] * 300
    fold = Fold().take(_pairs(fault + recovery + fault))

    assert fold.story == [("opened", "divergence"), ("resolved", "divergence"), ("opened", "divergence")]
    resolved_at, resolved = fold.happened[1]
    assert 60 < resolved_at < 360
    assert resolved.alert.opened_pair == fold.happened[0][0] - 1
    again = fold.happened[2][1].alert
    assert again.opened_pair == fold.happened[2][0] - 1 > 360  # pairs are counted on
    assert again.since >= fold.seen[360].day


def test_after_a_resolution_the_evidence_starts_from_nothing() -> None:
    fold = Fold().take(_pairs([1.0, 0.0, 0.0] * 20))
    i = 60
    while fold.evidence.alert is not None:
        fold.take([Pair(START + i // 5, 0.0, 0.05, f"a{i % 7}", f"o{i}")])
        i += 1

    assert fold.evidence == Evidence(pairs=i, last_day=fold.seen[-1].day)


def test_a_transition_keeps_the_alert_as_it_was() -> None:
    fold = Fold().take(_pairs([1.0] * 8))
    opened = fold.happened[0][1].alert
    before = msgspec.json.encode(opened)
    fold.take(_pairs([1.0, 0.0] * 50))

    assert msgspec.json.encode(opened) == before
    assert opened.resolver == Resolver(opened.delta1)


def test_the_rate_to_undercut_is_half_way_to_what_is_certain_and_at_least_two_points_off() -> None:
    assert delta1(0.05, 0.15) == pytest.approx(0.10)
    assert delta1(0.05, 0.06) == pytest.approx(0.07)
    assert delta1(0.05, 0.0) == pytest.approx(0.07)
    assert 0.99 < delta1(0.99, 0.995) < 1.0


def test_the_resolver_takes_one_days_mass_for_its_first_pair_and_clamps_going_back() -> None:
    one, other = Resolver(0.1), Resolver(0.1)
    one.step(START, 0.0)
    other.step(START + 900, 0.0)
    assert one.by_bet == other.by_bet == pytest.approx([1 - f + f / 0.9 for f in (0.1, 0.3, 0.6)])
    backwards = one.step(START - 5, 0.0)

    assert backwards == other.step(START + 900, 0.0)
    assert one.last_day == START


def test_silence_for_thirty_days_is_unverified() -> None:
    assert not is_unverified(START, START + 29)
    assert is_unverified(START, START + 30)
    assert is_unverified(None, START)


# --- a fold -------------------------------------------------------------------------------------------------

phases = st.lists(
    st.tuples(
        st.integers(1, 60),  # pairs
        st.sampled_from([0.0, 0.05, 0.3, 0.9]),  # how many deny
        st.sampled_from([1, 3, 40]),  # accounts
        st.sampled_from([0.05, 0.0952]),  # null
    ),
    min_size=1,
    max_size=6,
)


def _history(phases: list[tuple[int, float, int, float]], seed: int) -> list[Pair]:
    rng = random.Random(seed)
    day = START
    pairs: list[Pair] = []
    for n, rate, accounts, delta in phases:
        for _ in range(n):
            day += rng.choice([0, 0, 0, 1, 2])
            x = float(rng.random() < rate) if rng.random() < 0.8 else rate * rng.choice([1 / 3, 0.5])
            pairs.append(Pair(day, x, delta, f"a{rng.randrange(accounts)}", f"o{len(pairs)}"))
    return pairs


@given(phases, st.integers(0, 10_000), st.sets(st.integers(0, 360)))
@example([(60, 0.9, 1, 0.05), (60, 0.3, 40, 0.05), (60, 0.0, 3, 0.05), (60, 0.9, 40, 0.0952)], 1, {3, 70, 200})
def test_a_fold_cut_anywhere_and_stored_is_the_same_fold_bit_for_bit(
    phases: list[tuple[int, float, int, float]], seed: int, cuts: set[int]
) -> None:
    pairs = _history(phases, seed)
    whole, parts = Fold(a=400.0).take(pairs), Fold(a=400.0)
    for i, pair in enumerate(pairs):
        if i in cuts:
            parts.restart()
        parts.take([pair])

    # The JSON of a float is the shortest text that gives the same float back: equal texts are equal bits.
    assert msgspec.json.encode(parts.evidence) == msgspec.json.encode(whole.evidence)
    assert msgspec.json.encode(parts.happened) == msgspec.json.encode(whole.happened)
    assert parts.read == whole.read


def test_the_example_history_goes_through_a_whole_life() -> None:
    """Else the property above would hold for want of alerts."""
    phases = [(60, 0.9, 1, 0.05), (60, 0.3, 40, 0.05), (60, 0.0, 3, 0.05), (60, 0.9, 40, 0.0952)]
    whats = {what for what, _ in Fold(a=400.0).take(_history(phases, 1)).story}

    assert whats == {"opened", "escalated", "resolved"}


def test_the_ordinary_path_never_reads_the_run() -> None:
    evidence = Evidence()
    for pair in _pairs(_slow_excess(0.04, 2_000)):
        assert observe(evidence, pair, A, _never) is None

    assert evidence.pairs == 2_000


# --- settlement ---------------------------------------------------------------------------------------------


def _answer(day: int, order: str, x: float, account: str = "acme", well: bool = True) -> Answer:
    return Answer(day=day, order=order, account=account, claimed_well=well, x=x)


def _settled(answers: Sequence[Answer], cap: int = 3) -> list[tuple[int, str, float]]:
    return [(s.day, s.order, s.x) for s in settle(answers, cap)]


def test_several_answers_of_one_order_are_one_mean_at_the_first_of_them() -> None:
    assert _settled([_answer(0, "o1", 1.0), _answer(0, "o2", 0.0), _answer(4, "o1", 0.0)]) == [
        (0, "o1", 0.5),
        (0, "o2", 0.0),
    ]


def test_an_order_over_the_cap_stays_out_when_it_is_answered_again() -> None:
    first = [_answer(0, f"o{i}", 1.0) for i in range(4)]

    assert [order for _, order, _ in _settled([*first, _answer(1, "o3", 1.0)])] == ["o0", "o1", "o2"]


def test_the_cap_is_per_account_and_day() -> None:
    answers = [_answer(0, "o1", 1.0), _answer(0, "o2", 1.0, account="bolt"), _answer(1, "o3", 1.0)]

    assert len(_settled(answers, cap=1)) == 3


def test_what_operations_reports_late_itself_does_not_count_towards_the_cap() -> None:
    answers = [_answer(0, "o1", 1.0, well=False), _answer(0, "o2", 1.0)]

    assert _settled(answers, cap=1) == [(0, "o2", 1.0)]


def test_three_orders_of_an_account_and_day_count() -> None:
    assert may_count(2)
    assert not may_count(3)
