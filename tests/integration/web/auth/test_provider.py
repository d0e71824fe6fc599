"""Signing in with an identity provider: a real one, and one that forges everything it can."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.permissions import Role
from pipeline.domain.access.principal import LOCAL
from pipeline.settings import Settings
from pipeline.store.acts import acts
from pipeline.store.users import users
from pipeline.web.auth import provider as provider_module
from pipeline.web.auth import provider_sign_in
from pipeline.web.auth.provider import Provider
from pipeline.web.http.server import internal_app
from tests.support.builders import at
from tests.support.identity.forging import CLIENT, ISSUER, ForgingProvider
from tests.support.identity.real import SECRET, RealProvider, provider
from tests.support.requests.installation import Clock, services
from tests.support.requests.users import HOME, START_TOKEN, add_user, listener, token_of
from tests.support.running.embedded import embedded

RETURN = f"{HOME}/sign-in/provider/return"
ROLES = {
    "boss": "management",
    "ara": {"role": "operations", "scope": ["region=ARA"]},
    "it": {"role": "admin"},
}


def app_of(runtime: EmbeddedRunner, clock: Clock, **settings: Any) -> Litestar:
    known = {"oidc_client_id": CLIENT, "oidc_roles": ROLES} | settings
    return internal_app(services(runtime, clock, **known), START_TOKEN)


def users_of(runtime: EmbeddedRunner) -> dict[str, tuple[Role, list[str]]]:
    with runtime.engine.begin() as connection:
        return {user.name: (user.role, user.scope.texts()) for user in users.all_users(connection)}


def failures(runtime: EmbeddedRunner) -> list[str]:
    with runtime.engine.begin() as connection:
        found = [stored.act for stored in acts.newest(connection, LOCAL, 50)]
    return [act.details["because"] for act in reversed(found) if act.what == "sign_in_failed"]


# A real provider


class Browser:
    """Somebody with a browser, an account at the provider, and this product."""

    def __init__(self, client: TestClient[Any], at_provider: RealProvider) -> None:
        self.client = client
        self._provider = at_provider

    def leave(self, following: str = "/") -> str:
        left = self.client.get("/sign-in/provider", params={"next": following})
        assert left.status_code == 303, left.text
        url: str = left.headers["location"]
        return url

    def come_back(self, url: str) -> Any:
        return self.client.get(url.removeprefix(HOME))

    def sign_in(self, subject: str, following: str = "/") -> Any:
        return self.come_back(self._provider.sign_in(self.leave(following), subject))


@pytest.fixture(scope="module", params=[True, False], ids=["in the ID token", "in the user info"])
def at_provider(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealProvider]:
    with provider(tmp_path_factory.mktemp("provider"), RETURN, request.param) as started:
        yield started


@pytest.fixture
def real_clock() -> Clock:
    from datetime import UTC, datetime

    return Clock(datetime.now(UTC))


@pytest.fixture
def browser(runtime: EmbeddedRunner, at_provider: RealProvider, real_clock: Clock) -> Iterator[Browser]:
    app = app_of(runtime, real_clock, oidc_issuer=at_provider.issuer, oidc_client_secret=SECRET)
    with listener(app) as client:
        yield Browser(client, at_provider)


def test_a_user_of_the_provider_signs_in_with_the_role_of_the_group(
    browser: Browser, at_provider: RealProvider, runtime: EmbeddedRunner
) -> None:
    at_provider.set_account("s-1", preferred_username="rolf", groups=["everybody", "ara"])
    assert 'action="/sign-in/provider"' in browser.client.get("/sign-in").text
    back = browser.sign_in("s-1", "/orders?q=SO-1")
    assert (back.status_code, back.headers["location"]) == (303, "/orders?q=SO-1")
    assert users_of(runtime) == {"rolf": (Role.OPERATIONS, ["region=ARA"])}
    page = browser.client.get("/account").text
    assert "rolf" in page
    assert "Change the password" not in page
    assert browser.client.get("/users").status_code == 403


def test_a_code_that_is_replayed_opens_nothing(
    browser: Browser, at_provider: RealProvider, runtime: EmbeddedRunner
) -> None:
    at_provider.set_account("s-2", preferred_username="mia", groups=["boss"])
    url = at_provider.sign_in(browser.leave(), "s-2")
    assert browser.come_back(url).status_code == 303
    browser.client.cookies.delete("unvarnished_session")
    assert browser.come_back(url).status_code == 401, "the state was used"
    state = parse_qs(urlsplit(browser.leave()).query)["state"][0]
    code = parse_qs(urlsplit(url).query)["code"][0]
    again = browser.come_back(f"{RETURN}?code={code}&state={state}")
    assert again.status_code == 401
    assert "set-cookie" not in again.headers or "unvarnished_session" not in again.headers["set-cookie"]
    assert failures(runtime) == ["not begun by this browser", "code refused"]


def test_a_sign_in_that_another_browser_began_is_refused(
    browser: Browser, at_provider: RealProvider, runtime: EmbeddedRunner
) -> None:
    at_provider.set_account("s-3", preferred_username="eve", groups=["boss"])
    url = at_provider.sign_in(browser.leave(), "s-3")
    browser.client.cookies.clear()
    assert browser.come_back(url).status_code == 401
    assert users_of(runtime) == {}


def test_a_group_that_is_removed_ends_sessions_and_tokens(
    browser: Browser, at_provider: RealProvider, runtime: EmbeddedRunner
) -> None:
    at_provider.set_account("s-4", preferred_username="ada", groups=["it"])
    assert browser.sign_in("s-4").status_code == 303
    session = browser.client.cookies["unvarnished_session"]
    token = token_of(runtime.engine, "ada")
    at_provider.set_account("s-4", preferred_username="ada", groups=["boss"])
    assert browser.sign_in("s-4").status_code == 303
    assert users_of(runtime) == {"ada": (Role.MANAGEMENT, [])}
    assert browser.client.get("/users", headers=token).status_code == 403, "the token is no more than its user"
    at_provider.set_account("s-4", preferred_username="ada", groups=["everybody"])
    refused = browser.sign_in("s-4")
    assert refused.status_code == 403
    assert "no role here" in refused.text
    for header in (token, {"cookie": f"unvarnished_session={session}"}, {}):
        assert browser.client.get("/account", headers=header).status_code == 401
    at_provider.set_account("s-4", preferred_username="ada", groups=["boss"])
    assert browser.sign_in("s-4").status_code == 303


def test_a_name_that_is_taken_is_not_taken_over(
    browser: Browser, at_provider: RealProvider, runtime: EmbeddedRunner
) -> None:
    add_user(runtime.engine, "Max", Role.ADMIN)
    at_provider.set_account("s-5", preferred_username="max", email="max@example.com", groups=["boss"])
    assert browser.sign_in("s-5").status_code == 303
    assert users_of(runtime) == {"Max": (Role.ADMIN, []), "max@example.com": (Role.MANAGEMENT, [])}
    assert browser.client.get("/users").status_code == 403


def test_a_disabled_user_of_the_provider_stays_out(
    browser: Browser, at_provider: RealProvider, runtime: EmbeddedRunner
) -> None:
    at_provider.set_account("s-6", preferred_username="mia", groups=["boss"])
    assert browser.sign_in("s-6").status_code == 303
    with runtime.engine.begin() as connection:
        users.disable(connection, "mia", at())
    assert browser.sign_in("s-6").status_code == 403
    assert failures(runtime) == ["disabled"]


# A forging one


@pytest.fixture
def database(sqlite_database_url: str) -> Iterator[EmbeddedRunner]:
    """What a token states is checked before any database is asked: one of them suffices."""
    runtime = embedded(sqlite_database_url)
    yield runtime
    runtime.engine.dispose()


@pytest.fixture
def forging() -> ForgingProvider:
    return ForgingProvider(lambda: at(hours=4).timestamp())


@contextmanager
def forged(database: EmbeddedRunner, forging: ForgingProvider) -> Iterator[Callable[[], Any]]:
    """A browser on a listener whose provider forges. Yields a function that signs in."""
    clock = Clock(at(hours=4))
    settings = {"oidc_issuer": ISSUER, "oidc_client_id": CLIENT, "oidc_roles": ROLES}
    app = internal_app(services(database, clock, **settings), START_TOKEN)
    with listener(app) as client:

        def _sign_in() -> Any:
            left = client.get("/sign-in/provider")
            if left.status_code != 303:
                return left
            query = parse_qs(urlsplit(left.headers["location"]).query)
            assert query["code_challenge_method"] == ["S256"]
            forging.nonce = query["nonce"][0]
            return client.get(f"/sign-in/provider/return?code=any&state={query['state'][0]}")

        yield _sign_in


@pytest.fixture
def sign_in(
    database: EmbeddedRunner, forging: ForgingProvider, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], Any]]:
    monkeypatch.setattr(provider_sign_in, "Provider", lambda settings: Provider(settings, forging.transport()))
    with forged(database, forging) as made:
        yield made


def test_an_honest_token_signs_in(
    sign_in: Callable[[], Any], forging: ForgingProvider, database: EmbeddedRunner
) -> None:
    assert sign_in().status_code == 303
    assert users_of(database) == {"mia": (Role.MANAGEMENT, [])}
    exchange = next(body for path, body in forging.requests if path == "/token")
    assert len(exchange["code_verifier"]) >= 43
    assert exchange["redirect_uri"] == RETURN


NOW = round(at(hours=4).timestamp())
FORGED_CLAIMS: dict[str, dict[str, Any]] = {
    "another nonce": {"nonce": "another"},
    "no nonce": {"nonce": None},
    "another audience": {"aud": "another-client"},
    "another audience in a list": {"aud": ["another-client"]},
    "several audiences without a party": {"aud": [CLIENT, "another-client"]},
    "another party": {"aud": [CLIENT, "another-client"], "azp": "another-client"},
    "no audience": {"aud": None},
    "another issuer": {"iss": "https://evil.example"},
    "no issuer": {"iss": None},
    "expired": {"exp": NOW - 61, "iat": NOW - 400},
    "no end": {"exp": None},
    "from the future": {"iat": NOW + 600, "exp": NOW + 900},
    "not yet valid": {"nbf": NOW + 600},
    "no subject": {"sub": None},
    "an empty subject": {"sub": ""},
    "a subject that is no text": {"sub": {"a": 1}},
    "the hash of another access token": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
}


@pytest.mark.parametrize("name", FORGED_CLAIMS)
def test_forged_claims_are_refused(
    sign_in: Callable[[], Any], forging: ForgingProvider, database: EmbeddedRunner, name: str
) -> None:
    changed = FORGED_CLAIMS[name]
    forging.change = lambda claims: {key: value for key, value in (claims | changed).items() if value is not None}
    refused = sign_in()
    assert refused.status_code == 401
    assert "session" not in refused.headers.get("set-cookie", "")
    assert users_of(database) == {}
    assert len(failures(database)) == 1


@pytest.mark.parametrize(
    "how", ["alg none", "another key", "another key with our id", "the public key as a secret", "cut", "no token", "{}"]
)
def test_forged_signatures_are_refused(
    sign_in: Callable[[], Any], forging: ForgingProvider, database: EmbeddedRunner, how: str
) -> None:
    from joserfc.jwk import RSAKey

    mine = RSAKey.generate_key(2048, {"kid": "honest" if how.endswith("our id") else "mine"})
    forging.sign = {
        "alg none": forging.unsigned,
        "another key": lambda claims: forging.signed(claims, mine),
        "another key with our id": lambda claims: forging.signed(claims, mine),
        "the public key as a secret": forging.by_public_key,
        "cut": lambda claims: forging.signed(claims, forging.key)[:-6],
        "no token": lambda claims: "",
        "{}": lambda claims: json.dumps(claims),
    }[how]
    assert sign_in().status_code == 401
    assert users_of(database) == {}


def test_a_key_that_the_token_brings_along_is_not_used(
    sign_in: Callable[[], Any], forging: ForgingProvider, database: EmbeddedRunner
) -> None:
    from joserfc.jwk import RSAKey

    mine = RSAKey.generate_key(2048, {"kid": "mine"})
    forging.sign = lambda claims: forging.signed(
        claims, mine, jwk=mine.as_dict(private=False), jku="https://evil.example/keys"
    )
    assert sign_in().status_code == 401
    assert "https://evil.example" not in str(forging.requests)


def test_new_keys_of_the_provider_are_read_but_not_at_every_token(
    sign_in: Callable[[], Any], forging: ForgingProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    from joserfc.jwk import RSAKey

    assert sign_in().status_code == 303
    newer = RSAKey.generate_key(2048, {"kid": "newer"})
    forging.published, forging.key = [newer], newer
    assert sign_in().status_code == 401, "the keys were read a moment ago"
    monkeypatch.setattr(provider_module, "_KEYS_AGAIN_SECONDS", 0.0)
    assert sign_in().status_code == 303


def test_a_provider_with_another_issuer_is_not_used(sign_in: Callable[[], Any], forging: ForgingProvider) -> None:
    forging.issuer = "https://evil.example"
    assert sign_in().status_code == 401


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        (["boss"], Role.MANAGEMENT),
        (["ara", "boss"], Role.MANAGEMENT),
        ("ara", Role.OPERATIONS),
        ([], None),
        (None, None),
        ({"boss": True}, None),
        (["Boss"], None),
        ([["boss"]], None),
        (["x boss"], None),
    ],
)
def test_the_first_group_in_the_settings_counts(
    sign_in: Callable[[], Any], forging: ForgingProvider, database: EmbeddedRunner, groups: Any, role: Role | None
) -> None:
    forging.groups = groups
    assert sign_in().status_code == (403 if role is None else 303)
    assert [found for found, _ in users_of(database).values()] == ([] if role is None else [role])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"oidc_issuer": "https://id.example.com"}, "also needs UNVARNISHED_OIDC_CLIENT_ID"),
        ({"oidc_issuer": "id.example.com"}, "must start with https"),
        ({"oidc_roles": {"x": "boss"}}, "'x': 'boss' is not one of management"),
        ({"oidc_roles": {"x": {"role": "operations", "scope": ["ARA"]}}}, "'x': scope: 'ARA' is not DIMENSION=VALUE"),
        ({"oidc_roles": {"x": 3}}, "'x': is not a role"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings(**settings)
