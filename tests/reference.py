"""Checks the product's own functions against a file of reference figures.

    python -m tests.reference FILE

Every figure of the file is either checked or a mismatch: an unknown kind, an unknown field or a case that
makes the product raise is reported, never skipped. No formula lives here, only the way from a case to the
product.
"""

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from pipeline.domain.detection import alerting, baseline, intervals
from pipeline.domain.detection import detector as module
from pipeline.domain.detection.alerting import Evidence, Pair, Rules, Transition
from pipeline.domain.detection.detector import Detector
from pipeline.domain.detection.explanation import OpenRun, OrderPlace, explain
from pipeline.domain.detection.resolver import Resolver
from pipeline.domain.detection.segments import Segment
from pipeline.domain.detection.spread import SegmentSums, Spread
from pipeline.domain.reports import embellishment
from tests.support import shared_phones
from tests.support.statistics import detection_blocks, poststratification
from tests.support.statistics.detection_blocks import Answer

Case = dict[str, Any]
Figures = dict[str, Any]
"""Field of the file -> the product's term."""

RATE = 1e-12
EVIDENCE_RELATIVE = 1e-9
TOLERANCES = {"interval": 1e-6, "log10": 1e-9, "null": RATE}
"""Absolute, unless the file's conventions name others."""

INTERVALS = {
    "gap_interval",
    "disagreement_interval_alpha_half",
    "d_pop_if_rho2",
    "breakdown_rho_at_5pct",  # made from an interval's end
}
VERDICTS = {"divergence": "segment_alert"}
ABSENT = "(absent)"
FIRST_VERSION = 1 << 40
"""A day that no pair reaches: the rules of the first version, which the cases of kind `gate` are about."""


class Mismatch(msgspec.Struct, frozen=True):
    case: str
    field: str
    expected: Any
    got: Any
    tolerance: str

    def __str__(self) -> str:
        figures = f"expected {self.expected!r}, got {self.got!r} (tolerance {self.tolerance})"
        return f"{self.case}: {self.field}: {figures}"


class Outcome(msgspec.Struct):
    checked: int = 0
    mismatches: list[Mismatch] = msgspec.field(default_factory=list)
    tolerances: dict[str, float] = msgspec.field(default_factory=TOLERANCES.copy)

    def compare(self, case: str, field: str, expected: Any, got: Any, interval: bool = False) -> None:
        """Count and check one figure; lists and objects are checked figure by figure."""
        if isinstance(expected, dict):
            for name, value in expected.items():
                inner = got.get(name, ABSENT) if isinstance(got, dict) else ABSENT
                self.compare(case, f"{field}.{name}", value, inner, interval or name in INTERVALS)
            return
        if isinstance(expected, list):
            items = list(got) if isinstance(got, list | tuple) else None
            if items is None or len(items) != len(expected):
                self._count(case, field, expected, got, "same length", False)
                return
            for i, (want, have) in enumerate(zip(expected, items, strict=True)):
                self.compare(case, f"{field}[{i}]", want, have, interval)
            return
        within, tolerance = _agrees(field, expected, got, interval, self.tolerances)
        self._count(case, field, expected, got, tolerance, within)

    def _count(self, case: str, field: str, expected: Any, got: Any, tolerance: str, within: bool) -> None:
        self.checked += 1
        if not within:
            self.mismatches.append(Mismatch(case, field, expected, got, tolerance))


def _agrees(field: str, expected: Any, got: Any, interval: bool, tolerances: dict[str, float]) -> tuple[bool, str]:
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (expected, got))
    if not numbers or (isinstance(expected, int) and isinstance(got, int)):
        return type(expected) is type(got) and expected == got, "exact"
    name = field.split(".")[-1].split("[")[0]
    if interval:
        return _within(expected, got, tolerances["interval"])
    if name.startswith(("log10", "max_log10", "final_log10")):
        return _within(expected, got, tolerances["log10"])
    if name in {"tau", "concurrent", "null"}:
        return _within(expected, got, tolerances["null"])
    if name in {"R", "R_by_bet", "R_after_each", "rest_max_R", "sqrt_A", "a", "b"}:
        near = math.isclose(expected, got, rel_tol=EVIDENCE_RELATIVE)
        return near, f"{EVIDENCE_RELATIVE:g} relative"
    return math.isclose(expected, got, rel_tol=RATE, abs_tol=RATE), f"{RATE:g}"


def _within(expected: float, got: float, tolerance: float) -> tuple[bool, str]:
    return abs(expected - got) <= tolerance, f"{tolerance:g} absolute"


# --- the cases ----------------------------------------------------------------------------------------------


def _detector_figures(detector: Detector) -> Figures:
    run = detector.run
    figures: Figures = {
        "R": detector.evidence,
        "log10_R": detector.log10_evidence,
        "R_by_bet": list(detector.by_bet),
        "lead_bet": detector.lead_bet,
    }
    if run is not None:
        figures |= {"run_n": run.n, "run_sum": run.sum, "run_since": run.since, "run_rate": run.rate}
    return figures


def _trajectory(case: Case) -> tuple[Any, Any]:
    detector = Detector()
    got: dict[int, Figures] = {}
    for n, (day, x) in enumerate(case["pairs_day_x"], start=1):
        detector.step(day, float(x), case["delta0"])
        got[n] = {"n": n} | _detector_figures(detector)
    return case["expect_at"], [got.get(entry["n"], {}) for entry in case["expect_at"]]


def _uniform(seed: int) -> Iterator[float]:
    """The files' own generator of random numbers."""
    state = seed
    while True:
        state = (1664525 * state + 1013904223) % 2**32
        yield state / 2**32


def _draws(case: Case) -> Iterator[tuple[int, float]]:
    """(day, x) of each pair, phase after phase."""
    draw, index = _uniform(case["lcg_seed"]), 0
    for count, p in case["phases_n_p"]:
        for _ in range(count):
            yield index // case["pairs_per_day"], 1.0 if next(draw) < p else 0.0
            index += 1


def _first_alarm(case: Case) -> tuple[Any, Any]:
    detector, total, before, highest = Detector(), 0.0, -math.inf, -math.inf
    got: Figures = {"alarm_pair_index": None}
    for index, (day, x) in enumerate(_draws(case), start=1):
        before = detector.log10_evidence
        r = detector.step(day, x, case["delta0"])
        total += x
        highest = max(highest, detector.log10_evidence)
        if r >= case["A_days"]:
            got |= _detector_figures(detector)
            got |= {"alarm_pair_index": index, "alarm_day": day, "log10_R_before": before}
            got["effect_gate_pass"] = alerting.severity(got["run_rate"], case["delta0"]) is not None
            break
    got |= {"max_log10_R": highest, "final_log10_R": detector.log10_evidence}
    expected = dict(case["expect"])
    for name in ("sum_x_total", "sum_x_to_alarm"):
        if name in case:
            expected[name], got[name] = case[name], int(total)
    return expected, got


def _resolver(case: Case) -> tuple[Any, Any]:
    resolver = Resolver(case["delta1"])
    got: Figures = {"resolve_pair_index": None}
    for index, (day, x) in enumerate(_draws(case), start=1):
        if resolver.step(day, x) >= case["A_days"]:
            got |= {"resolve_pair_index": index, "resolve_day": day}
            break
    return case["expect"], got | {
        "log10_R": resolver.log10_evidence,
        "final_log10_R": resolver.log10_evidence,
    }


def _block_compose(case: Case) -> tuple[Any, Any]:
    whole = detection_blocks.Block()
    detector, day = Detector(), 0
    for mass, xs in case["blocks_massdays_xs"]:
        day += mass
        for x in xs:
            detector.step(day, float(x), case["delta0"])
        block = detection_blocks.day_block(mass, [(float(x), case["delta0"]) for x in xs])
        whole = detection_blocks.compose(whole, block)
    composed = whole.apply(Detector().by_bet)
    fresh = Detector(by_bet=composed)
    got = {
        "a": whole.a,
        "b": whole.b,
        "R": fresh.evidence,
        "R_by_bet": composed,
        "R of the fold": detector.evidence,
    }
    return case["expect"] | {"R of the fold": case["expect"]["R"]}, got


def _settlement(case: Case) -> tuple[Any, Any]:
    events = sorted(case["events_seq_day_order_account_claim_customer"])
    answers = [
        Answer(day=day, order=order, account=account, claimed_well=bool(claim), x=1.0 - customer)
        for _, day, order, account, claim, customer in events
    ]
    settled = detection_blocks.settle(answers, case["cap_per_account_day"])
    detector = Detector()
    return case["expect"], {
        "settled_day_order_account_x": [[s.day, s.order, s.account, s.x] for s in settled],
        "R_after_each": [detector.step(s.day, s.x, case["delta0"]) for s in settled],
    }


def _gate(case: Case) -> tuple[Any, Any]:
    pairs = [
        Pair(day=day, x=float(x), delta=case["delta0"], account=account, order=str(n))
        for n, (day, account, x) in enumerate(case["pairs_day_account_x"])
    ]
    evidence, read = Evidence(), 0

    def recent(k: int) -> Sequence[Pair]:
        return pairs[read - k : read]

    opened: Transition | None = None
    for read, pair in enumerate(pairs, start=1):  # noqa: B007 - `recent` reads it
        opened = alerting.observe(evidence, pair, case["A_days"], recent, Rules(FIRST_VERSION))
        if opened:
            break
    got: Figures = {"first_crossing_pair_index": None, "sqrt_A": math.sqrt(case["A_days"])}
    if opened:
        alert = opened.alert
        judged = alerting.judge(recent(alert.run_n), case["delta0"], case["A_days"], case["margin"], by_day=False)
        got |= {
            "first_crossing_pair_index": read,
            "run_n": alert.run_n,
            "run_rate": alert.run_rate,
            "run_since": alert.since,
            "top_account": judged.top_account,
            "top_account_sum": judged.top_sum,
            "rest_n": judged.rest_n,
            "rest_rate": judged.rest_rate,
            "rest_max_R": judged.rest_max,
            "verdict": VERDICTS.get(judged.kind, judged.kind),
        }
        if case["margin"] == alerting.MARGIN:  # the state machine must come to the same end
            got["kind that opened"] = VERDICTS.get(alert.kind, alert.kind)
            return case["expect"] | {"kind that opened": case["expect"]["verdict"]}, got
    return case["expect"], got


def _kpi(case: Case) -> tuple[Any, Any]:
    epoch = datetime(2026, 1, 1, tzinfo=UTC)

    def at(hours: float) -> datetime:
        # Whole milliseconds: a float of hours would put a tie a microsecond off.
        return epoch + timedelta(milliseconds=round(hours * 3_600_000))

    def maybe(hours: float | None) -> datetime | None:
        return None if hours is None else at(hours)

    missed = missed_last = rescued = stated = early = missing = 0
    groups = {True: [0, 0], False: [0, 0]}
    invites: dict[Any, int] = {}
    accounts: dict[Any, set[Any]] = {}
    for _, first, moved, last, delivered, has_contact, arrival, phone, account in case["orders"]:
        promise, final, move, came = at(first), at(last), maybe(moved), maybe(delivered)
        missed += embellishment.was_missed(promise, came)
        missed_last += embellishment.was_missed(final, came)
        rescued += embellishment.was_rescued(promise, move, final, came)
        tolerance = timedelta(hours=case["expect"].get("early_pod_tolerance_h", 2.0))
        scan = embellishment.was_scanned_early(came, maybe(arrival), tolerance)
        stated += scan is not None
        early += bool(scan)
        group = groups[embellishment.was_at_risk(promise, move, came)]
        group[0] += not has_contact
        group[1] += 1
        missing += not has_contact
        if has_contact:
            invites[phone] = invites.get(phone, 0) + 1
            accounts.setdefault(phone, set()).add(account)
    n, asked = len(case["orders"]), sum(invites.values())
    shared = sum(m for phone, m in invites.items() if embellishment.is_shared_address(len(accounts[phone])))
    return case["expect"], {
        "originally_missed": missed,
        "rescued_by_late_repromise": rescued,
        "rescue_share": embellishment.rescue_share(rescued, missed),
        "on_time_vs_first": embellishment.on_time_share(missed, n),
        "on_time_vs_last": embellishment.on_time_share(missed_last, n),
        "repromise_inflation": embellishment.inflation(missed, missed_last, n),
        "early_pod_answers": stated,
        "early_pod_tolerance_h": embellishment.EARLY_SCAN_TOLERANCE / timedelta(hours=1),
        "early_pod_share": embellishment.early_scan_share(early, stated),
        "contact_missing_at_risk": groups[True],
        "contact_missing_clean": groups[False],
        "suppression_risk_ratio_haldane": embellishment.contact_missing_risk_ratio(*groups[True], *groups[False]),
        "contactable_share": embellishment.contactable_share(n - missing, n),
        "invites": asked,
        "phones": len(invites),
        "effective_phones": embellishment.effective_addresses(invites.values()),
        "shared_phone_invite_share": shared_phones.shared_phone_share(shared, asked),
    }


def _experience_null(case: Case) -> tuple[Any, Any]:
    spread = Spread(SegmentSums(str(i), n, float(total)) for i, (n, total) in enumerate(case["others_n_sum"]))
    tau = spread.tau("the segment itself")
    newest_first = reversed(case["fleet_days_n_sum"])
    now = baseline.fleet_now(case["frozen"], ((age, n, float(x)) for age, (n, x) in enumerate(newest_first, 1)))
    return case["expect"], {
        "tau": tau,
        "concurrent": now,
        "null": baseline.experience_null(case["frozen"], case["z"] * tau, now),
    }


def _resolver_threshold(case: Case) -> tuple[Any, Any]:
    resolver, draw = Resolver(case["delta1"]), _uniform(case["lcg_seed"])
    got: Figures = {"resolved_pair_at_100": None, "resolved_pair_at_400": None}
    thresholds = {"resolved_pair_at_100": alerting.FIRST_RESOLVE_AT, "resolved_pair_at_400": alerting.RESOLVE_AT}
    for index in range(case["n"]):
        reached = resolver.step(index // case["pairs_per_day"], 1.0 if next(draw) < case["p"] else 0.0)
        for name, threshold in thresholds.items():
            if got[name] is None and reached >= threshold:
                got[name] = index + 1
    return case["expect"], got


def _worst_day_gate(case: Case) -> tuple[Any, Any]:
    draw, evidence, pairs = _uniform(case["lcg_seed"]), Evidence(), list[Pair]()
    opened: Transition | None = None
    while opened is None and len(pairs) < case["n"]:
        day = len(pairs) // case["pairs_per_day"]
        p = case["storm_on_day_40"] if day == 40 and case["storm_on_day_40"] else case["p"]
        x, account = 1.0 if next(draw) < p else 0.0, f"a{math.floor(12 * next(draw))}"
        pairs.append(Pair(day=day, x=x, delta=case["delta"], account=account, order=str(len(pairs))))
        opened = alerting.observe(evidence, pairs[-1], case["A_days"], lambda k: pairs[-k:])
    if opened is None:
        return case["expect"], {"at_pair": None}
    alert, delta, a = opened.alert, case["delta"], case["A_days"]
    run = pairs[-alert.run_n :]
    judged = alerting.judge(run, delta, a, since=alert.since)
    rest_rate, rest_max = judged.other_days_rate or 0.0, judged.other_days_max
    return case["expect"] | {"kind that opened": case["expect"]["kind_with_day_gate"]}, {
        "at_pair": len(pairs),
        "kind_now": alerting.judge(run, delta, a, by_day=False).kind,
        "run_n": alert.run_n,
        "worst_day": judged.worst_day,
        "rest_stands": rest_max >= math.sqrt(a) and alerting.excess(rest_rate, delta) >= alerting.MARGIN,
        "rest_max_R": rest_max,
        "rest_rate": rest_rate,
        "kind_with_day_gate": judged.kind,
        "kind that opened": alert.kind,
    }


class _Watched(msgspec.Struct):
    """One segment of a case of kind `explain_away`."""

    evidence: Evidence = msgspec.field(default_factory=Evidence)
    pairs: list[Pair] = msgspec.field(default_factory=list)

    def add(self, pair: Pair, threshold: float) -> None:
        self.pairs.append(pair)
        alerting.observe(self.evidence, pair, threshold, lambda k: self.pairs[-k:])

    def run(self, segment: Segment, threshold: float) -> OpenRun | None:
        alert = self.evidence.alert
        if alert is None:
            return None
        return OpenRun(
            key="=".join(segment),
            segment=segment,
            kind=alert.kind,
            threshold=threshold,
            pairs=[pair for pair in self.pairs if pair.day >= alert.since],
            counted=len(self.pairs),
        )


def _explain_away(case: Case) -> tuple[Any, Any]:
    thresholds, delta = case["A_days"], case.get("delta", baseline.DELTA0)
    watched: dict[Segment, _Watched] = {}
    orders: dict[str, OrderPlace] = {}
    field = next(name for name in case if name.startswith("orders_day_order_account_"))
    levels = field.removeprefix("orders_day_order_account_").removesuffix("_x").split("_")
    for day, order, account, *values, x in case[field]:
        places = [Segment(level, value) for level, value in zip(levels, values, strict=True)]
        orders[order] = OrderPlace(account, places)
        for segment in places:
            pair = Pair(day=day, x=x, delta=delta, account=account, order=order)
            watched.setdefault(segment, _Watched()).add(pair, thresholds[segment.dimension])
    runs = [
        run
        for segment, each in sorted(watched.items())
        if (run := each.run(segment, thresholds[segment.dimension])) is not None
    ]
    found = explain(runs, orders)
    expected = case["expect"]
    # As lists: what the product finds beyond the expected keys is a mismatch, too.
    return expected | {name: _items(expected[name]) for name in ("open", "explained")}, {
        "open": _items({run.key: run.kind for run in runs}),
        "disputed_accounts": list(found.disputed_accounts),
        "causes": list(found.causes),
        "explained": _items(found.explained),
    }


def _items(mapping: Mapping[str, Any]) -> list[list[Any]]:
    return [[key, value] for key, value in sorted(mapping.items())]


def _mean_interval(case: Case) -> tuple[Any, Any]:
    low, high = case["scale"]
    counts = {float(score): n for score, n in enumerate(case["counts_0_to_10"])}
    return case["expect"], intervals.mean_interval(counts, low, high, case["alpha"])


KINDS: dict[str, Callable[[Case], tuple[Any, Any]]] = {
    "msr_trajectory": _trajectory,
    "msr_first_alarm": _first_alarm,
    "resolver": _resolver,
    "block_compose": _block_compose,
    "settlement": _settlement,
    "gate": _gate,
    "kpi": _kpi,
    "experience_null": _experience_null,
    "resolver_threshold": _resolver_threshold,
    "worst_day_gate": _worst_day_gate,
    "explain_away": _explain_away,
    "mean_interval_betting": _mean_interval,
}


# --- the formulas -------------------------------------------------------------------------------------------


def _cs_rate(row: Case) -> tuple[Any, Any]:
    return row["expect"], intervals.rate_interval(row["s"], row["n"], row["alpha"])


def _cs_gap(row: Case) -> tuple[Any, Any]:
    return row["expect"], intervals.gap_interval(row["n10"], row["n01"], row["n0"], row["alpha"])


def _poststratified(row: Case) -> tuple[Any, Any]:
    counts = {name: value for name, value in row.items() if name != "expect"}
    got = intervals.poststratified(**counts)
    if got is None:
        return row["expect"], {}
    return row["expect"], msgspec.structs.asdict(got) | poststratification.further_figures(got, **counts)


FORMULAS: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "cs_rate": _cs_rate,
    "cs_gap": _cs_gap,
    "poststratified": _poststratified,
    "delta_resp": lambda row: (row[2], baseline.delta_on_responders(row[0], row[1])),
    "threshold": lambda row: (row[2], baseline.threshold(segments=row[0], levels=1, budget=row[1])),
    "breakdown_rho": lambda row: (row[2], intervals.breakdown_rho(row[0], row[1])),
}


# --- running a file -----------------------------------------------------------------------------------------


def check(document: Case) -> Outcome:
    """Check everything in a decoded reference file."""
    outcome = Outcome()
    outcome.tolerances |= document.get("conventions", {}).get("tolerances", {})
    if "bets" in (conventions := document.get("conventions", {})):
        outcome.compare("conventions", "bets", conventions["bets"], list(module.BETS))
    for case in document.get("cases", []):
        _check_one(outcome, str(case.get("id")), "case", KINDS.get(case.get("kind")), case.get("kind"), case)
    for name, rows in document.get("formulas", {}).items():
        for i, row in enumerate(rows):
            _check_one(outcome, f"{name}[{i}]", "formula", FORMULAS.get(name), name, row)
    return outcome


def _check_one(
    outcome: Outcome, label: str, what: str, run: Callable[[Any], tuple[Any, Any]] | None, kind: Any, row: Any
) -> None:
    if run is None:
        outcome.compare(label, "kind", f"{what} of kind {kind!r}", "unknown to this checker")
        return
    try:
        expected, got = run(row)
    except Exception as error:  # a case that breaks the product is a finding like any other
        outcome.compare(label, "expect", "figures", f"{type(error).__name__}: {error}")
        return
    outcome.compare(label, "expect", expected, got, interval=kind in {"cs_rate", "cs_gap", "mean_interval_betting"})


def check_file(path: Path) -> Outcome:
    return check(msgspec.json.decode(path.read_bytes(), type=dict[str, Any]))


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m tests.reference FILE", file=sys.stderr)
        return 2
    outcome = check_file(Path(arguments[0]))
    for mismatch in outcome.mismatches:
        print(mismatch)
    print(f"{outcome.checked} figures checked, {len(outcome.mismatches)} mismatches")
    return 1 if outcome.mismatches else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
