"""Sessions: a new id at every sign-in, two limits, forms that cannot be forged, cookies behind HTTPS."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from litestar import Request, get, post
from litestar.testing import TestClient

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.permissions import Permission, Role
from pipeline.store.users import users
from pipeline.web.auth.access import needs, principal_of
from tests.support.builders import at
from tests.support.requests.ingesting import problem
from tests.support.requests.installation import Clock
from tests.support.requests.users import (
    HOME,
    HTML,
    PASSWORD,
    START_TOKEN,
    add_user,
    app_of,
    csrf_of,
    listener,
    sign_in,
)
from tests.support.requests.users import post as send

SESSION = "unvarnished_session"


@get("/who", opt=needs(Permission.OWN_ACCOUNT), sync_to_thread=False)
def who(request: Request[Any, Any, Any]) -> str:
    return principal_of(request).name


@post("/change", opt=needs(Permission.OWN_ACCOUNT), sync_to_thread=False)
def change() -> str:
    return "changed"


def both(_: object) -> list[Any]:
    return [who, change]


@pytest.fixture
def clock() -> Clock:
    return Clock(at(hours=4))


@pytest.fixture
def client(runtime: EmbeddedRunner, clock: Clock) -> Iterator[TestClient[Any]]:
    add_user(runtime.engine, "mia")
    with listener(app_of(runtime, clock, both)) as made:
        yield made


def test_handlers_get_who_is_signed_in(client: TestClient[Any]) -> None:
    assert client.get("/who", headers={"authorization": f"Bearer {START_TOKEN}"}).text == "sign-in token"
    problem(client.get("/who"), 401)
    sign_in(client, "mia")
    assert client.get("/who").text == "mia"


def test_the_id_of_before_the_sign_in_is_dead_after_it(client: TestClient[Any]) -> None:
    sign_in(client, "mia")
    former = client.cookies[SESSION]
    sign_in(client, "mia")
    assert client.cookies[SESSION] != former
    problem(client.get("/who", headers={"cookie": f"{SESSION}={former}"}), 401)
    client.cookies.clear()
    client.cookies.set(SESSION, "an-id-that-somebody-planted")
    sign_in(client, "mia")
    problem(client.get("/who", headers={"cookie": f"{SESSION}=an-id-that-somebody-planted"}), 401)


def test_signing_out_ends_this_session_and_everywhere_all_of_them(
    runtime: EmbeddedRunner, client: TestClient[Any]
) -> None:
    add_user(runtime.engine, "max")
    ids: dict[str, str] = {}
    for name in ("mia", "mia", "max", "mia"):
        client.cookies.clear()
        sign_in(client, name)
        ids[f"{name} {len(ids)}"] = client.cookies[SESSION]

    def alive() -> list[str]:
        headers = [(name, {"cookie": f"{SESSION}={value}"}) for name, value in ids.items()]
        client.cookies.clear()
        return [name for name, header in headers if client.get("/who", headers=header).status_code == 200]

    last = ids["mia 3"]
    assert len(alive()) == 4
    client.cookies.set(SESSION, last)
    assert send(client, "/sign-out").headers["location"] == "/sign-in"
    assert alive() == ["mia 0", "mia 1", "max 2"]
    client.cookies.set(SESSION, ids["mia 0"])
    send(client, "/sign-out", everywhere="1")
    assert alive() == ["max 2"]


def test_a_session_ends_when_it_is_idle_or_old(client: TestClient[Any], clock: Clock) -> None:
    sign_in(client, "mia")
    clock.moment += timedelta(minutes=479)
    assert client.get("/who").status_code == 200
    clock.moment += timedelta(minutes=479)
    assert client.get("/v1/version").status_code == 200, "a page that updates itself"
    clock.moment += timedelta(minutes=2)
    problem(client.get("/who"), 401)
    sign_in(client, "mia")
    for _ in range(168):
        clock.moment += timedelta(hours=1)
        assert client.get("/who").status_code == 200
    clock.moment += timedelta(hours=1)
    problem(client.get("/who"), 401)


def test_a_change_of_the_user_counts_from_the_next_request_on(runtime: EmbeddedRunner, client: TestClient[Any]) -> None:
    sign_in(client, "mia")
    assert client.get("/").status_code == 200
    with runtime.engine.begin() as connection:
        users.change(connection, "mia", Role.ADMIN, users.get(connection, "mia").scope)
    problem(client.get("/"), 403)
    with runtime.engine.begin() as connection:
        users.disable(connection, "mia", at())
    problem(client.get("/who"), 401)


def test_a_form_of_another_page_changes_nothing(client: TestClient[Any]) -> None:
    sign_in(client, "mia")
    mine = csrf_of(client.get("/account").text)
    assert client.post("/change", data={"csrf": mine}).status_code == 201
    assert client.post("/change", headers={"x-csrf-token": mine}).status_code == 201
    assert client.post("/change", data={"csrf": mine}, headers={"origin": HOME}).status_code == 201
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:8080"},
        {"origin": "null"},
        {"origin": "null", "sec-fetch-site": "cross-site"},
    ):
        problem(client.post("/change", data={"csrf": mine}, headers=headers), 403)
    for fields in ({}, {"csrf": ""}, {"csrf": "x" * 64}, {"csrf": "é"}):
        problem(client.post("/change", data=fields), 403)
    problem(client.post("/change", content=b"\xff\xfe"), 403)
    sign_in(client, "mia")
    problem(client.post("/change", data={"csrf": mine}), 403)


def test_a_bearer_token_needs_no_form_token(client: TestClient[Any]) -> None:
    headers = {"authorization": f"Bearer {START_TOKEN}", "origin": "https://any.example"}
    assert client.post("/change", headers=headers).status_code == 201


def test_behind_https_cookies_are_secure_and_of_this_host(runtime: EmbeddedRunner) -> None:
    add_user(runtime.engine, "mia")
    app = app_of(runtime, None, both, internal_url="https://unvarnished.example.com/")
    with listener(app, url="http://10.0.0.5:8081") as client:
        cookies = sign_in(client, "mia").headers.get_list("set-cookie")
        assert len(cookies) == 2
        for cookie in cookies:
            assert cookie.startswith("__Host-unvarnished_")
            assert {"HttpOnly", "SameSite=lax", "Path=/", "Secure"} <= set(cookie.split("; "))
            assert "domain" not in cookie.lower()
        session_id = re.findall("__Host-unvarnished_session=([^;]+)", cookies[0])[0]
        header = {"cookie": f"__Host-unvarnished_session={session_id}"}
        csrf = csrf_of(client.get("/account", headers=header | HTML).text)
        for origin, status in (
            ("https://unvarnished.example.com", 201),
            ("http://unvarnished.example.com", 403),
            ("http://10.0.0.5:8081", 403),
        ):
            answer = client.post("/change", data={"csrf": csrf}, headers=header | {"origin": origin})
            assert answer.status_code == status, origin


def test_a_new_password_ends_all_sessions_but_this_one(client: TestClient[Any]) -> None:
    sign_in(client, "mia")
    other = client.cookies[SESSION]
    client.cookies.clear()
    sign_in(client, "mia")
    new = "another horse, another staple"
    for wrong in (
        {"current": "wrong", "password": new, "repeated": new},
        {"current": PASSWORD, "password": new, "repeated": new + "x"},
        {"current": PASSWORD, "password": "short", "repeated": "short"},
        {"current": PASSWORD, "password": "aaaaaaaaaaaaaa", "repeated": "aaaaaaaaaaaaaa"},
    ):
        assert send(client, "/account/password", **wrong).status_code == 422
    assert send(client, "/account/password", current=PASSWORD, password=new, repeated=new).status_code == 303
    assert client.get("/who").text == "mia"
    problem(client.get("/who", headers={"cookie": f"{SESSION}={other}"}), 401)
    assert sign_in(client, "mia").status_code == 401
    assert sign_in(client, "mia", new).status_code == 303


def test_the_start_token_has_no_password(client: TestClient[Any]) -> None:
    client.post("/sign-in", data={"token": START_TOKEN})
    assert "Change the password" not in client.get("/account").text
    problem(send(client, "/account/password", current="x"), 403)
