"""Reports and alerts as they are read back, on both databases, without reading any order."""

import json
from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from sqlalchemy import Connection, event

from pipeline.domain.access.principal import LOCAL
from pipeline.domain.reports.contract import alerts_json, report_json
from pipeline.store.db.engine import connect
from pipeline.store.orders import figures
from pipeline.store.reads import reports
from pipeline.store.reads.alerts import alerts_as_of
from pipeline.store.reads.baselines import newest_baselines
from pipeline.store.schema.evidence import evidence, fleet_days, nulls
from tests.support.statistics.alert_rows import OPENED, raise_alert

DAY = date(2026, 3, 2).toordinal()


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    engine = connect(database_url)
    with engine.begin() as opened:
        yield opened
    engine.dispose()


def count(connection: Connection, value: str, day: int, /, dimension: str = "depot", **counters: int) -> None:
    figures.add(connection, {(dimension, value, day): {name.replace("__", ":"): n for name, n in counters.items()}})


def see_pair(connection: Connection, day: int, value: str = "Lyon", signal: str = "on_time") -> None:
    row = {"dimension": "depot", "value": value, "signal": signal, "day": day, "state": "{}"}
    connection.execute(evidence.insert(), [row])


def test_days_are_summed_and_both_ends_are_included(connection: Connection) -> None:
    for offset, n in enumerate((1, 10, 100, 1000)):
        count(connection, "", DAY + offset, dimension="", delivered=n)
    assert reports.total(connection, LOCAL) == {"delivered": 1111}
    assert reports.total(connection, LOCAL, DAY + 1, DAY + 2) == {"delivered": 110}
    assert reports.total(connection, LOCAL, first_day=DAY + 3) == {"delivered": 1000}
    assert reports.total(connection, LOCAL, last_day=DAY - 1) == {}


def test_segments_of_a_level_are_separate_and_counters_that_sum_to_zero_are_omitted(
    connection: Connection,
) -> None:
    count(connection, "Lyon", DAY, delivered=3, on_time=2)
    count(connection, "Lyon", DAY + 1, delivered=2, on_time=-2)
    count(connection, "Lille", DAY, delivered=7)
    count(connection, "Gone", DAY, delivered=1)
    count(connection, "Gone", DAY + 1, delivered=-1)
    count(connection, "Nordex", DAY, dimension="carrier", delivered=10)
    count(connection, "", DAY, dimension="", delivered=12)
    found = reports.by_segment(connection, LOCAL, "depot")
    assert found == {"Lille": {"delivered": 7}, "Lyon": {"delivered": 5}}
    assert all(type(n) is int for counts in found.values() for n in counts.values())
    assert reports.dimensions(connection, LOCAL) == ["carrier", "depot"]


def test_the_report_has_the_form_of_the_contract(connection: Connection) -> None:
    count(
        connection,
        "",
        DAY,
        dimension="",
        delivered=4,
        on_time=3,
        on_time__stated=4,
        score__5__5=2,
        score__5__4=1,
    )
    count(connection, "Lyon", DAY, delivered=4)
    found = report_json(reports.total(connection, LOCAL), reports.by_segment(connection, LOCAL, "depot"))
    assert list(found) == ["total", "segments"]
    assert list(found["segments"]) == ["Lyon"]
    assert found["total"]["claimed_on_time"] == 3
    assert found["total"]["mean_score"]["value"] == 14 / 3
    assert found["total"]["experienced_on_time"] is None
    assert list(found["total"]) == list(found["segments"]["Lyon"])
    json.dumps(found, allow_nan=False)


def test_alerts_are_oldest_first_and_have_the_form_of_the_contract(connection: Connection) -> None:
    raise_alert(connection, "b", OPENED)
    raise_alert(connection, "a", OPENED)
    raise_alert(connection, "c", OPENED - timedelta(days=1), kind="watch", severity=None)
    see_pair(connection, OPENED.toordinal())
    found = alerts_as_of(connection, LOCAL, OPENED.date())
    assert [alert.alert_id for alert in found] == ["c", "a", "b"]
    assert found[0].orders == ("SO-1", "SO-2")
    assert alerts_json(found)[1] == {
        "signal": "on_time",
        "dimension": "depot",
        "value": "Lyon",
        "kind": "divergence",
        "state": "open",
        "severity": "critical",
        "opened_at": "2026-03-20T10:30:00Z",
        "pairs_before": 200,
        "since": "2026-03-03",
        "run_n": 127,
        "run_rate": 21 / 127,
        "null": 0.05,
        "log10_e": 5.01,
        "incident": None,
    }
    assert alerts_json(found)[0]["severity"] is None


@pytest.mark.parametrize(("days_since", "state"), [(0, "open"), (29, "open"), (30, "unverified"), (400, "unverified")])
def test_an_alert_without_recent_answers_is_unverified(connection: Connection, days_since: int, state: str) -> None:
    raise_alert(connection, "a")
    see_pair(connection, DAY - 5)
    see_pair(connection, DAY)
    see_pair(connection, DAY + 399, value="Lille")
    see_pair(connection, DAY + 399, signal="in_full")
    (found,) = alerts_as_of(connection, LOCAL, date.fromordinal(DAY + days_since))
    assert found.state == state


def test_missing_answers_do_not_reopen_a_resolved_alert(connection: Connection) -> None:
    raise_alert(connection, "a", state="resolved", resolved_at=OPENED)
    see_pair(connection, DAY)
    (found,) = alerts_as_of(connection, LOCAL, date.fromordinal(DAY + 400))
    assert found.state == "resolved"
    assert found.resolved_at == OPENED


def test_a_breakdown_that_could_not_be_computed_is_read_as_none(connection: Connection) -> None:
    raise_alert(connection, "a", proof={"breakdown_rho": None, "orders": []})
    (found,) = alerts_as_of(connection, LOCAL, OPENED.date())
    assert found.breakdown_rho is None
    assert found.orders == ()


def test_without_a_baseline_the_number_of_pairs_is_reported(connection: Connection) -> None:
    frozen = [
        {"signal": "experience", "month": "2026-02", "pairs": 250, "rho": None, "delta": 0.1},
        {"signal": "experience", "month": "2026-03", "pairs": 140, "rho": None, "delta": None},
        {"signal": "on_time", "month": "2026-03", "pairs": 20, "rho": 1.2, "delta": 0.06},
    ]
    connection.execute(nulls.insert(), frozen)
    pairs = [
        ("experience", DAY, 100),
        ("experience", DAY - 89, 43),
        ("experience", DAY - 90, 9),
        ("in_full", DAY, 1),
    ]
    connection.execute(
        fleet_days.insert(),
        [{"signal": signal, "day": day, "n": n, "total": 0.0} for signal, day, n in pairs],
    )
    experience, in_full, on_time = newest_baselines(connection, LOCAL)
    assert (experience.month, experience.delta, experience.pairs, experience.missing) == (
        "2026-03",
        None,
        143,
        57,
    )
    assert (in_full.month, in_full.pairs, in_full.missing) == (None, 1, 199)
    assert (on_time.delta, on_time.rho, on_time.pairs, on_time.missing) == (0.06, 1.2, 0, 0)


def test_an_empty_database_has_an_empty_report(connection: Connection) -> None:
    assert reports.total(connection, LOCAL) == {}
    assert reports.dimensions(connection, LOCAL) == []
    assert alerts_as_of(connection, LOCAL, OPENED.date()) == []
    assert newest_baselines(connection, LOCAL) == []
    assert report_json({}, {})["total"]["delivered"] == 0


def test_no_report_reads_orders(connection: Connection) -> None:
    statements: list[str] = []
    raise_alert(connection, "a")
    event.listen(connection, "before_cursor_execute", lambda *arguments: statements.append(arguments[2].lower()))
    reports.total(connection, LOCAL)
    reports.by_segment(connection, LOCAL, "depot", DAY, DAY)
    reports.dimensions(connection, LOCAL)
    alerts_as_of(connection, LOCAL, OPENED.date())
    newest_baselines(connection, LOCAL)
    assert len(statements) >= 5
    assert not [
        statement for statement in statements for table in (" orders", " answers", " claims") if table in statement
    ]
