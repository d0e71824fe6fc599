"""The commands about users and acts, and that every command is recorded."""

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer
from litestar.testing import TestClient
from typer.testing import CliRunner

from pipeline.cli import app as command
from pipeline.cli.permissions import PERMISSIONS, start_command
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.permissions import Permission
from tests.support.builders import at
from tests.support.requests.installation import Clock
from tests.support.requests.users import PASSWORD, app_of, listener, sign_in
from tests.support.requests.users import post as send


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("UNVARNISHED_DATABASE_URL", database_url)

    def _run(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(command, arguments)
        assert done.exit_code == code, done.output
        return done.output.strip()

    return _run


def commands(group: Any, path: str = "") -> set[str]:
    found = set()
    for name, each in group.commands.items():
        inner = f"{path} {name}".strip()
        if hasattr(each, "commands"):
            found |= commands(each, inner)
        if not hasattr(each, "commands") or each.invoke_without_command:
            found.add(inner)
    return found


def test_every_command_names_its_permission_and_another_does_not_start() -> None:
    assert commands(typer.main.get_command(command)) == set(PERMISSIONS)
    assert {name for name in PERMISSIONS.values() if name is not None} <= set(Permission)
    with pytest.raises(LookupError, match="names no permission"):
        start_command("brew coffee")


def accept(client: TestClient[Any], link: str, password: str = PASSWORD) -> Any:
    parts = urlsplit(link)
    opened = client.get(f"{parts.path}?{parts.query}")
    assert (opened.status_code, opened.headers["location"]) == (303, "/welcome"), opened.text
    assert "key" not in opened.headers["location"]
    return client.post("/welcome", data={"password": password, "repeated": password})


def test_an_invitation_is_accepted_once(run: Any, runtime: EmbeddedRunner) -> None:
    link = run("users", "add", "ada", "--role", "admin")
    assert link.startswith("http://127.0.0.1:8081/invitation?key=")
    clock = Clock(at(days=-30))  # long before the machine's time, by which the command counts
    with listener(app_of(runtime, clock)) as client:
        path = link.removeprefix("http://127.0.0.1:8081")
        client.get(path)
        page = client.get("/welcome")
        assert "ada" in page.text
        for password, repeated in (
            ("short", "short"),
            (PASSWORD, PASSWORD + "x"),
            ("aaaaaaaaaaaaaa", "aaaaaaaaaaaaaa"),
        ):
            answer = client.post("/welcome", data={"password": password, "repeated": repeated})
            assert answer.status_code == 422
        answer = client.post("/welcome", data={"password": PASSWORD, "repeated": PASSWORD})
        assert answer.headers["location"] == "/"
        assert client.get("/users").status_code == 200, "signed in at once"
        client.cookies.clear()
        assert client.get(path).status_code == 404
        assert client.get("/welcome").status_code == 404
        assert client.post("/welcome", data={"password": PASSWORD, "repeated": PASSWORD}).status_code == 404
        assert sign_in(client, "ada").status_code == 303


def test_a_link_and_its_exchange_end(run: Any, runtime: EmbeddedRunner) -> None:
    from datetime import UTC, datetime, timedelta

    real = datetime.now(UTC)
    clock = Clock(real)
    with listener(app_of(runtime, clock)) as client:
        path = run("users", "add", "ada", "--role", "admin").removeprefix("http://127.0.0.1:8081")
        clock.moment = real + timedelta(hours=73)
        assert client.get(path).status_code == 404
        path = run("users", "reset", "ada").removeprefix("http://127.0.0.1:8081")
        clock.moment = real + timedelta(hours=1)
        assert client.get(path).status_code == 303
        clock.moment = real + timedelta(hours=3)
        assert client.get("/welcome").status_code == 404


def test_a_command_prints_a_new_start_link_until_an_admin_has_signed_in(
    run: Any, runtime: EmbeddedRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listener(app_of(runtime, Clock(at(days=-30)))) as client:
        link = run("users", "link")
        assert link.startswith("http://127.0.0.1:8081/sign-in/start?key=")
        assert client.get(link).headers["location"] == "/"
        assert client.get("/users").status_code == 200
        accept(client, run("users", "add", "ada", "--role", "admin"))
    assert "users reset NAME" in run("users", "link", code=2)
    monkeypatch.setenv("UNVARNISHED_SIGN_IN_TOKEN", "a-configured-token-goes-on")
    monkeypatch.setenv("UNVARNISHED_INTERNAL_URL", "https://inside.example.com")
    assert run("users", "link").startswith("https://inside.example.com/sign-in/start?key=")


def test_users_are_changed_by_commands(run: Any, runtime: EmbeddedRunner) -> None:
    link = run("users", "add", "Rolf", "--role", "operations", "--scope", "region=ARA", "--scope", "depot=Lyon")
    with listener(app_of(runtime, Clock(at(days=-30)))) as client:
        assert accept(client, link).status_code == 303
        assert run("users", "add", "rolf", "--role", "admin", code=2)
        found = json.loads(run("users", "list", "--format", "json"))
        assert found[0] | {"created_at": ""} == {
            "name": "Rolf",
            "role": "operations",
            "scope": ["region=ARA", "depot=Lyon"],
            "state": "active",
            "second_factor": False,
            "identity_provider": False,
            "created_at": "",
        }
        token = run("users", "token", "rolf", "--label", "bi", "--scope", "depot=Lyon", "--days", "1")
        assert token.startswith("unvt_")
        header = {"authorization": f"Bearer {token}"}
        assert client.get("/v1/report", headers=header).status_code == 200
        assert "would open more" in run("users", "token", "rolf", "--label", "x", "--role", "admin", code=2)
        run("users", "token", "rolf", "--label", "bi", "--revoke")
        assert client.get("/v1/report", headers=header).status_code == 401
        run("users", "disable", "ROLF")
        assert client.get("/account").status_code == 401
        run("users", "enable", "rolf")
        assert sign_in(client, "rolf").status_code == 303
        run("users", "change", "rolf", "--role", "auditor")
        assert client.get("/orders/SO-1").status_code == 403
        assert client.get("/acts").status_code == 200
        assert accept(client, run("users", "reset", "rolf"), "another good password").status_code == 303
        assert sign_in(client, "rolf").status_code == 401
    for wrong in (["token", "nobody", "--label", "x"], ["change", "nobody", "--role", "admin"], ["disable", "nobody"]):
        assert "there is no user named 'nobody'" in run("users", *wrong, code=2)
    assert "is not one of management, " in run("users", "add", "x", "--role", "boss", code=2)
    assert "--scope: " in run("users", "add", "x", "--role", "admin", "--scope", "region=ARA", code=2)


def test_every_command_and_act_is_recorded_by_whom(run: Any, runtime: EmbeddedRunner) -> None:
    link = run("users", "add", "ada", "--role", "admin")
    run("report")
    run("keys", "create", "erp-lyon")
    with listener(app_of(runtime, Clock(at(days=-30)))) as client:
        accept(client, link)
        send(client, "/users", "/users", name="mia", role="management", scope="")
        problem = send(client, "/users", "/users", name="x", role="management", scope="region=ARA")
        assert problem.status_code == 422
        assert "has no scope" in problem.text
        send(client, "/users/change", "/users", name="mia", do="disable")
        send(client, "/users/change", "/users", name="ada", do="disable")
        invited = send(client, "/users/change", "/users", name="mia", do="reset")
        assert "http://127.0.0.1:8081/invitation?key=" in invited.text
    found = json.loads(run("acts", "--format", "json"))
    assert [(act["who"], act["what"], act["subject"]) for act in reversed(found)] == [
        ("local", "command_run", "users add"),
        ("local", "user_added", "ada"),
        ("local", "command_run", "report"),
        ("local", "command_run", "keys create"),
        ("ada", "password_changed", "ada"),
        ("ada", "signed_in", ""),
        ("ada", "user_added", "mia"),
        ("ada", "user_disabled", "mia"),
        ("ada", "user_reset", "mia"),
        ("local", "command_run", "acts"),
    ]
    assert {act["origin"] for act in found if act["who"] == "ada"} == {"198.51.100.1"}
    assert found[-2]["details"] == {"role": "admin", "scope": "everything"}
    only = json.loads(run("acts", "--who", "ada", "--most", "2", "--format", "json"))
    assert [act["what"] for act in only] == ["user_reset", "user_disabled"]
    assert "user disabled" in run("acts", "--who", "ada")
