"""From the evidence of a segment to its alerts: kind, severity, escalation and resolution."""

import math
import random
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.domain.detection.alerting import (
    Evidence,
    Pair,
    Rules,
    excess,
    is_unverified,
    judge,
    observe,
    severity,
)
from pipeline.domain.detection.detector import Detector
from pipeline.domain.detection.intervals import rate_interval
from pipeline.domain.detection.resolver import Resolver, delta1
from tests.support.statistics.fold import START, THRESHOLD, Fold, even_answers, must_not_read, pairs_of


def test_contradictions_of_several_accounts_open_a_divergence() -> None:
    honest, embellished = [0.0, 0.0, 0.0, 0.0] * 20, [1.0, 0.0, 0.0, 0.0] * 30
    fold = Fold().add(pairs_of(honest + embellished))

    n, opened = fold.transitions[0]
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
    assert 10**alert.log10_e >= THRESHOLD


def test_contradictions_of_one_account_open_a_dispute() -> None:
    honest = pairs_of([0.0] * 60)
    disputing = [Pair(START + 12, 1.0, 0.05, "zz", f"z{i}") for i in range(8)]
    fold = Fold().add(honest + disputing)

    assert fold.history == [("opened", "single_account_dispute")]
    assert fold.alert.severity == "critical"


def test_the_alert_of_a_segment_with_one_account_is_that_accounts() -> None:
    fold = Fold().add([Pair(START + i, 1.0, 0.05, "only", f"o{i}") for i in range(20)])

    assert fold.history == [("opened", "single_account")]
    assert fold.alert.severity == "critical"


@pytest.mark.parametrize(("last_of_another", "kind"), [(180, "single_account"), (179, "single_account_dispute")])
def test_a_segment_has_one_account_if_no_other_had_a_pair_for_180_days(last_of_another: int, kind: str) -> None:
    fold = Fold().add([Pair(START, 0.0, 0.05, "only", "o"), Pair(START, 0.0, 0.05, "former", "p")])
    fold.add([Pair(START + last_of_another, 1.0, 0.05, "only", f"o{i}") for i in range(20)])

    assert fold.history == [("opened", kind)]


def test_an_account_alone_in_its_segment_that_is_joined_by_others_becomes_a_divergence() -> None:
    fold = Fold().add([Pair(START + i, 1.0, 0.05, "only", f"o{i}") for i in range(20)])
    fold.add([Pair(START + 20 + i, 1.0, 0.05, f"b{i % 5}", f"p{i}") for i in range(20)])

    assert fold.history == [("opened", "single_account"), ("escalated", "divergence")]


def storm(days: int = 1) -> list[Pair]:
    """Sixty honest days of three pairs, then ten contradictions on each of some days, of an account each."""
    honest = pairs_of([0.0] * 180, per_day=3)
    return honest + [Pair(START + 60 + d, 1.0, 0.05, f"s{d}-{i}", f"s{d}-{i}") for d in range(days) for i in range(10)]


def test_one_bad_day_is_shown_as_such_and_notifies_nobody() -> None:
    fold = Fold().add(storm())

    assert fold.history == [("opened", "single_day")]
    judged = judge(fold.seen[-10:], 0.05, THRESHOLD)
    assert (judged.worst_day, judged.other_days_rate, judged.other_days_max) == (START + 60, None, 0.0)
    assert judge(fold.seen[-10:], 0.05, THRESHOLD, by_day=False).kind == "divergence"


def test_a_bad_day_that_others_follow_becomes_a_divergence() -> None:
    assert Fold().add(storm(2)).history == [("opened", "single_day"), ("escalated", "divergence")]


def test_the_worst_day_is_a_day_as_the_detector_counts_it() -> None:
    late = [Pair(START + day, 1.0, 0.05, f"a{i}", f"o{i}") for i, day in enumerate((9, 3, 4, 5, 9, 10))]

    judged = judge(late, 0.05, THRESHOLD, since=START + 9)

    assert judged.worst_day == START + 9, "days never run backwards"
    assert judged.other_days_rate == 1.0
    assert judge([*late[1:4], *late[5:]], 0.05, THRESHOLD, since=START + 8).worst_day == START + 8


def test_of_two_equally_bad_days_the_earlier_is_left_out() -> None:
    days = [Pair(START + day, 1.0, 0.05, f"a{i}", "o") for i, day in enumerate((0, 1, 1, 2, 2, 3))]

    assert judge(days, 0.05, THRESHOLD).worst_day == START + 1


def test_days_before_the_present_rules_are_judged_and_resolved_as_before() -> None:
    since = START + 61
    assert Fold(rules_since=since).add(storm()).history == [("opened", "divergence")]
    assert Fold(rules_since=since).add(storm(2)).history == [("opened", "divergence")]

    repaired = pairs_of([1.0, 0.0, 0.0] * 20 + [0.0] * 300)
    now, before = Fold().add(repaired), Fold(rules_since=START + 9_999).add(repaired)
    assert now.transitions[0] == before.transitions[0]
    assert now.history[-1] == before.history[-1] == ("resolved", "divergence")
    assert before.transitions[-1][0] < now.transitions[-1][0]
    assert before.evidence.account is None, "a fold of earlier days leaves the state that an earlier version left"


def test_a_further_gate_of_the_signal_decides_last_and_is_asked_again() -> None:
    asked: list[int] = []

    def confirm(run: Sequence[Pair]) -> bool:
        asked.append(len(run))
        return len(asked) > 3

    fold = Fold()
    fold.rules = Rules(confirm=confirm)
    fold.add(pairs_of([1.0] * 40, per_day=1))

    assert fold.history == [("opened", "watch"), ("escalated", "divergence")]
    assert len(asked) == 4


def test_a_difference_below_the_margin_is_a_watch_and_reads_no_run() -> None:
    evidence = Evidence()
    transitions = [
        transition
        for pair in pairs_of(even_answers(0.0765, 9_000), per_day=50, accounts=13)
        if (transition := observe(evidence, pair, THRESHOLD, must_not_read))
    ]

    (opened,) = transitions
    assert evidence.pairs == 9_000 > opened.alert.opened_pair + 1_000  # many of them while the alert is open
    assert (opened.alert.kind, opened.alert.severity) == ("watch", None)
    assert excess(opened.alert.run_rate, 0.05) < 0.03


def _crossing_run() -> list[Pair]:
    rng = random.Random(5)
    return [Pair(START + i // 5, float(rng.random() < 0.3), 0.05, f"a{rng.randrange(6)}", f"o{i}") for i in range(60)]


@given(st.permutations(["a0", "a1", "a2", "a3", "a4", "a5"]))
def test_the_names_of_accounts_do_not_change_the_judgement(names: list[str]) -> None:
    run = _crossing_run()
    renamed = [msgspec.structs.replace(pair, account=names[int(pair.account[1:])]) for pair in run]
    sums = {name: sum(p.x for p in run if p.account == name) for name in names}
    assert sorted(sums.values())[-1] > sorted(sums.values())[-2]  # one top account, whatever it is called

    plain, other = judge(run, 0.05, THRESHOLD), judge(renamed, 0.05, THRESHOLD)

    assert other.top_account == names[int(plain.top_account[1:])]
    assert msgspec.structs.replace(other, top_account=plain.top_account) == plain


@given(st.randoms(use_true_random=False))
def test_the_order_of_accounts_within_a_day_does_not_change_the_top_account(rng: random.Random) -> None:
    same_day = [Pair(START, x, 0.05, account, "o") for account in "abcd" for x in (1 / 3, 2 / 3, 1.0, 0.0)]
    shuffled = rng.sample(same_day, len(same_day))

    # All sums are equal in any order of addition: the account with the smallest id is the top account.
    assert judge(shuffled, 0.05, THRESHOLD).top_account == judge(same_day, 0.05, THRESHOLD).top_account == "a"
    assert judge(shuffled, 0.05, THRESHOLD).top_sum == 2.0


def test_a_divergence_needs_evidence_without_the_top_account() -> None:
    run = [Pair(START, 1.0, 0.05, "zz", "z")] * 6 + [Pair(START + 1, x, 0.05, "b", "o") for x in (1.0, 0.0, 1.0, 0.0)]

    judged = judge(run, 0.05, THRESHOLD)

    assert judged.rest_rate == 0.5
    assert judged.rest_max < math.sqrt(THRESHOLD)
    assert judged.kind == "single_account_dispute"
    assert judge(run, 0.05, judged.rest_max**2 * 0.999).kind == "divergence"
    assert judge(run, 0.05, 1.0, margin=0.46).kind == "single_account_dispute"
    assert judge(run, 0.05, 1.0, margin=0.76).kind == "watch"


def test_the_rest_is_replayed_with_the_baseline_of_each_pair() -> None:
    run = [Pair(START, 1.0, 0.05, "zz", "z")] * 3 + [
        Pair(START, 1.0, 0.05, "b", "o"),
        Pair(START, 1.0, 0.1, "c", "o"),
    ]
    replay = Detector()
    replay.step(START, 1.0, 0.05)

    assert judge(run, 0.1, THRESHOLD).rest_max == replay.step(START, 1.0, 0.1)


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
def test_severity_depends_on_the_points_above_the_baseline(rate: float, expected: str | None) -> None:
    assert severity(rate, 0.05) == expected


def test_a_dispute_that_other_accounts_join_becomes_a_divergence_with_new_figures() -> None:
    disputing = [Pair(START + 12, 1.0, 0.05, "zz", f"z{i}") for i in range(8)]
    joined = [Pair(START + 13 + i // 5, float(i % 3 == 0), 0.05, f"a{i % 7}", f"j{i}") for i in range(100)]
    fold = Fold().add(pairs_of([0.0] * 60) + disputing)
    opening = msgspec.structs.replace(fold.alert)
    fold.add(joined)

    assert fold.history == [("opened", "single_account_dispute"), ("escalated", "divergence")]
    n, escalated = fold.transitions[1]
    alert = escalated.alert
    assert (alert.opened_pair, alert.opened_day) == (opening.opened_pair, opening.opened_day)
    assert alert.run_n > opening.run_n
    assert alert.run_rate == pytest.approx(sum(p.x for p in fold.seen[n - alert.run_n : n]) / alert.run_n)
    assert alert.low == rate_interval(alert.run_rate * alert.run_n, alert.run_n)[0]
    assert alert.resolver == Resolver(delta1(0.05, alert.low))  # restarts with the next pair
    assert alert.judged_at == n
    assert fold.alert == msgspec.structs.replace(alert, resolver=fold.alert.resolver)
    assert fold.alert.resolver.delta1 == alert.delta1
    assert fold.alert.resolver.last_day == fold.seen[-1].day


def test_a_watch_may_escalate_and_its_severity_with_it() -> None:
    fold = Fold().add(pairs_of(even_answers(0.0765, 9_000), per_day=50, accounts=13))
    assert fold.history == [("opened", "watch")]

    more = pairs_of([1.0, 0.0, 0.0] * 2_000, per_day=50, accounts=13)
    fold.add([msgspec.structs.replace(pair, day=pair.day + 180) for pair in more])

    severities = [transition.alert.severity for _, transition in fold.transitions]
    assert fold.history[0] == ("opened", "watch")
    assert fold.history[1][0] == "escalated"
    assert fold.history[-1] == ("escalated", "divergence")
    assert severities[0] is None
    assert severities == sorted(severities, key=[None, "minor", "major", "critical"].index)
    assert severities[-1] == "critical"


def test_severity_never_falls() -> None:
    fold = Fold().add(pairs_of([1.0, 0.0, 0.0, 0.0] * 15 + ([1.0] + [0.0] * 7) * 100))

    assert fold.alert.severity == "critical"
    run = fold.evidence.detector.run
    assert run is not None
    assert severity(run.rate, 0.05) == "major"
    assert [what for what, _ in fold.history] == ["opened"]


def test_a_single_contradiction_with_falling_evidence_is_no_escalation() -> None:
    """With R below A again, the lead bet's run may be a single contradiction, a rate of 100 %."""
    fold = Fold().add(pairs_of([1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0] * 40))
    opened = fold.alert.severity
    assert opened == "major"
    alert = fold.alert
    alert.resolver = Resolver(delta1=0.0501)  # one that resolves late
    day = fold.seen[-1].day
    while fold.evidence.detector.evidence >= 500:
        fold.add([Pair(day, 0.0, 0.05, "a1", "o")])
    detector = fold.evidence.detector
    detector.cusum = [-1.0] * 5
    fold.add([Pair(day, 1.0, 0.05, "a1", "o")])

    run = detector.run
    assert run is not None
    assert (run.n, run.rate) == (1, 1.0)
    assert fold.alert.severity == "major"


def test_an_open_dispute_rereads_at_most_a_few_pairs_for_each_new_one() -> None:
    disputing = [Pair(START + i // 10, float(i % 2), 0.05, "zz" if i % 2 else "aa", f"o{i}") for i in range(4000)]
    fold = Fold().add(disputing)

    assert fold.history[0] == ("opened", "single_account_dispute")
    assert fold.alert.kind == "single_account_dispute"
    assert fold.read <= 21 * len(disputing)
    assert fold.read > len(disputing)  # it reads some pairs again


def test_recovery_resolves_the_alert_and_the_next_fault_opens_another() -> None:
    fault, recovery = [1.0, 0.0, 0.0] * 20, [0.0] * 300
    fold = Fold().add(pairs_of(fault + recovery + fault))

    assert fold.history == [("opened", "divergence"), ("resolved", "divergence"), ("opened", "divergence")]
    resolved_at, resolved = fold.transitions[1]
    assert 60 < resolved_at < 360
    assert resolved.alert.opened_pair == fold.transitions[0][0] - 1
    again = fold.transitions[2][1].alert
    assert again.opened_pair == fold.transitions[2][0] - 1 > 360  # the count of pairs continues
    assert again.since >= fold.seen[360].day


def test_after_a_resolution_the_evidence_starts_from_nothing() -> None:
    fold = Fold().add(pairs_of([1.0, 0.0, 0.0] * 20))
    i = 60
    while fold.evidence.alert is not None:
        fold.add([Pair(START + i // 5, 0.0, 0.05, f"a{i % 7}", f"o{i}")])
        i += 1

    newest = fold.seen[-1]
    assert fold.evidence == Evidence(
        pairs=i, last_day=newest.day, account=newest.account, other_account_day=fold.seen[-2].day
    )


def test_a_transition_contains_a_copy_of_the_alert() -> None:
    fold = Fold().add(pairs_of([1.0] * 8))
    opened = fold.transitions[0][1].alert
    before = msgspec.json.encode(opened)
    fold.add(pairs_of([1.0, 0.0] * 50))

    assert msgspec.json.encode(opened) == before
    assert opened.resolver == Resolver(opened.delta1)


def test_an_alert_without_answers_for_thirty_days_is_unverified() -> None:
    assert not is_unverified("on_time", START, START + 29)
    assert is_unverified("on_time", START, START + 30)
    assert is_unverified("on_time", None, START)


def test_the_silence_of_a_source_never_counts_as_unverified() -> None:
    assert not is_unverified("source_silent", None, START)


phases = st.lists(
    st.tuples(
        st.integers(1, 60),  # pairs
        st.sampled_from([0.0, 0.05, 0.3, 0.9]),  # share that contradicts
        st.sampled_from([1, 3, 40]),  # accounts
        st.sampled_from([0.05, 0.0952]),  # baseline
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
def test_a_fold_stored_and_resumed_anywhere_is_the_same_bit_for_bit(
    phases: list[tuple[int, float, int, float]], seed: int, cuts: set[int]
) -> None:
    pairs = _history(phases, seed)
    whole, parts = Fold(a=400.0).add(pairs), Fold(a=400.0)
    for i, pair in enumerate(pairs):
        if i in cuts:
            parts.restart()
        parts.add([pair])

    # The JSON of a float is the shortest text that is parsed to the same float: equal texts mean equal bits.
    assert msgspec.json.encode(parts.evidence) == msgspec.json.encode(whole.evidence)
    assert msgspec.json.encode(parts.transitions) == msgspec.json.encode(whole.transitions)
    assert parts.read == whole.read


def test_the_example_history_opens_escalates_and_resolves_an_alert() -> None:
    """Otherwise the property above would hold for lack of alerts."""
    phases = [(60, 0.9, 1, 0.05), (60, 0.3, 40, 0.05), (60, 0.0, 3, 0.05), (60, 0.9, 40, 0.0952)]
    changes = {what for what, _ in Fold(a=400.0).add(_history(phases, 1)).history}

    assert changes == {"opened", "escalated", "resolved"}


def test_without_an_alert_the_run_is_never_read() -> None:
    evidence = Evidence()
    for pair in pairs_of(even_answers(0.04, 2_000)):
        assert observe(evidence, pair, THRESHOLD, must_not_read) is None

    assert evidence.pairs == 2_000
