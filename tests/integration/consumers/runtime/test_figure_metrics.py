"""The metrics of incidents and figures, and every panel of the dashboards on real data."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from prometheus_client import REGISTRY
from pydantic import ValidationError
from sqlalchemy import Engine, make_url, text

from deploy.postgres.native import libpq_url
from pipeline.consumers.runtime.figure_metrics import FigureMetrics
from pipeline.settings import Settings
from pipeline.store.db.engine import connect
from pipeline.store.orders import figures
from pipeline.store.schema.alerting.cases import cases
from pipeline.store.schema.inbox import inbox
from tests.support.limits import until
from tests.support.paths import ROOT
from tests.support.receiving.hooks import HookServer
from tests.support.receiving.incidents import change, publish
from tests.support.receiving.prometheus import scraping_this_process
from tests.support.receiving.sending import Clock, all_are, hook, sending
from tests.support.running.embedded import embedded
from tests.support.statistics.alert_rows import raise_alert

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ORDERS = {"completed": 10, "delivered": 10, "on_time": 8, "on_time:stated": 10, "asked": 9, "answered": 5}
FULL = ORDERS | {"on_time_first": 8, "on_time_first:stated": 10, "on_time:11": 3, "on_time:10": 1, "on_time:00": 1}
DASHBOARDS = ROOT / "deploy/grafana/dashboards"


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = connect(database_url)
    yield engine
    engine.dispose()


def count(engine: Engine, level: str, segment: str, day: datetime = NOW, times: int = 1) -> None:
    """Store counters of a segment as the orders of a day would sum up to."""
    counts = {name: n * times for name, n in FULL.items()}
    with engine.begin() as connection:
        figures.add(connection, {(level, segment, day.date().toordinal()): counts})


def incident(engine: Engine, number: int = 1, severity: str = "major", ended: datetime | None = None) -> None:
    columns = {
        "number": number,
        "status": "open",
        "unverified": False,
        "signal": "on_time",
        "dimension": "depot",
        "value": "Lyon",
        "signals": "[]",
        "alerts": "[]",
        "explains": "[]",
        "severity": severity,
        "opened_at": str(NOW),
        "changed_at": str(NOW),
        "ended_at": None if ended is None else str(ended),
        "then": "{}",
        "rank": 1.0,
        "acts": 1,
    }
    names = ", ".join(f'"{name}"' for name in columns)
    values = ", ".join(f":{name}" for name in columns)
    with engine.begin() as connection:
        connection.execute(text(f"INSERT INTO incidents ({names}) VALUES ({values})"), columns)


def replies(engine: Engine, language: str | None, closed_as: str | None, times: int) -> None:
    with engine.begin() as connection:
        for n in range(times):
            row = {"item_id": f"{language}{closed_as}{n}", "reason": "uncoded", "source": "s", "event_id": "e"}
            kept = {"channel": "form", "received_at": NOW, "language": language, "closed_as": closed_as}
            connection.execute(inbox.insert().values(**row, **kept, closed_at=NOW if closed_as else None))


def test_the_share_of_corrected_readings_by_language_counts_what_people_decided(engine: Engine) -> None:
    replies(engine, "fr", "confirmed", 3)
    replies(engine, "fr", "corrected", 1)
    replies(engine, "tlh", "corrected", 2)  # a language that nothing here reads
    replies(engine, "fr", "clarified", 1)  # by the customer
    replies(engine, "de", None, 4)
    update(engine)

    def value(name: str, **labels: str) -> float | None:
        return REGISTRY.get_sample_value(name, labels)

    name = "unvarnished_readings_reviewed"
    corrected, confirmed = (value(name, language="fr", decision=how) for how in ("corrected", "confirmed"))
    assert (corrected, confirmed) == (1, 3)
    assert value(name, language="other", decision="corrected") == 2
    assert value(name, language="de", decision="confirmed") == 0, "every language has its series from the start"
    assert value("unvarnished_inbox_waiting") == 4


def update(engine: Engine, levels: tuple[str, ...] = ("depot",), limit: int = 50) -> FigureMetrics:
    store = embedded(engine.url.render_as_string(hide_password=False)).store
    metrics = FigureMetrics(store, levels, limit, lambda: NOW)
    metrics.update()
    store.engine.dispose()
    return metrics


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"unvarnished_{name}", labels)


def segments_shown(level: str) -> set[str]:
    [family] = [one for one in REGISTRY.collect() if one.name == "unvarnished_coverage_ratio"]
    return {sample.labels["segment"] for sample in family.samples if sample.labels["level"] == level}


def test_open_incidents_are_counted_by_severity_and_signal(engine: Engine) -> None:
    incident(engine, 1)
    incident(engine, 2)
    incident(engine, 3, "critical", ended=NOW)
    update(engine)
    assert value("incidents_open", severity="major", signal="on_time") == 2
    assert value("incidents_open", severity="critical", signal="on_time") == 0


def case(engine: Engine, number: int, hours: int, severity: str = "major", closed: bool = False) -> None:
    opened_at = NOW - timedelta(hours=hours)
    row = {
        "case_id": f"C-{number}",
        "order_id": f"SO-{number}",
        "contact_id": "ana",
        "reasons": "[]",
        "severity": severity,
        "opened_at": opened_at,
        "changed_at": opened_at,
        "due_at": opened_at,
        "overdue": hours > 24,
        "closed_at": NOW if closed else None,
        "acts": 1,
    }
    with engine.begin() as connection:
        connection.execute(cases.insert(), [row])


def test_open_cases_are_counted_and_the_oldest_has_an_age(engine: Engine) -> None:
    update(engine)
    assert value("cases_oldest_seconds") == 0
    case(engine, 1, 30)
    case(engine, 2, 2)
    case(engine, 3, 90, "critical", closed=True)
    update(engine)
    assert [value("cases_open", severity=name) for name in ("critical", "major", "minor")] == [0, 2, 0]
    assert (value("cases_overdue"), value("cases_oldest_seconds")) == (1, 30 * 3600)


def test_the_figures_of_the_last_30_days_are_shown_for_the_levels_of_the_setting_only(engine: Engine) -> None:
    count(engine, "depot", "Lyon")
    count(engine, "depot", "Lille", NOW - timedelta(days=30))
    count(engine, "carrier", "Nordex")
    update(engine, ("depot",))
    assert segments_shown("depot") == {"Lyon"}
    assert segments_shown("carrier") == set()
    assert value("claimed_on_time_ratio", level="depot", segment="Lyon") == 0.8
    assert value("coverage_ratio", level="depot", segment="Lyon") == 0.5
    experienced = value("experienced_on_time_ratio", level="depot", segment="Lyon")
    gap = value("on_time_gap_ratio", level="depot", segment="Lyon")
    assert experienced is not None
    assert gap is not None
    assert experienced + gap == pytest.approx(0.8)


def test_segments_beyond_the_limit_are_one_series_and_are_told(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    for n in range(30):
        count(engine, "region", f"R-{n:02}", times=100 - n)
    update(engine, ("region",), limit=5)
    assert segments_shown("region") == {"R-00", "R-01", "R-02", "R-03", "R-04", "other"}
    assert value("segments_folded", level="region") == 25
    assert value("coverage_ratio", level="region", segment="other") == 0.5
    assert "25 segments of the level region share the metrics of `other`" in caplog.text


def test_a_segment_without_orders_any_more_has_no_series(engine: Engine) -> None:
    count(engine, "zone", "Z")
    metrics = update(engine, ("zone",))
    assert segments_shown("zone") == {"Z"}
    with engine.begin() as connection:
        gone = {name: -n for name, n in FULL.items()}
        figures.add(connection, {("zone", "Z", NOW.date().toordinal()): gone})
    metrics.update()
    metrics._store.engine.dispose()
    assert segments_shown("zone") == set()


@pytest.mark.parametrize("levels", ["account", "region,depot+account", "contact"])
def test_accounts_are_never_a_level_of_metrics(levels: str) -> None:
    with pytest.raises(ValidationError, match="metrics are never per account"):
        Settings(metric_levels=levels)


def test_every_panel_on_prometheus_has_data_for_its_legend(sqlite_database_url: str, tmp_path: Path) -> None:
    engine = connect(sqlite_database_url)
    incident(engine)
    count(engine, "depot", "Lyon")
    board = json.loads((DASHBOARDS / "incidents.json").read_text(encoding="utf-8"))
    targets = [target for panel in board["panels"] for target in panel.get("targets", ())]
    assert len(targets) > 8
    with (
        HookServer() as server,
        sending(engine, hook(server), Clock()) as sender,
        scraping_this_process(tmp_path) as prometheus,
    ):
        update(engine)
        until(lambda: prometheus.query("unvarnished_notices_total"), "a first scrape")
        publish(engine, *(change(f"I-{n}") for n in range(3)))
        until(lambda: all_are(engine, "erp", "delivered", 3), "delivered")
        sender._count_at = 0.0
        for target in targets:
            expression = target["expr"].replace("$__rate_interval", "1m")
            for series in until(lambda query=expression: prometheus.query(query), expression):  # type: ignore[misc]
                assert series["metric"].keys() == set(re.findall(r"{{(\w+)}}", target["legendFormat"])), target
        for recorded in ("unvarnished:notices:rate5m", "unvarnished:incidents_open:severity"):
            until(lambda name=recorded: prometheus.query(name), recorded)  # type: ignore[misc]
    engine.dispose()


def test_every_panel_on_postgresql_returns_rows_to_the_read_only_role(postgresql_database_url: str) -> None:
    engine = connect(postgresql_database_url)
    count(engine, "", "")
    count(engine, "depot", "Lyon")
    count(engine, "account", "A-1")
    incident(engine, 1)
    incident(engine, 2, ended=NOW)
    with engine.begin() as connection:
        raise_alert(connection, "on_time/depot/Lyon/1")
    with HookServer() as server, sending(engine, hook(server), Clock()):
        publish(engine, change())
        until(lambda: all_are(engine, "erp", "delivered", 1), "delivered")
    board = json.loads((DASHBOARDS / "management.json").read_text(encoding="utf-8"))
    queries = [target["rawSql"] for panel in board["panels"] for target in panel["targets"]]
    role = "reader_" + re.sub(r"\W", "", make_url(postgresql_database_url).database or "")[-20:]
    script = (ROOT / "deploy/postgres/reader.sql").read_text(encoding="utf-8").replace("unvarnished_reader", role)
    script = "\n".join(line for line in script.splitlines() if not line.startswith("--")).replace(":password", "'x'")
    with engine.begin() as connection:
        connection.exec_driver_sql(script)
    try:
        with psycopg.connect(libpq_url(engine.url), autocommit=True) as reader:
            reader.execute(f"SET ROLE {role}")
            for query in queries:
                known = query.replace("$__timeFilter(day::timestamp)", "day BETWEEN '2026-01-01' AND '2027-01-01'")
                assert reader.execute(known).fetchall(), query
            assert reader.execute("SELECT 1 FROM reporting.segment_days WHERE level = 'account'").fetchall() == []
            for table in ("people", "orders", "journal", "rollups", "rollup_sums", "answers"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    reader.execute(f"SELECT * FROM {table}")
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP OWNED BY {role}; DROP ROLE {role}")
        engine.dispose()
