"""`unvarnished doctor` reports each problem with an action, and changes nothing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.store.db.engine import connect
from pipeline.store.journal import receipt_mark
from pipeline.store.people import api_keys
from tests.support.builders import at, completed
from tests.support.running.embedded import embedded, ingest

KEY = "00" * 32


def doctor(folder: Path, *options: str, **settings: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code of the command, and its checks by name."""
    known = {f"UNVARNISHED_{name}": value for name, value in ({"DATA_DIR": str(folder)} | settings).items()}
    done = CliRunner().invoke(app, ["doctor", "--format", "json", *options], env=known, catch_exceptions=False)
    return done.exit_code, {check["name"]: check for check in json.loads(done.stdout)}


def wrong(found: dict[str, dict[str, Any]]) -> set[str]:
    assert all(check["advice"] for check in found.values() if check["wrong"])
    return {name for name, check in found.items() if check["wrong"]}


@contextmanager
def changing(url: str) -> Iterator[Connection]:
    engine = connect(url)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def healthy(database_url: str) -> dict[str, str]:
    """Settings of an installation without problems."""
    with changing(database_url) as connection:
        api_keys.create(connection, "erp", False, at())
    return {"DATABASE_URL": database_url, "MASTER_KEY": KEY}


def test_without_problems_the_exit_code_is_zero(tmp_path: Path, healthy: dict[str, str]) -> None:
    code, found = doctor(tmp_path, **healthy)
    assert (code, wrong(found)) == (0, set())
    assert "schema" in found["database"]["found"]


def test_a_clock_far_from_the_newest_receipt_is_wrong_until_it_is_accepted(
    tmp_path: Path, healthy: dict[str, str], database_url: str
) -> None:
    with changing(database_url) as connection:
        receipt_mark.record(connection, datetime.now(UTC) - timedelta(days=3))
    code, found = doctor(tmp_path, **healthy)
    if not database_url.startswith("sqlite"):
        assert (code, wrong(found)) == (0, set()), "the database server's clock agrees"
        return
    assert (code, wrong(found)) == (1, {"clock"})
    assert "3 days" in found["clock"]["found"] or "72.0 hours" in found["clock"]["found"]
    assert "unvarnished doctor --accept-clock" in found["clock"]["advice"]
    code, found = doctor(tmp_path, "--accept-clock", **healthy)
    assert (code, wrong(found)) == (0, set())
    assert doctor(tmp_path, **healthy)[0] == 0


def test_dimension_values_that_look_alike_are_listed(tmp_path: Path, healthy: dict[str, str]) -> None:
    runtime = embedded(healthy["DATABASE_URL"])
    depots = ("Lyon", "LYON", "Lyon.", "Lyon-Sud", "Lyon Sud", "Nantes", "-", "?")
    ingest(runtime, *(completed(f"SO-{n}", dimensions={"depot": depot}, contacts=[]) for n, depot in enumerate(depots)))
    runtime.engine.dispose()
    code, found = doctor(tmp_path, **healthy)
    check = found["dimension values"]
    assert (code, check["wrong"], check["warning"]) == (0, False, True)
    assert "depot: 'LYON' = 'Lyon' = 'Lyon.'; depot: 'Lyon Sud' = 'Lyon-Sud'" in check["found"]
    assert "Nantes" not in check["found"]
    assert check["advice"]


def test_before_the_first_start_it_reports_that_and_creates_nothing(tmp_path: Path) -> None:
    code, found = doctor(tmp_path / "data")
    assert (code, wrong(found)) == (1, {"master key", "database"})
    assert not (tmp_path / "data").exists()


def test_an_impossible_data_folder_is_reported_with_the_failing_path(tmp_path: Path) -> None:
    file = tmp_path / "taken"
    file.write_text("a file")
    _, found = doctor(file / "data")
    assert "data folder" in wrong(found)
    assert found["data folder"]["found"].startswith(str(file))
    _, found = doctor(tmp_path / "data" / "below")
    assert "data folder" not in wrong(found), "it can be created"


def test_an_older_schema_has_to_be_migrated(tmp_path: Path, healthy: dict[str, str]) -> None:
    with changing(healthy["DATABASE_URL"]) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    code, found = doctor(tmp_path, **healthy)
    assert (code, wrong(found)) == (1, {"database"})
    assert "unvarnished migrate" in found["database"]["advice"]


def test_a_newer_schema_needs_a_newer_version(tmp_path: Path, healthy: dict[str, str]) -> None:
    with changing(healthy["DATABASE_URL"]) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    code, found = doctor(tmp_path, **healthy)
    assert (code, wrong(found)) == (1, {"database"})
    assert found["database"]["found"].startswith("schema 9999 is newer than ")
    assert found["database"]["advice"] == "update Unvarnished"


def test_another_master_key_than_that_of_the_first_start_is_detected(tmp_path: Path, healthy: dict[str, str]) -> None:
    runtime = embedded(healthy["DATABASE_URL"])
    ingest(runtime, completed("SO-1"))
    runtime.engine.dispose()
    code, found = doctor(tmp_path, **healthy)
    assert (code, wrong(found)) == (1, {"sealed data"})


def test_a_missing_api_key_is_reported(tmp_path: Path, database_url: str) -> None:
    _, found = doctor(tmp_path, DATABASE_URL=database_url, MASTER_KEY=KEY)
    assert wrong(found) == {"API keys"}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "UNVARNISHED_TWILIO_ACCOUNT_SID"),
        ({"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "secret", "TWILIO_FROM": "+15005550006"}, "this machine"),
        (
            {
                "TWILIO_ACCOUNT_SID": "AC1",
                "TWILIO_AUTH_TOKEN": "secret",
                "TWILIO_FROM": "+15005550006",
                "PUBLIC_URL": "http://ask.example.com",
            },
            "not encrypted",
        ),
    ],
)
def test_a_wrong_configuration_of_the_provider_is_detected(
    tmp_path: Path, healthy: dict[str, str], settings: dict[str, str], expected: str
) -> None:
    code, found = doctor(tmp_path, NOTIFIER="twilio_sms", **healthy, **settings)
    assert (code, wrong(found)) == (1, {"notifier"})
    assert expected in found["notifier"]["found"]
    assert "secret" not in json.dumps(found)


@pytest.mark.parametrize(
    ("settings", "advised"),
    [
        ({"COMPANY_NAME": "\u042f\u043d\u0434\u0435\u043a\u0441"}, "UNVARNISHED_COMPANY_NAME without"),
        ({"PUBLIC_URL": f"https://{'a' * 90}.example.com"}, "shorter host name"),
    ],
)
def test_what_makes_a_message_longer_than_a_segment_is_a_warning(
    tmp_path: Path, healthy: dict[str, str], settings: dict[str, str], advised: str
) -> None:
    code, found = doctor(tmp_path, **healthy, **settings)
    assert (code, wrong(found)) == (0, set()), "it works, at a price"
    assert (found["messages"]["warning"], "segments" in found["messages"]["found"]) == (True, True)
    assert advised in found["messages"]["advice"]


def test_typographic_characters_cost_nothing(tmp_path: Path, healthy: dict[str, str]) -> None:
    _, found = doctor(tmp_path, **healthy, COMPANY_NAME="L\u2019Atelier \u017babka")
    assert (found["messages"]["found"], found["messages"]["warning"]) == (
        "one segment each, in scripts without the GSM alphabet up to three",
        False,
    )


def test_a_default_country_that_is_none_is_reported(tmp_path: Path, healthy: dict[str, str]) -> None:
    code, found = doctor(tmp_path, **healthy, DEFAULT_COUNTRY="XX")
    assert (code, wrong(found)) == (1, {"default country"})
    assert "UNVARNISHED_DEFAULT_COUNTRY" in found["default country"]["found"]
    assert doctor(tmp_path, **healthy, DEFAULT_COUNTRY="fr")[1]["default country"]["found"] == "FR"


def test_an_unavailable_database_is_reported_by_each_check_without_its_password(tmp_path: Path) -> None:
    url = "postgresql+psycopg://nobody:opensesame@127.0.0.1:1/nothing"
    code, found = doctor(tmp_path, DATABASE_URL=url, MASTER_KEY=KEY)
    assert code == 1
    assert {"database", "API keys"} <= wrong(found)
    assert "opensesame" not in json.dumps(found)


def test_for_a_cluster_it_checks_broker_and_topics(
    tmp_path: Path, postgresql_database_url: str, kafka_bootstrap: str, topic_prefix: str
) -> None:
    cluster = {
        "DATABASE_URL": postgresql_database_url,
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "KAFKA_TOPIC_PREFIX": topic_prefix,
    }
    _, found = doctor(tmp_path, **cluster)
    assert wrong(found) == {"master key", "API keys", "sign-in token", "topics"}
    assert "unvarnished topics create" in found["topics"]["advice"]
    assert "Kafka" in found["broker"]["found"]
    _, found = doctor(tmp_path, **cluster | {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"})
    assert {"broker", "topics"} <= wrong(found)
