"""Signing in to the internal listener: passwords, the start token, and where a browser continues."""

import html
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from statistics import median
from typing import Any

import pytest
from litestar.testing import TestClient
from pyotp.totp import TOTP
from sqlalchemy import Engine, text

from pipeline.app.administration.users import new_start_path
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.links import START_LINK_LASTS
from pipeline.domain.access.permissions import Role
from pipeline.domain.access.principal import LOCAL
from pipeline.store.acts import acts
from pipeline.store.users import users
from pipeline.web.auth import backoff, second_factor
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
    post,
    sign_in,
    token_of,
)
from tests.support.running.embedded import VAULT

BEARER = {"authorization": f"Bearer {START_TOKEN}"}
SESSION = "unvarnished_session"


@pytest.fixture
def client(runtime: EmbeddedRunner) -> Iterator[TestClient[Any]]:
    with listener(app_of(runtime)) as made:
        yield made


@pytest.fixture
def engine(runtime: EmbeddedRunner) -> Engine:
    return runtime.engine


def acts_of(engine: Engine) -> list[tuple[str, str, str]]:
    with engine.begin() as connection:
        found = acts.newest(connection, LOCAL, 100)
    return [(stored.act.who, stored.act.what.value, stored.act.subject) for stored in reversed(found)]


# The start token


def start_link(engine: Engine) -> str:
    with engine.begin() as connection:
        return new_start_path(connection)


def test_the_start_link_is_exchanged_for_a_cookie_once(engine: Engine, client: TestClient[Any]) -> None:
    link = start_link(engine)
    answer = client.get(link)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
    assert START_TOKEN not in cookie
    assert client.get("/metrics").status_code == 200, "the client keeps the cookie"
    assert client.get(link).headers["location"] == "/", "opened again in the browser that it signed in"
    client.cookies.clear()
    again = client.get(link)
    assert (again.status_code, "set-cookie" in again.headers) == (401, False)
    assert "This link does not work" in again.text


def test_a_start_link_ends(runtime: EmbeddedRunner) -> None:
    link = start_link(runtime.engine)
    late = Clock(datetime.now(UTC) + START_LINK_LASTS)
    with listener(app_of(runtime, late)) as client:
        assert client.get(link).status_code == 401


def test_two_browsers_that_open_a_start_link_at_once_are_not_both_signed_in(runtime: EmbeddedRunner) -> None:
    with ThreadPoolExecutor(2) as threads, listener(app_of(runtime)) as one, listener(app_of(runtime)) as other:
        for _ in range(5):
            link = start_link(runtime.engine)
            answers = list(threads.map(lambda browser, path=link: browser.get(path).status_code, (one, other)))
            assert sorted(answers) == [303, 401]
            one.cookies.clear()
            other.cookies.clear()


def test_no_route_takes_the_start_token_from_an_address(client: TestClient[Any]) -> None:
    for path in ("/sign-in", "/sign-in/start", "/", "/metrics", "/v1/report"):
        for name in ("token", "key", "code", "access_token"):
            answer = client.get(path, params={name: START_TOKEN})
            assert "set-cookie" not in answer.headers
            assert answer.status_code in ({200} if path == "/sign-in" else {401, 429})


def test_guesses_of_start_links_are_slowed_down_but_never_the_right_one(
    engine: Engine, client: TestClient[Any]
) -> None:
    codes = [client.get("/sign-in/start", params={"key": f"guess {n}"}).status_code for n in range(30)]
    assert set(codes) == {401, 429}
    assert codes[-1] == 429
    assert client.get(start_link(engine)).status_code == 303


def test_the_start_token_can_also_be_pasted(client: TestClient[Any]) -> None:
    page = client.get("/sign-in")
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
    assert 'name="token"' in page.text
    assert client.post("/sign-in", data={"token": START_TOKEN}).status_code == 303
    assert client.get("/metrics").status_code == 200


def test_an_invalid_token_is_refused(client: TestClient[Any]) -> None:
    for answer in (client.get("/sign-in/start", params={"key": "x"}), client.post("/sign-in", data={"token": "x"})):
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
    wrong = ({"authorization": "Bearer x"}, {"authorization": f"Basic {START_TOKEN}"}, {"cookie": f"{SESSION}=x"})
    for headers in ({}, *wrong):
        problem(client.get("/metrics", headers=headers), 401)
    assert client.get("/metrics", headers=HTML).headers["location"] == "/sign-in?next=%2Fmetrics", "where to sign in"
    problem(client.get("/openapi.json"), 401)


def test_a_generated_start_token_ends_with_the_first_admin(runtime: EmbeddedRunner, client: TestClient[Any]) -> None:
    client.get(start_link(runtime.engine))
    add_user(runtime.engine, "mia", Role.MANAGEMENT)
    add_user(runtime.engine, "ada", Role.ADMIN, password=False)
    assert client.get("/", headers=BEARER).status_code == 200
    assert client.get("/").status_code == 200
    with runtime.engine.begin() as connection:
        users.set_password(connection, "ada", "hash", at())
    problem(client.get("/", headers=BEARER), 401)
    problem(client.get("/"), 401)
    assert client.get(start_link(runtime.engine)).status_code == 401
    assert client.post("/sign-in", data={"token": START_TOKEN}).status_code == 401
    assert 'name="token"' not in client.get("/sign-in").text
    with listener(app_of(runtime, sign_in_token=START_TOKEN)) as configured:
        assert configured.get("/", headers=BEARER).status_code == 200, "a configured one goes on working"
        assert configured.get(start_link(runtime.engine)).status_code == 303


def test_the_metrics_token_opens_metrics_and_nothing_else(runtime: EmbeddedRunner) -> None:
    only = {"authorization": "Bearer the-token-of-prometheus"}
    with listener(app_of(runtime, metrics_token="the-token-of-prometheus")) as client:
        assert client.get("/metrics", headers=only).status_code == 200
        for path in ("/", "/v1/report", "/v1/version", "/users", "/account", "/openapi.json"):
            problem(client.get(path, headers=only), 403)


# Continuing


def test_a_link_to_a_page_survives_the_sign_in(engine: Engine, client: TestClient[Any]) -> None:
    add_user(engine, "mia")
    for path in ("/orders/SO%2F1%20%C3%A4?by=depot&from=2026-11-01", "/dashboard?by=carrier"):
        to_sign_in = client.get(path, headers=HTML)
        assert to_sign_in.status_code == 303
        page = client.get(to_sign_in.headers["location"]).text
        hidden = re.search('name="next" value="([^"]*)"', page)
        assert hidden is not None
        fields = {"next": html.unescape(hidden[1])}
        wrong = client.post("/sign-in", data=fields | {"token": "x"})
        assert hidden[0] in wrong.text, "still known after a mistake"
        assert client.post("/sign-in", data=fields | {"token": START_TOKEN}).headers["location"] == path
        assert sign_in(client, "mia", **fields).headers["location"] == path
        client.cookies.clear()
    assert client.get("/", headers=HTML).headers["location"] == "/sign-in"


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        " //evil.example",
        "evil.example",
        "javascript:alert(1)",
        "/x\r\nSet-Cookie: a=b",
        "/" + "x" * 5_000,
        "/\u2028/evil.example",
        "",
    ],
)
def test_the_sign_in_leads_to_no_other_site(client: TestClient[Any], elsewhere: str) -> None:
    fields = {"token": START_TOKEN, "next": elsewhere}
    assert client.post("/sign-in", data=fields).headers["location"] == "/"


# Passwords


def test_a_user_signs_in_with_name_and_password(engine: Engine, client: TestClient[Any]) -> None:
    add_user(engine, "Zoë", Role.OPERATIONS, "region=ARA")
    assert sign_in(client, "ZOË ").headers["location"] == "/"
    page = client.get("/account").text
    assert "Zoë" in page
    assert "region=ARA" in page
    assert acts_of(engine)[-1] == ("Zoë", "signed_in", "")


@pytest.mark.parametrize("state", ["invited", "disabled", "reset", "unknown"])
def test_who_may_not_sign_in_gets_the_same_answer(engine: Engine, client: TestClient[Any], state: str) -> None:
    add_user(engine, "mia")
    wrong = sign_in(client, "mia", "wrong password").text
    add_user(engine, "max", password=state != "invited")
    with engine.begin() as connection:
        if state == "disabled":
            users.disable(connection, "max", at())
        elif state == "reset":
            users.reset(connection, "max")
    answer = sign_in(client, "nobody" if state == "unknown" else "max")
    assert (answer.status_code, answer.text) == (401, wrong)
    assert "set-cookie" not in answer.headers
    subject = "" if state == "unknown" else "max"
    assert acts_of(engine)[-1] == ("", "sign_in_failed", subject), "a name that is no user's may be a password"


@pytest.mark.usefixtures("production_passwords")
def test_unknown_and_known_users_take_the_same_time(engine: Engine, client: TestClient[Any]) -> None:
    add_user(engine, "mia")
    with engine.begin() as connection:  # hashed as the product does it
        users.set_password(connection, "mia", second_hash(), at())
    seconds: dict[str, list[float]] = {"mia": [], "nobody": []}
    for attempt in range(5):
        for name, found in seconds.items():
            started = time.perf_counter()
            answer = sign_in(client, name, f"wrong password {attempt}")
            found.append(time.perf_counter() - started)
            assert answer.status_code == 401
    known, unknown = (median(found) for found in seconds.values())
    assert known < 2 * unknown
    assert unknown < 2 * known


@pytest.mark.usefixtures("production_passwords")
def test_a_hash_with_weaker_parameters_is_replaced_at_the_next_sign_in(engine: Engine, client: TestClient[Any]) -> None:
    add_user(engine, "mia")
    assert stored_hash(engine).startswith("$argon2id$v=19$m=8,t=1,p=1$")
    for _ in range(2):
        assert sign_in(client, "mia").status_code == 303
        assert stored_hash(engine).split("$")[:4] == second_hash().split("$")[:4]


def stored_hash(engine: Engine) -> str:
    with engine.begin() as connection:
        return users.get(connection, "mia").password_hash or ""


def second_hash() -> str:
    from argon2 import PasswordHasher

    return PasswordHasher().hash(PASSWORD)


def test_guesses_are_few_checks_and_the_rightful_user_enters(engine: Engine, client: TestClient[Any]) -> None:
    add_user(engine, "mia")
    assert sign_in(client, "mia").status_code == 303
    known = dict(client.cookies)
    client.cookies.clear()
    statuses = [sign_in(client, "mia", f"guess {n}", "203.0.113.9").status_code for n in range(200)]
    assert statuses.count(401) <= 20
    assert set(statuses) == {401, 429}
    answer = sign_in(client, "mia", address="203.0.113.9")
    assert answer.status_code == 429, "nor does the right password help who guesses"
    assert int(answer.headers["retry-after"]) > 0
    assert sign_in(client, "nobody", address="203.0.113.9").status_code == 429, "unknown users are no exception"
    failures = [act for act in acts_of(engine) if act[1] == "sign_in_failed"]
    assert len(failures) == statuses.count(401), "the record does not grow with every guess"
    for name, value in known.items():
        client.cookies.set(name, value)
    assert sign_in(client, "mia").status_code == 303, "this browser has signed in before"
    post(client, "/sign-out")
    assert sign_in(client, "mia", address="203.0.113.9").status_code == 303, "also from that address"


def test_ten_thousand_wrong_passwords_are_a_dozen_checks() -> None:
    now = [0.0]
    counts = backoff.Backoff(10, clock=lambda: now[0])
    checks = 0
    for number in range(10_000):  # from a hundred addresses, a hundred a second
        now[0] += 0.01
        keys = backoff.keys_of(f"198.51.100.{number % 100}", "mia", None)
        if not counts.wait(keys):
            checks += 1
            counts.count(keys)
    assert checks <= 17


def test_the_wait_doubles_and_is_forgotten() -> None:
    now = [0.0]
    counts = backoff.Backoff(3, clock=lambda: now[0])
    keys = backoff.keys_of("198.51.100.1", "mia", None)
    checks = 0
    while now[0] < 24 * 3600:  # somebody tries as often as they can for a day
        wait = counts.wait(keys)
        if wait:
            now[0] += wait
        else:
            checks += 1
            counts.count(keys)
    assert checks < 130, "ten thousand guesses take months"
    elsewhere = backoff.keys_of("203.0.113.7", "max", None)
    assert counts.wait(elsewhere) == 0
    assert counts.wait(backoff.keys_of("198.51.100.1", "mia", "device")) == 0
    now[0] += 3_601
    assert counts.wait(keys) == 0


def test_memory_of_failures_is_bounded() -> None:
    counts = backoff.Backoff(3)
    for number in range(30_000):
        counts.count(backoff.keys_of(f"address {number}", f"name {number}", None))
    assert len(counts._counts) == 20_000


def test_a_device_cookie_is_of_one_account_and_cannot_be_made(runtime: EmbeddedRunner) -> None:
    add_user(runtime.engine, "mia")
    add_user(runtime.engine, "max")
    app = app_of(runtime)
    with listener(app) as client:
        sign_in(client, "mia")
        for n in range(11):
            sign_in(client, "max", f"guess {n}")
        assert sign_in(client, "max").status_code == 429, "it says nothing about another account"
        client.cookies.set("unvarnished_device", "AAAA")
        for n in range(11):
            sign_in(client, "mia", f"guess {n}")
        assert sign_in(client, "mia").status_code == 429


# The second factor


def test_a_second_factor_is_needed_once_it_is_set_and_each_code_works_once(runtime: EmbeddedRunner) -> None:
    add_user(runtime.engine, "mia")
    clock = Clock(at(hours=4))
    with listener(app_of(runtime, clock)) as client:
        sign_in(client, "mia")
        offered = post(client, "/account/second-factor", current=PASSWORD)
        found = re.search(r'<code class="secret">([A-Z2-7]+)</code>', offered.text)
        assert found is not None
        totp = TOTP(found[1])
        wrong = client.post(
            "/account/second-factor",
            data={"csrf": csrf_of(offered.text), "current": PASSWORD, "secret": found[1], "code": "000000"},
        )
        assert wrong.status_code == 422
        code = totp.at(clock.moment)
        done = client.post(
            "/account/second-factor",
            data={"csrf": csrf_of(offered.text), "current": PASSWORD, "secret": found[1], "code": code},
        )
        assert done.status_code == 200
        assert "signing in needs a code" in done.text
        assert sign_in(client, "mia").status_code == 401
        assert sign_in(client, "mia", code=code).status_code == 401, "used up"
        clock.moment = at(hours=4.1)
        assert sign_in(client, "mia", "wrong password", code=totp.at(clock.moment)).status_code == 401
        assert sign_in(client, "mia", code=totp.at(clock.moment)).status_code == 303
        assert sign_in(client, "mia", code=totp.at(clock.moment)).status_code == 401, "used up"
        client.post("/account/second-factor", data={"csrf": csrf_of(client.get("/account").text), "remove": "1"})
        clock.moment = at(hours=4.2)
        assert sign_in(client, "mia").status_code == 401, "removing it needs the password, too"
        assert found[1] not in str(stored_factor(runtime.engine))
        sign_in(client, "mia", code=totp.at(clock.moment))
        assert post(client, "/account/second-factor", current=PASSWORD, remove="1").status_code == 200
        assert sign_in(client, "mia").status_code == 303


def stored_factor(engine: Engine) -> Any:
    with engine.begin() as connection:
        sealed = connection.execute(text("SELECT totp FROM users")).scalar_one()
    assert VAULT.open_bytes(sealed)
    return sealed


def test_codes_of_neighbouring_steps_are_accepted_and_others_not() -> None:
    secret = second_factor.new_secret()
    totp, now = TOTP(secret), at(hours=1)
    step = int(now.timestamp()) // 30
    for offset, expected in ((-2, None), (-1, step - 1), (0, step), (1, step + 1), (2, None)):
        assert second_factor.matching_step(secret, totp.generate_otp(step + offset), now) == expected
    for wrong in ("", "12345", "1234567", "abcdef", "١٢٣٤٥٦"):
        assert second_factor.matching_step(secret, wrong, now) is None


# Forged requests


def test_a_page_of_another_origin_cannot_use_the_sign_in(client: TestClient[Any]) -> None:
    for origin, status in (("http://127.0.0.1:8080", 403), ("null", 403), (HOME, 401)):
        answer = client.post("/sign-in", data={"token": "x"}, headers={"origin": origin})
        assert answer.status_code == status


def test_an_api_token_acts_as_its_user_without_a_form_token(runtime: EmbeddedRunner, client: TestClient[Any]) -> None:
    add_user(runtime.engine, "ada", Role.ADMIN)
    header = token_of(runtime.engine, "ada")
    assert client.get("/users", headers=header).status_code == 200
    answer = client.post("/users", data={"name": "mia", "role": "management"}, headers=header)
    assert answer.status_code == 200
    assert ("ada", "user_added", "mia") in acts_of(runtime.engine)
    problem(client.get("/", headers=header), 403)
