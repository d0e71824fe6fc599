"""`unvarnished up` as a process: its ports, signals and errors."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.domain.events.contract import OWN_SOURCE
from pipeline.store.db.engine import connect, reading
from pipeline.store.people import api_keys
from pipeline.store.schema.journal import journal
from pipeline.store.schema.upgrade import migrate
from tests.support.builders import at, completed, scanned
from tests.support.limits import PATIENCE
from tests.support.paths import ROOT
from tests.support.provider import ACCOUNT, NUMBER, Provider
from tests.support.provider import TOKEN as SIGNING
from tests.support.running.process import TOKEN, Up, environment

pytestmark = pytest.mark.e2e


def unvarnished(folder: Path, *arguments: str) -> str:
    """The output of the command, run in this process."""
    done = CliRunner().invoke(app, arguments, env={"UNVARNISHED_DATA_DIR": str(folder)}, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture
def key(folder: Path) -> str:
    url = f"sqlite:///{folder / 'unvarnished.db'}"
    migrate(url)
    engine = connect(url)
    with engine.begin() as connection:
        made = api_keys.create(connection, "erp", False, at())
    engine.dispose()
    return made


def stored(folder: Path) -> set[str]:
    """The ids of all events of other systems in the journal."""
    engine = connect(f"sqlite:///{folder / 'unvarnished.db'}")
    try:
        with reading(engine) as connection:
            return set(connection.execute(select(journal.c.id).where(journal.c.source != OWN_SOURCE)).scalars())
    finally:
        engine.dispose()


def test_events_are_accepted_and_sigterm_stops_it(start: Callable[..., Up], folder: Path, key: str) -> None:
    up = start()
    assert "/sign-in/start?key=" in up.output
    assert TOKEN not in up.output, "a configured token is never printed"
    assert up.get("/readyz")[0] == 200
    assert up.post(key, completed()) == (202, {"new": 1, "duplicates": 0})
    assert up.post(key, scanned(time=at(hours=2))) == (202, {"new": 1, "duplicates": 0})
    assert b'unvarnished_processed_events_total{type="order.completed"} 1.0' in up.get("/metrics")[1]
    idle = socket.create_connection(("127.0.0.1", up.public))
    with idle:
        assert up.end(signal.SIGTERM) == 0
        assert idle.recv(1) == b"", "and every connection with it"
    assert stored(folder) == {"SO-1:completed", "SO-1:delivered::021100"}


def test_commands_without_web_do_not_load_the_web_server() -> None:
    heavy = {"alembic", "babel", "litestar", "matplotlib", "twilio", "uvicorn"}
    code = f"import sys, pipeline.cli; print({heavy} & set(sys.modules) or 'none')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "none\n"


def test_keys_are_created_listed_without_their_secret_and_revoked(folder: Path) -> None:
    key = unvarnished(folder, "keys", "create", "erp", "--history").strip()
    unvarnished(folder, "keys", "revoke", "erp")
    output = unvarnished(folder, "keys", "list", "--format", "json")
    (listed,) = json.loads(output)
    assert (listed["name"], listed["history"]) == ("erp", True)
    assert listed["revoked_at"] is not None
    assert key not in output
    assert api_keys.digest_of(key) not in output


def test_after_a_kill_every_acknowledged_event_is_stored(start: Callable[..., Up], folder: Path, key: str) -> None:
    up = start()
    acknowledged: list[str] = []
    enough = threading.Semaphore(0)

    def _send(client: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", up.public, timeout=PATIENCE)
        try:
            for number in range(10_000):
                event_id = f"{client}:{number}"
                if up.post(key, completed(f"SO-{event_id}", event_id=event_id), connection)[0] == 202:
                    acknowledged.append(event_id)
                    enough.release()
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()

    clients = [threading.Thread(target=_send, args=(number,)) for number in range(8)]
    for client in clients:
        client.start()
    for _ in range(150):
        assert enough.acquire(timeout=PATIENCE)
    up.end(signal.SIGKILL)
    for client in clients:
        client.join(PATIENCE)
    assert len(acknowledged) >= 150
    again = start()
    assert again.get("/readyz")[0] == 200
    assert again.post(key, completed(f"SO-{acknowledged[-1]}", event_id=acknowledged[-1])) == (
        202,
        {"new": 0, "duplicates": 1},
    )
    assert again.end(signal.SIGINT) == 0
    assert set(acknowledged) <= stored(folder)


def test_a_text_whose_webhook_was_lost_is_found_by_polling(start: Callable[..., Up], tmp_path: Path) -> None:
    with Provider(tmp_path / "posts") as provider:
        provider.text("Where is my order?", "+447700900123", datetime.now(UTC) - timedelta(minutes=10))
        up = start(
            NOTIFIER="twilio_sms",
            TWILIO_URL=provider.url,
            TWILIO_ACCOUNT_SID=ACCOUNT,
            TWILIO_AUTH_TOKEN=SIGNING,
            TWILIO_FROM=NUMBER,
        )
        over = time.monotonic() + PATIENCE
        while b"unvarnished_inbound_found_total 1.0" not in up.get("/metrics")[1]:
            assert time.monotonic() < over, "it was not found"
        assert up.end(signal.SIGTERM) == 0


def test_slow_endless_and_oversized_requests_are_cut_off(start: Callable[..., Up], key: str) -> None:
    up = start(
        HEADER_TIMEOUT_SECONDS="0.5", BODY_TIMEOUT_SECONDS="0.5", MAX_CONNECTIONS="10", MAX_EVENTS_BODY_BYTES="100000"
    )
    head = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + key.encode() + b"\r\n"
    beginnings = [
        b"",
        b"POST /v1/eve",
        head,
        head + b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
        head + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    ]
    for beginning in beginnings:
        with socket.create_connection(("127.0.0.1", up.public), PATIENCE) as client:
            client.sendall(beginning)
            assert until_closed(client) in (b"", None), beginning
    with socket.create_connection(("127.0.0.1", up.public), PATIENCE) as client:
        client.sendall(head + b"X: " + b"x" * 20_000)
        assert (until_closed(client) or b"").startswith(b"HTTP/1.1 431 ")
    with socket.create_connection(("127.0.0.1", up.public), PATIENCE) as client:
        client.sendall(b"NOT HTTP\r\n\r\n")
        output = until_closed(client) or b""
        assert output.startswith(b"HTTP/1.1 400 ")
        assert b"application/problem+json" in output
        assert b"nosniff" in output
    crowd = [socket.create_connection(("127.0.0.1", up.public), PATIENCE) for _ in range(11)]
    assert until_closed(crowd[-1]) in (b"", None)
    for client in crowd:
        client.close()
    huge_bodies_are_refused(up, head + b"Connection: close\r\nContent-Type: application/json\r\n")
    assert up.post(key, completed())[0] == 202


def huge_bodies_are_refused(up: Up, head: bytes) -> None:
    """Large bodies are refused before they are sent, or during it."""
    with socket.create_connection(("127.0.0.1", up.public), PATIENCE) as client:
        client.sendall(head + b"Content-Length: 5000000000\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")
    with socket.create_connection(("127.0.0.1", up.public), PATIENCE) as client:
        client.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n" + (b"2710\r\n" + b" " * 10_000 + b"\r\n") * 15)
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


def refused(folder: Path, **settings: str) -> str:
    """The error of an `up` that cannot start: a sentence without a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "up"],
        cwd=ROOT,
        env=environment(folder, **settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_an_address_in_use_is_reported_in_a_sentence(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        output = refused(folder, PUBLIC_PORT=str(other.getsockname()[1]))
    assert output.startswith("unvarnished: cannot listen on 127.0.0.1 port")
    assert "set UNVARNISHED_PUBLIC_PORT or UNVARNISHED_PUBLIC_HOST" in output


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("PUBLIC_PORT", "http", "UNVARNISHED_PUBLIC_PORT: "),
        ("PUBLIC_PORT", "80800", "UNVARNISHED_PUBLIC_PORT: "),
        ("INTERNAL_PORT", "-1", "UNVARNISHED_INTERNAL_PORT: "),
        ("PUBLIC_HOST", "no.such.host.invalid", "UNVARNISHED_PUBLIC_PORT or UNVARNISHED_PUBLIC_HOST"),
        ("PUBLIC_PROT", "8080", "PUBLIC_PROT is not a setting; did you mean UNVARNISHED_PUBLIC_PORT?"),
        (
            "DATABASE_URL",
            "postgres://u:secret@h/d",
            "UNVARNISHED_DATABASE_URL begins with postgres://; use postgresql+",
        ),
        ("DATABASE_URL", "postgresql://u:secret@h/d", "UNVARNISHED_DATABASE_URL begins with postgresql://; use"),
        ("DATABASE_URL", "mysql://u:secret@h/d", "UNVARNISHED_DATABASE_URL begins with mysql://; use"),
        ("DATABASE_URL", "postgresql+psycopg://u:secret@h:port/d", "UNVARNISHED_DATABASE_URL is not a URL; use"),
        ("DATABASE_URL", "secret.db", "UNVARNISHED_DATABASE_URL is not a URL; use"),
        ("DATABASE_URL", "postgresql+psycopg://u:secret@127.0.0.1:1/d", "UNVARNISHED_DATABASE_URL"),
    ],
)
def test_a_wrong_setting_is_reported_in_a_sentence_that_names_it(
    folder: Path, setting: str, value: str, message: str
) -> None:
    error = refused(folder, **{setting: value})
    assert error.startswith("unvarnished: ")
    assert error.count("\n") == 1
    assert message in error
    assert "secret" not in error


def test_a_folder_that_cannot_be_created_is_reported_in_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for more in ({}, {"DATABASE_URL": f"sqlite:///{tmp_path / 'one.db'}"}):  # for the database, and for the key
        output = refused(file / "data", **more)
        assert output.startswith(
            f"unvarnished: {file / 'data'}: Not a directory; choose another folder with UNVARNISHED_DATA_DIR"
        )


def until_closed(client: socket.socket) -> bytes | None:
    """The bytes received until the server closes the connection; None: it reset the connection."""
    output = b""
    try:
        while more := client.recv(65_536):
            output += more
    except ConnectionResetError:
        return None
    return output
