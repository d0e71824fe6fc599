"""Corrections over the read API: proposed by one user, confirmed by another, and shown while they wait."""

from collections.abc import Iterator
from typing import Any

import pytest
from litestar.testing import TestClient
from typer.testing import CliRunner

from pipeline.cli import app as command
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.permissions import Role
from tests.support.builders import answered, asked, at, completed, scanned
from tests.support.requests.ingesting import problem
from tests.support.requests.users import add_user, app_of, listener, token_of
from tests.support.running.embedded import ingest


@pytest.fixture
def client(runtime: EmbeddedRunner) -> Iterator[TestClient[Any]]:
    ingest(runtime, completed(), scanned(time=at(hours=1)), asked("SO-1", at(hours=2)))
    ingest(runtime, answered(time=at(hours=3), arrival="late"))
    add_user(runtime.engine, "mia", Role.MANAGEMENT)
    add_user(runtime.engine, "rolf", Role.OPERATIONS, "depot=Lyon")
    add_user(runtime.engine, "oda", Role.OPERATIONS, "depot=Lille")
    with listener(app_of(runtime)) as made:
        yield made


def test_a_correction_is_proposed_and_confirmed(
    client: TestClient[Any], runtime: EmbeddedRunner, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rolf, mia, oda = (token_of(runtime.engine, name) for name in ("rolf", "mia", "oda"))
    wish = {"order_id": "SO-1", "contact_id": "ana", "reading": {"arrival": "on_time"}}
    problem(client.post("/v1/corrections", json=wish, headers=oda), 404)
    for wrong, status in (
        (wish | {"contact_id": "bob"}, 409),
        (wish | {"reading": {}}, 409),
        (wish | {"reading": {"arrival": "soon"}}, 400),
        (wish | {"reading": {"score": {"value": 9, "scale": 5}}}, 409),
    ):
        problem(client.post("/v1/corrections", json=wrong, headers=rolf), status)
    proposed = client.post("/v1/corrections", json=wish, headers=rolf).json()
    assert proposed["outcome"] == "waits_for_second"
    for reader, number in ((rolf, 1), (mia, 1), (oda, 0)):
        assert len(client.get("/v1/corrections", headers=reader).json()) == number
        assert ("1 correction of an answer waits" in client.get("/dashboard", headers=reader).text) == bool(number)
    monkeypatch.setenv("UNVARNISHED_DATABASE_URL", database_url)
    assert "1 correction waits for a second user" in " ".join(CliRunner().invoke(command, ["report"]).output.split())
    confirm = f"/v1/corrections/{proposed['id']}/confirm"
    problem(client.post(confirm, headers=oda), 404)
    problem(client.post(confirm, headers=rolf), 409)
    assert client.post(confirm, headers=mia).status_code == 204
    problem(client.post(confirm, headers=mia), 409)
    runtime.process_pending()
    assert client.get("/v1/orders/SO-1", headers=rolf).json()["verdict"] == "agrees"
    assert client.get("/v1/corrections", headers=mia).json() == []


def test_the_command_waits_for_a_user_or_seven_days(
    client: TestClient[Any], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNVARNISHED_DATABASE_URL", database_url)
    monkeypatch.setenv("UNVARNISHED_SEGMENT_LEVELS", "depot:20,carrier:10")
    monkeypatch.setenv("UNVARNISHED_MASTER_KEY", bytes(range(32)).hex())

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(command, ["corrections", *arguments])

    done = run("propose", "SO-1", "ana", "--arrival", "on_time")
    assert "a user without a stake in the order has to confirm it" in done.output, done.output
    assert "order SO-1, contact ana, by local" in run("list").output
    assert "no order 'SO-9' found" in run("propose", "SO-9", "ana", "--arrival", "late").output
    assert "reading: mentions nothing" in run("propose", "SO-1", "ana").output
    assert run("propose", "SO-1", "ana", "--arrival", "soon").exit_code == 2
