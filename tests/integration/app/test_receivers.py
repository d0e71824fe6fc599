"""The commands for receivers, and what `doctor` says about them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.store.db.engine import connect
from tests.support.limits import until
from tests.support.receiving.hooks import HookServer
from tests.support.receiving.incidents import change, publish
from tests.support.receiving.sending import hook, sending, states

KEY = "00" * 32


@pytest.fixture
def engine(sqlite_database_url: str) -> Iterator[Engine]:
    engine = connect(sqlite_database_url)
    yield engine
    engine.dispose()


def command(engine: Engine, file: Path, *arguments: str) -> tuple[int, str]:
    settings = {
        "UNVARNISHED_DATABASE_URL": engine.url.render_as_string(hide_password=False),
        "UNVARNISHED_DATA_DIR": str(file.parent),
        "UNVARNISHED_MASTER_KEY": KEY,
        "UNVARNISHED_RECEIVERS_FILE": str(file),
    }
    done = CliRunner().invoke(app, list(arguments), env=settings)
    return done.exit_code, done.output


def configured(server: HookServer, folder: Path) -> Path:
    file = folder / "receivers.toml"
    file.write_text(hook(server))
    return file


def doctor(engine: Engine, file: Path) -> dict[str, str]:
    _, output = command(engine, file, "doctor", "--format", "json")
    [found] = [check for check in json.loads(output) if check["name"] == "receivers"]
    return {name: str(found[name]) for name in ("found", "wrong")}


def test_a_test_message_arrives_and_says_so(engine: Engine, tmp_path: Path) -> None:
    with HookServer() as server:
        assert command(engine, configured(server, tmp_path), "receivers", "test") == (0, "erp: ok\n")
    assert [call.json["type"] for call in server.calls] == ["receiver.test"]


def test_a_failed_test_says_why_and_exits_with_1(engine: Engine, tmp_path: Path) -> None:
    with HookServer(lambda _: 503) as server:
        found = command(engine, configured(server, tmp_path), "receivers", "test", "erp")
    assert found == (1, "erp: failed: status 503\n")


def test_an_unknown_receiver_is_an_error_that_lists_the_known_ones(engine: Engine, tmp_path: Path) -> None:
    with HookServer() as server:
        code, output = command(engine, configured(server, tmp_path), "receivers", "test", "nobody")
    assert code == 2
    assert "there is no receiver 'nobody'; configured: erp" in output


def test_what_was_given_up_is_listed_found_by_doctor_and_sent_again(engine: Engine, tmp_path: Path) -> None:
    with HookServer(lambda n: 422 if n == 1 else 204) as server:
        file = configured(server, tmp_path)
        assert doctor(engine, file) == {"found": "erp", "wrong": "False"}
        with sending(engine, hook(server)):
            publish(engine, change())
            until(lambda: states(engine, "erp") == [("dead", "status 422")], "given up")
        [listed] = json.loads(command(engine, file, "receivers", "list", "--format", "json")[1])
        assert (listed["name"], listed["dead"], listed["last_failure"]) == ("erp", 1, "status 422")
        assert "whsec_" not in command(engine, file, "receivers", "list")[1]
        assert doctor(engine, file) == {"found": "gave up notices: erp 1", "wrong": "True"}
        assert command(engine, file, "receivers", "retry", "erp") == (0, "1 notices will be sent again.\n")
        with sending(engine, hook(server)):
            until(lambda: states(engine, "erp") == [("delivered", "")], "delivered")
    assert doctor(engine, file)["wrong"] == "False"


def test_doctor_finds_a_receiver_that_accepts_nothing_and_a_wrong_file(engine: Engine, tmp_path: Path) -> None:
    with HookServer(lambda _: 503) as server:
        file = configured(server, tmp_path)
        with sending(engine, hook(server)):
            publish(engine, change())
            until(lambda: server.calls, "an attempt")
    with engine.begin() as connection:
        late = (datetime.now(UTC) - timedelta(minutes=30)).strftime("%Y-%m-%d %H:%M:%S.%f+00:00")
        connection.execute(text("UPDATE deliveries SET wake_at = :late"), {"late": late})
    assert doctor(engine, file)["found"] == "do not accept notices: erp"
    file.write_text("[[receivers]]\n")
    assert "UNVARNISHED_RECEIVERS_FILE: receivers[0]" in doctor(engine, file)["found"]
