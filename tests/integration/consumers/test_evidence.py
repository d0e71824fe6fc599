"""The evidence of every segment: the stored states equal a replay of the pairs, and the alerts follow from them."""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import Phase, given, target
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.detection import alerting, baseline, checkpoints, detector, resolver
from pipeline.domain.detection.intervals import breakdown_rho
from pipeline.domain.detection.levels import constant
from pipeline.domain.detection.segments import Series
from pipeline.domain.detection.spread import SegmentSums, Spread
from pipeline.store.db.engine import reading
from pipeline.store.evidence.evidence import EvidenceStore
from pipeline.store.schema.evidence import alerts, evidence, fleet_days, fleet_factors, nulls, pairs, spreads
from pipeline.store.schema.journal import journal
from tests.support.builders import MONDAY, answered, asked, at, completed, contact, repromised, scanned
from tests.support.examples import examples
from tests.support.modes import EVERYWHERE
from tests.support.running.embedded import embedded, ingest
from tests.support.stored import HISTORIC, published, rows
from tests.support.streams import Databases

everywhere = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)
LEVELS = "depot:2,carrier:1"
PEOPLE = [contact(name) for name in ("ana", "ben", "cleo")]
ON_TIME_AT_LYON = Series("depot", "Lyon", "on_time")


def asked_about(order_id: str, time: datetime, depot: str = "Lyon", account: str = "A-1", **data: Any) -> list[bytes]:
    """The events of a historic order, delivered on time by the record; all contacts are asked an hour later."""
    known: dict[str, Any] = {
        "account": {"id": account},
        "contacts": PEOPLE,
        "dimensions": {"depot": depot, "carrier": "Nordex"},
    }
    questions = [asked(order_id, time + timedelta(hours=2), who["id"], account_id=account) for who in PEOPLE]
    order = completed(order_id, time, **known, **HISTORIC, **data)
    return [order, scanned(order_id, time + timedelta(hours=1)), *questions]


def one_pair(n: int, day: float, late: bool = True, **more: Any) -> list[bytes]:
    """The events of an order with its first answer. By default each order has its own account."""
    order_id, time = f"SO-{n}", at(days=day)
    known = {"account": f"A-{n}"} | more
    arrival = "late" if late else "on_time"
    return [*asked_about(order_id, time, **known), answered(order_id, time + timedelta(hours=3), arrival=arrival)]


def ingest_pairs(runtime: EmbeddedRunner, lates: str, first_day: int = 0, first: int = 0) -> None:
    """Ingest a pair a day: `x` contradicts the claim, `.` agrees."""
    for n, mark in enumerate(lates):
        ingest(runtime, *one_pair(first + n, first_day + n, mark == "x"))


# --- stored states equal a replay ---------------------------------------------------------------------------


class PlannedAnswer(NamedTuple):
    """One answer about one of the orders of a plan."""

    order: int
    who: str
    late: bool


class Plan(NamedTuple):
    """Orders as (day, depot, account), and answers in order of receipt, each with the days since the previous one."""

    orders: list[tuple[int, str, str]]
    answers: list[tuple[int, PlannedAnswer]]


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    depots, accounts = st.sampled_from(("Lyon", "Lyon", "Nancy")), st.sampled_from(("A-1", "A-2", "A-3"))
    orders = draw(st.lists(st.tuples(st.just(0), depots, accounts), min_size=8, max_size=24))
    # Mostly late, so that alerts open. Second and third answers arrive at any time and change earlier pairs.
    answer = st.builds(
        PlannedAnswer,
        st.integers(0, len(orders) - 1),
        st.sampled_from(("ana", "ana", "ben", "cleo")),
        st.sampled_from((True, True, True, False)),
    )
    answers = st.lists(st.tuples(st.sampled_from((0, 0, 0, 1, 2, 5, 9, 40)), answer), min_size=10, max_size=60)
    return Plan(orders, draw(answers))


def play(runtime: EmbeddedRunner, plan: Plan) -> None:
    begun = [
        raw
        for number, (day, depot, account) in enumerate(plan.orders)
        for raw in asked_about(f"SO-{number}", at(days=day), depot, account)
    ]
    ingest(runtime, *begun)
    day, raws = 1, []
    for number, (passed, answer) in enumerate(plan.answers):
        day += passed
        time = at(days=day) + timedelta(minutes=number)
        arrival = "late" if answer.late else "on_time"
        score = {"value": 2 if answer.late else 9}
        raws.append(answered(f"SO-{answer.order}", time, answer.who, f"answer {number}", arrival=arrival, score=score))
    ingest(runtime, *raws)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    if request.param == "sqlite":
        migrated: Path = request.getfixturevalue("_migrated_sqlite_file")
        made = Databases(tmp_path_factory.mktemp("evidence"), migrated, None, None)
    else:
        server = request.getfixturevalue("postgres_server")
        made = Databases(Path(), None, server, request.getfixturevalue("_migrated_postgres_database"))
    yield made
    made.drop()


@hypothesis_settings(max_examples=examples(5), phases=(Phase.generate,))
@given(plan=plans(), batch=st.sampled_from((5, 100)))
def test_every_stored_state_is_the_fold_of_its_pairs_and_every_alert_follows_from_it(
    databases: Databases, plan: Plan, batch: int
) -> None:
    runtime = embedded(databases.fresh(), levels=LEVELS, batch=batch)
    try:
        play(runtime, plan)
        target(float(len(rows(runtime, alerts))))
        check_states(runtime)
        check_numbering(runtime)
        check_alerts(runtime)
    finally:
        runtime.engine.dispose()


def threshold(series: Series) -> float:
    """The threshold of the series' level in days: two levels share one false alarm a year."""
    return baseline.threshold({"depot": 2, "carrier": 1}[series.dimension], 2, 1.0)


def states(connection: Connection) -> dict[tuple[Series, int], str]:
    return {(Series(*row[:3]), row.day): row.state for row in connection.execute(select(evidence))}


def check_states(runtime: EmbeddedRunner) -> None:
    """The stored state of each day equals a fold from the first pair bit for bit: by the domain's functions, and by the
    store in a transaction that is rolled back."""
    with runtime.engine.connect() as connection, connection.begin() as transaction:
        stored = states(connection)
        for series in {series for series, _ in stored}:
            again = EvidenceStore(connection)
            again.fold(series, 0, constant(threshold(series)), 0)
            again.flush()
        assert states(connection) == stored
        transaction.rollback()
    every_day = replayed(runtime)
    assert {key: every_day[key] for key in every_day.keys() - too_old(every_day)} == stored


def too_old(after: dict[tuple[Series, int], str]) -> set[tuple[Series, int]]:
    """The days whose states need not be kept."""
    days: dict[Series, list[int]] = {}
    for series, day in after:
        days.setdefault(series, []).append(day)
    return {(series, day) for series, known in days.items() for day in checkpoints.superseded(known)}


def replayed(runtime: EmbeddedRunner) -> dict[tuple[Series, int], str]:
    """The states of all days, computed by the domain's functions alone."""
    query = select(pairs).order_by(pairs.c.dimension, pairs.c.value, pairs.c.signal, pairs.c.n)
    with reading(runtime.engine) as connection:
        counted = connection.execute(query).all()
    after: dict[tuple[Series, int], str] = {}
    for series, group in groupby(counted, lambda row: Series(row.dimension, row.value, row.signal)):
        state, seen = alerting.Evidence(), []
        for row in group:
            seen.append(alerting.Pair(row.day, row.x, row.delta, row.account_id, row.order_id))
            alerting.observe(state, seen[-1], threshold(series), lambda k, seen=seen: seen[-k:])  # type: ignore[misc]
            after[series, row.day] = msgspec.json.encode(state).decode()
    return after


def check_numbering(runtime: EmbeddedRunner) -> None:
    """Pairs are numbered without gaps, days ascend, at most three orders of an account count per day, none twice."""
    with reading(runtime.engine) as connection:
        series = (pairs.c.dimension, pairs.c.value, pairs.c.signal)
        per_day = select(func.count()).select_from(pairs).group_by(*series, pairs.c.account_id, pairs.c.day)
        assert max(connection.execute(per_day).scalars(), default=0) <= detector.CAP_PER_ACCOUNT_DAY
        counted = connection.execute(
            select(*series, pairs.c.n, pairs.c.day, pairs.c.order_id).order_by(*series, pairs.c.n)
        )
        for _, group in groupby(counted.all(), lambda row: row[:3]):
            numbered = list(group)
            assert [row.n for row in numbered] == list(range(1, len(numbered) + 1))
            assert [row.day for row in numbered] == sorted(row.day for row in numbered)
            assert len({row.order_id for row in numbered}) == len(numbered)


_KINDS = {"watch": 0, "single_day": 1, "single_account": 1, "single_account_dispute": 1, "divergence": 2}
_SEVERITIES = {None: 0, "minor": 1, "major": 2, "critical": 3}


def check_alerts(runtime: EmbeddedRunner) -> None:
    """Alerts are open where the evidence has one. Published: opened, then only escalations, then perhaps resolved."""
    open_ones = {Series(a["dimension"], a["value"], a["signal"]) for a in rows(runtime, alerts) if a["state"] == "open"}
    latest: dict[Series, str] = {}
    with reading(runtime.engine) as connection:
        for (series, _), state in sorted(states(connection).items()):
            latest[series] = state
    alerted = {series for series, state in latest.items() if msgspec.json.decode(state)["alert"] is not None}
    assert open_ones == alerted

    for alert in rows(runtime, alerts):
        history = published_changes(runtime, alert["alert_id"])
        changes = [what for what, _ in history]
        assert changes[0] == "opened"
        assert changes[-1] == "resolved" or alert["state"] == "open"
        assert set(changes[1:-1]) <= {"escalated"}
        graveness = [(_KINDS[data["kind"]], _SEVERITIES[data["severity"]]) for _, data in history]
        for number, (before, after) in enumerate(pairwise(graveness), 1):
            assert after[0] >= before[0], history
            assert after[1] >= before[1], history
            assert after != before or changes[number] == "resolved", history
        last = history[-1][1]
        assert {name: alert[name] for name in ("kind", "state", "severity")} == {
            name: last[name] for name in ("kind", "state", "severity")
        }


def published_changes(runtime: EmbeddedRunner, alert_id: str) -> list[tuple[str, dict[str, Any]]]:
    """The published changes of an alert: opened, escalated, resolved, each with its data."""
    query = select(journal.c.type, journal.c.payload).where(journal.c.type.like("alert.%")).order_by(journal.c.seq)
    with reading(runtime.engine) as connection:
        published_alerts = [(row.type, msgspec.json.decode(row.payload)["data"]) for row in connection.execute(query)]
    return [(kind.removeprefix("alert."), data) for kind, data in published_alerts if data["alert_id"] == alert_id]


# --- pairs --------------------------------------------------------------------------------------------------


@everywhere
def test_three_orders_of_an_account_count_per_day_in_each_segment(runtime: EmbeddedRunner) -> None:
    for n in range(5):
        ingest(runtime, *one_pair(n, n / 24, account="A-1", depot="Lyon" if n < 4 else "Nancy"))
    ingest(runtime, *one_pair(5, 1, account="A-1"), *one_pair(6, 1.1, account="A-2"))
    by_segment: dict[str, list[str]] = {}
    for pair in sorted(rows(runtime, pairs), key=lambda pair: pair["n"]):
        by_segment.setdefault(pair["value"], []).append(pair["order_id"])
    assert by_segment["Lyon"] == ["SO-0", "SO-1", "SO-2", "SO-5", "SO-6"]
    assert by_segment["Nancy"] == ["SO-4"], "each segment has its own cap"


@everywhere
def test_a_second_answer_does_not_count_an_order_beyond_the_cap(runtime: EmbeddedRunner) -> None:
    for n in range(4):
        ingest(runtime, *one_pair(n, n / 24, account="A-1"))
    ingest(runtime, answered("SO-3", at(days=2), "ben", arrival="on_time"))
    assert {pair["order_id"] for pair in rows(runtime, pairs)} == {"SO-0", "SO-1", "SO-2"}


@everywhere
def test_an_amended_pair_keeps_its_number_its_day_and_its_baseline(runtime: EmbeddedRunner) -> None:
    ingest_pairs(runtime, "xxx")
    before = {(pair["value"], pair["n"]): pair for pair in rows(runtime, pairs)}
    ingest(runtime, answered("SO-0", at(days=9), "ben", arrival="on_time"))
    after = {(pair["value"], pair["n"]): pair for pair in rows(runtime, pairs)}
    changed = [key for key in before if before[key] != after[key]]
    assert sorted(changed) == [("Lyon", 1), ("Nordex", 1)]
    assert after["Lyon", 1] == before["Lyon", 1] | {"x": 0.5}
    check_states(runtime)


# --- alerts -------------------------------------------------------------------------------------------------


def of_the_depot(runtime: EmbeddedRunner, state: str | None = None) -> dict[str, Any]:
    """The only alert of the depot, or its only alert in that state."""
    (alert,) = [a for a in rows(runtime, alerts) if a["dimension"] == "depot" and state in (None, a["state"])]
    return alert


def kind_now(runtime: EmbeddedRunner) -> str | None:
    """The kind of the depot's alert in its current evidence."""
    with reading(runtime.engine) as connection:
        alert = EvidenceStore(connection).state(ON_TIME_AT_LYON).alert
    return None if alert is None else alert.kind


@everywhere
def test_an_alert_opens_escalates_and_resolves_with_its_evidence(start: Callable[..., EmbeddedRunner]) -> None:
    runtime = start(levels=LEVELS)
    ingest(runtime, *[raw for n in range(5) for raw in one_pair(n, n, account="A-1")])
    opened = of_the_depot(runtime)
    assert (opened["alert_id"], opened["kind"], opened["state"]) == (
        "on_time/depot/Lyon/1",
        "single_account",
        "open",
    )
    proof = published_changes(runtime, opened["alert_id"])[0][1]["evidence"]
    assert proof == msgspec.json.decode(opened["evidence"])
    n = proof["run_n"]
    assert proof | {"low": 0, "high": 1, "log10_e": 0, "breakdown_rho": 0} == {
        "pairs_before": n - 1,
        "since": MONDAY.date().isoformat(),
        "run_n": n,
        "run_rate": 1.0,
        "null": 0.05,
        "low": 0,
        "high": 1,
        "log10_e": 0,
        "accounts": 1,
        "breakdown_rho": 0,
        "orders": [f"SO-{k}" for k in range(n)],
    }
    assert 0.05 < proof["low"] < 1.0 == proof["high"]
    assert 10 ** proof["log10_e"] >= threshold(ON_TIME_AT_LYON)
    assert proof["breakdown_rho"] == pytest.approx(breakdown_rho(proof["low"], 0.05))

    ingest_pairs(runtime, "xxxx", first_day=6, first=5)  # other accounts join: it is no dispute of one account
    ingest_pairs(runtime, "." * 45, first_day=11, first=9)
    assert [what for what, _ in published_changes(runtime, "on_time/depot/Lyon/1")] == [
        "opened",
        "escalated",
        "resolved",
    ]
    _, (_, risen), (_, over) = published_changes(runtime, "on_time/depot/Lyon/1")
    assert (risen["kind"], risen["severity"]) == ("divergence", "critical")
    assert risen["evidence"]["accounts"] > 1
    assert risen["evidence"]["run_n"] > n
    assert over["evidence"] == risen["evidence"], "the evidence of the opening, not of the recovery"
    alert = of_the_depot(runtime)
    assert alert["state"] == "resolved"
    assert alert["opened_at"] == opened["opened_at"] < alert["resolved_at"] == alert["changed_at"]
    check_alerts(runtime)

    ingest_pairs(runtime, "xxxxxx", first_day=60, first=60)
    assert of_the_depot(runtime, "open")["alert_id"] == "on_time/depot/Lyon/2"


@everywhere
def test_an_amendment_that_removes_the_reason_resolves_the_alert(start: Callable[..., EmbeddedRunner]) -> None:
    runtime = start(levels=LEVELS)
    ingest_pairs(runtime, "xxxxx")
    alert = of_the_depot(runtime)
    assert alert["state"] == "open"
    for n in range(5):  # a second contact of each order answers that it was on time
        ingest(runtime, answered(f"SO-{n}", at(days=20, hours=n), "ben", arrival="on_time"))
        ingest(runtime, answered(f"SO-{n}", at(days=20, hours=n + 0.5), "ana", arrival="on_time"))
    alert = of_the_depot(runtime)
    assert alert["state"] == "resolved"
    assert {pair["x"] for pair in rows(runtime, pairs)} == {0.0}
    assert [what for what, _ in published_changes(runtime, alert["alert_id"])] == ["opened", "resolved"]
    check_states(runtime)
    check_alerts(runtime)


@everywhere
def test_an_amendment_can_open_an_alert(start: Callable[..., EmbeddedRunner]) -> None:
    runtime = start(levels=LEVELS)
    ingest_pairs(runtime, ".....")
    for n in range(5):
        ingest(runtime, answered(f"SO-{n}", at(days=20, hours=n), "ana", arrival="late"))
    alert = of_the_depot(runtime)
    assert (alert["state"], alert["kind"]) == ("open", "divergence")
    check_states(runtime)
    check_alerts(runtime)


@everywhere
def test_an_alert_that_returns_after_an_amendment_is_not_published_again(start: Callable[..., EmbeddedRunner]) -> None:
    """A less severe alert is not published; when it returns to its published severity, it is not published again."""
    runtime = start(levels=LEVELS)
    ingest_pairs(runtime, "xxxxx")
    alert = of_the_depot(runtime)
    assert (alert["kind"], alert["severity"]) == ("divergence", "critical")
    for n in range(3, 6):  # one account still contradicts, the others amend their answers
        ingest(runtime, *one_pair(10 + n, 6 + n / 24, account="A-0"))
    for n in range(6, 9):
        ingest(runtime, *one_pair(10 + n, 7 + n / 24, account="A-0"))
    for n in range(1, 5):
        ingest(runtime, answered(f"SO-{n}", at(days=9, hours=n), "ana", arrival="on_time"))
    assert kind_now(runtime) == "single_account_dispute"
    ingest_pairs(runtime, "xxxxx", first_day=11, first=30)
    assert kind_now(runtime) == "divergence"
    assert [what for what, _ in published_changes(runtime, alert["alert_id"])] == ["opened"]
    check_alerts(runtime)


def test_an_alert_that_became_less_severe_is_resolved_as_published(
    start: Callable[..., EmbeddedRunner],
) -> None:
    runtime = start(levels=LEVELS)
    ingest_pairs(runtime, "xxxxx")
    for n in range(6):
        ingest(runtime, *one_pair(10 + n, 6 + n // 3 + n / 24, account="A-0"))
    for n in range(1, 5):
        ingest(runtime, answered(f"SO-{n}", at(days=9, hours=n), "ana", arrival="on_time"))
    assert kind_now(runtime) == "single_account_dispute"
    ingest_pairs(runtime, "." * 40, first_day=11, first=30)
    assert kind_now(runtime) is None
    opened, resolved = (data for _, data in published_changes(runtime, "on_time/depot/Lyon/1"))
    assert (
        (opened["kind"], opened["severity"]) == (resolved["kind"], resolved["severity"]) == ("divergence", "critical")
    )
    check_alerts(runtime)


def alert_of(kind: alerting.Kind, severity: alerting.Severity | None, since: int = 1) -> alerting.OpenAlert:
    ending = resolver.Resolver(0.2)
    return alerting.OpenAlert(kind, severity, 0, 1, since, 5, 0.5, 0.05, 0.2, 4.0, ending)


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        (None, None, None),
        (None, alert_of("watch", None), "opened"),
        (alert_of("divergence", "major"), None, "resolved"),
        (alert_of("watch", None), alert_of("watch", None), None),
        (alert_of("watch", "minor"), alert_of("single_account_dispute", "minor"), "escalated"),
        (alert_of("divergence", "minor"), alert_of("divergence", "critical"), "escalated"),
        (alert_of("divergence", "critical"), alert_of("divergence", "minor"), None),
        (alert_of("divergence", "critical"), alert_of("watch", None), None),
        (alert_of("divergence", "major", since=1), alert_of("divergence", "major", since=9), None),
    ],
)
def test_a_repeated_fold_publishes_only_what_is_new_and_never_less_severe(
    before: alerting.OpenAlert | None, after: alerting.OpenAlert | None, what: str | None
) -> None:
    transition = alerting.difference(before, after)
    assert (transition and transition.what) == what
    if transition is not None:
        assert transition.alert == (after or before)
        assert transition.alert is not after, "later pairs must not change a published alert"


# --- baselines ----------------------------------------------------------------------------------------------

# The first moments of two months: the baseline of April is computed from the pairs before 1 April.
MARCH, APRIL, MAY = at(), datetime(2026, 4, 1, tzinfo=MONDAY.tzinfo), datetime(2026, 5, 1, tzinfo=MONDAY.tzinfo)


def scored(n: int, time: datetime, value: int) -> list[bytes]:
    """The events of an order delivered as promised with this score of five, all within an hour."""
    order_id = f"S-{n}"
    return [
        completed(order_id, time, account={"id": f"A-{n}"}, contacts=PEOPLE, **HISTORIC),
        scanned(order_id, time),
        asked(order_id, time, account_id=f"A-{n}"),
        answered(order_id, time + timedelta(minutes=30), score={"value": value, "scale": 5}),
    ]


def fleet(runtime: EmbeddedRunner, n: int, unhappy: int, time: datetime, first: int = 0) -> None:
    """Ingest this number of scores on one day, of which the first ones are unhappy."""
    ingest(runtime, *[raw for k in range(n) for raw in scored(first + k, time, 1 if k < unhappy else 5)])


def experience_baselines(runtime: EmbeddedRunner) -> dict[str, tuple[int, float | None]]:
    return {row["month"]: (row["pairs"], row["delta"]) for row in rows(runtime, nulls) if row["signal"] == "experience"}


def test_below_two_hundred_pairs_there_is_no_baseline_and_no_evidence(runtime: EmbeddedRunner) -> None:
    fleet(runtime, 199, 20, MARCH)
    fleet(runtime, 1, 1, APRIL, first=500)
    assert experience_baselines(runtime) == {"2026-03": (0, None), "2026-04": (199, None)}
    assert rows(runtime, pairs) == []
    assert rows(runtime, evidence) == []
    assert {(row["day"], row["n"], row["total"]) for row in rows(runtime, fleet_days)} == {
        (MARCH.toordinal(), 199, 20.0),
        (APRIL.toordinal(), 1, 1.0),
    }


def test_a_months_baseline_is_the_fleets_mean_before_it_and_never_changes(runtime: EmbeddedRunner) -> None:
    fleet(runtime, 200, 20, MARCH)
    fleet(runtime, 3, 3, APRIL, first=500)
    assert experience_baselines(runtime)["2026-04"] == (200, 0.1), "its own month does not count"
    # Pairs of March arrive after April began, and are worse.
    regrets = [
        answered(f"S-{k}", APRIL + timedelta(days=1, minutes=k), score={"value": 1, "scale": 5}) for k in range(20, 40)
    ]
    ingest(runtime, *regrets)
    (march,) = [row for row in rows(runtime, fleet_days) if row["day"] == MARCH.toordinal()]
    assert (march["n"], march["total"]) == (200, 40.0)
    fleet(runtime, 1, 1, APRIL + timedelta(days=2), first=600)
    assert experience_baselines(runtime)["2026-04"] == (200, 0.1)
    fleet(runtime, 1, 0, MAY, first=700)
    assert experience_baselines(runtime)["2026-05"] == (204, 44 / 204)
    delta = {pair["order_id"]: pair["delta"] for pair in rows(runtime, pairs)}
    assert {delta[f"S-{k}"] for k in (500, 501, 502)} == {0.1}
    days = [((APRIL - MARCH).days + 3, 200, 40.0), (2, 3, 3.0)]  # as they were on 3 April: days ago, pairs, unhappy
    assert delta["S-600"] == baseline.experience_null(0.1, 0.0, baseline.fleet_now(0.1, days))
    assert 44 / 204 < delta["S-700"] < 1.02 * 44 / 204, "in a month the fleet has nearly recovered"


def at_depot(n: int, depot: str, time: datetime, value: int) -> list[bytes]:
    """As `scored`, at a depot."""
    order, *rest = scored(n, time, value)
    event = msgspec.json.decode(order)
    event["data"]["dimensions"] = {"depot": depot}
    return [msgspec.json.encode(event), *rest]


def depots(runtime: EmbeddedRunner, unhappy: dict[str, int], time: datetime, first: int = 0) -> None:
    """Ingest sixty scores of each depot on one day, of which so many are unhappy.

    `first`: number of the first depot, from which those of the orders follow.
    """
    raws = [
        raw
        for place, (depot, bad) in enumerate(sorted(unhappy.items()), first)
        for k in range(60)
        for raw in at_depot(1000 * place + k, depot, time, 1 if k < bad else 5)
    ]
    ingest(runtime, *raws)


def test_a_segments_baseline_includes_how_much_the_others_differ(runtime: EmbeddedRunner) -> None:
    unhappy = {"Lyon": 6, "Nancy": 3, "Nice": 9, "Pau": 15}
    depots(runtime, unhappy, MARCH)
    ingest(
        runtime, *at_depot(9001, "Lyon", APRIL, 5), *at_depot(9002, "Pau", APRIL, 5), *at_depot(9003, "Brest", APRIL, 5)
    )

    (stored,) = [row for row in rows(runtime, spreads) if row["dimension"] == "depot"]
    assert (stored["signal"], stored["month"]) == ("experience", "2026-04")
    frozen = msgspec.json.decode(stored["segments"], type=list[SegmentSums])
    assert frozen == [SegmentSums(depot, 60, float(n), 60, float(n)) for depot, n in sorted(unhappy.items())]
    delta = {pair["value"]: pair["delta"] for pair in rows(runtime, pairs) if pair["dimension"] == "depot"}
    assert delta == {name: 33 / 240 + Spread(frozen).tau(name) for name in ("Lyon", "Pau", "Brest")}
    assert min(delta, key=delta.__getitem__) == "Pau", "the least liked leaves itself out"


def test_what_is_frozen_never_changes(runtime: EmbeddedRunner) -> None:
    depots(runtime, {"Lyon": 6, "Nancy": 3, "Nice": 9, "Pau": 15}, MARCH)
    ingest(runtime, *at_depot(9001, "Lyon", APRIL, 5))
    before = rows(runtime, spreads), rows(runtime, fleet_factors)
    depots(runtime, {"Metz": 50}, APRIL + timedelta(hours=1), first=10)
    ingest(runtime, answered("S-30", APRIL + timedelta(hours=2), score={"value": 1, "scale": 5}))
    ingest(runtime, *at_depot(9002, "Lyon", APRIL + timedelta(hours=3), 5))

    assert all(before)
    assert (rows(runtime, spreads), rows(runtime, fleet_factors)) == before
    for table in (spreads, fleet_factors):
        with runtime.engine.connect() as connection, pytest.raises(DBAPIError, match="append-only"):
            connection.execute(table.delete())


def test_a_database_of_an_earlier_version_keeps_its_rules_until_the_day_that_was_set(
    database_url: str,
) -> None:
    """Twelve orders of twelve accounts on one day: an alert by the earlier rules, one bad day by the present ones."""
    since = at(days=1).toordinal()
    runtime = embedded(database_url, levels=LEVELS, rules_since=since)
    try:
        storm = [raw for n in range(12) for raw in one_pair(n, 0.01 * n)]
        ingest(runtime, *storm)
        assert kind_now(runtime) == "divergence"
        later = [raw for n in range(12, 24) for raw in one_pair(n, 1 + 0.01 * n, depot="Nancy")]
        ingest(runtime, *later)
        (other,) = [a for a in rows(runtime, alerts) if a["value"] == "Nancy"]
        assert other["kind"] == "single_day"

        # An answer of the first day changes after the day of the change: both rules fold, each its own days.
        ingest(runtime, answered("SO-3", at(days=2), "ben", "second", arrival="on_time"))
        assert kind_now(runtime) == "divergence"
        with reading(runtime.engine) as connection:
            state = EvidenceStore(connection, since).state(ON_TIME_AT_LYON)
            limit = constant(threshold(ON_TIME_AT_LYON))
            assert EvidenceStore(connection, since).fold(ON_TIME_AT_LYON, 0, limit, 0) == state
            connection.rollback()
    finally:
        runtime.engine.dispose()


def test_pairs_older_than_ninety_days_do_not_count_for_the_baseline(runtime: EmbeddedRunner) -> None:
    july = datetime(2026, 7, 1, tzinfo=MONDAY.tzinfo)
    fleet(runtime, 3, 3, july - timedelta(days=91))
    fleet(runtime, 200, 30, july - timedelta(days=90), first=100)
    fleet(runtime, 1, 0, july + timedelta(days=4), first=500)  # counted from the first of the month nevertheless
    assert experience_baselines(runtime)["2026-07"] == (200, 0.15)


def test_the_on_time_baseline_grows_with_the_response_ratio_of_late_orders(runtime: EmbeddedRunner) -> None:
    raws = []
    for n in range(40):
        time, late = MARCH + timedelta(minutes=n), n < 10
        order_id = f"R-{n}"
        raws += [
            completed(order_id, time, account={"id": f"A-{n}"}, contacts=PEOPLE, **HISTORIC),
            scanned(order_id, time + timedelta(hours=20 if late else 1)),
            asked(order_id, time + timedelta(hours=21), account_id=f"A-{n}"),
        ]
        # Eight of ten late orders are answered, twelve of thirty others: twice as often.
        if n < 8 or 10 <= n < 22:
            raws.append(answered(order_id, time + timedelta(hours=22), arrival="late" if late else "on_time"))
    ingest(runtime, *raws)
    ingest(runtime, *one_pair(1, (APRIL - MARCH).days + 1))
    found = {row["month"]: row for row in rows(runtime, nulls) if row["signal"] == "on_time"}
    assert (found["2026-03"]["rho"], found["2026-03"]["delta"]) == (1.0, 0.05), "no estimate yet"
    rho = baseline.rho(2.0)
    assert rho > 1.5
    assert found["2026-04"]["rho"] == pytest.approx(rho)
    assert found["2026-04"]["delta"] == pytest.approx(baseline.delta_on_responders(0.05, rho))
    assert {pair["delta"] for pair in rows(runtime, pairs) if pair["order_id"] == "SO-1"} == {found["2026-04"]["delta"]}


def test_the_fleets_sums_are_the_same_to_the_last_bit_whatever_the_batches(
    start: Callable[..., EmbeddedRunner],
) -> None:
    """The sum of thirds depends on its grouping in the last bit, and so would every baseline computed from it."""
    raws = [raw for n in range(12) for raw in asked_about(f"SO-{n}", at(), account=f"A-{n}")]
    for n in range(12):
        for who, late in (("ana", True), ("ben", False), ("cleo", n % 3 == 0)):
            raws.append(answered(f"SO-{n}", at(hours=4, days=n % 2), who, arrival="late" if late else "on_time"))
    runtime = start(batch=7)
    ingest(runtime, *raws)
    for signal_day in rows(runtime, fleet_days):
        total = 0.0
        for pair in published(runtime, "fulfilment.compared"):
            seen = pair["observations"].get(signal_day["signal"])
            if seen is not None and seen["day"] == signal_day["day"]:
                total += seen["x"] - (seen["previous"] or 0.0)
        assert signal_day["total"] == total, (signal_day, date.fromordinal(signal_day["day"]))


def test_moving_the_promise_after_the_question_removes_no_pair(runtime: EmbeddedRunner) -> None:
    ingest_pairs(runtime, "xx")
    before = rows(runtime, pairs)
    ingest(runtime, repromised("SO-0", at(days=8), at(hours=-5), "moved back"))
    ingest(runtime, answered("SO-0", at(days=9), "ana", arrival="late", comment="Late, as I said."))
    assert rows(runtime, pairs) == before


@everywhere
def test_moving_an_order_leaves_its_pairs_where_they_were_counted(runtime: EmbeddedRunner) -> None:
    """Otherwise correcting the depot of an unhappy order between two answers would remove the second one."""
    raws = [raw for n in range(3) for raw in asked_about(f"SO-{n}", at(), account=f"A-{n}")]
    ingest(runtime, *raws)
    ingest(runtime, answered("SO-1", at(days=1), "ana", arrival="on_time"))
    elsewhere = completed("SO-1", at(days=2), event_id="moved", dimensions={"depot": "Nancy"}, **HISTORIC)
    ingest(runtime, elsewhere, answered("SO-1", at(days=3), "ben", arrival="late"))
    (pair,) = [pair for pair in rows(runtime, pairs) if pair["signal"] == "on_time" and pair["dimension"] == "depot"]
    assert (pair["order_id"], pair["x"]) == ("SO-1", 0.5)
    assert pair["value"] != "Nancy"
