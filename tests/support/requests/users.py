"""Users of an installation, signed in on its internal listener: the start of tests of sign-in, roles and scopes."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from argon2 import PasswordHasher
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import Engine

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.permissions import Role
from pipeline.domain.access.scopes import parse_scope
from pipeline.store.users import tokens, users
from pipeline.store.users.tokens import NewToken
from pipeline.web.http.server import internal_app
from pipeline.web.http.services import Services
from tests.support.builders import at
from tests.support.requests.installation import Clock, services

START_TOKEN = "a-token-that-was-printed-at-start"
PASSWORD = "correct horse battery staple"
HTML = {"accept": "text/html,application/xhtml+xml"}
HOME = "http://127.0.0.1:8081"
FROM = "x-test-address"
_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
_CSRF = re.compile(r'name="csrf" value="([0-9a-f]+)"')


def add_user(engine: Engine, name: str, role: Role = Role.MANAGEMENT, *scope: str, password: bool = True) -> None:
    """Add a user who has accepted the invitation with `PASSWORD`, or who has not."""
    with engine.begin() as connection:
        users.add(connection, name, role, parse_scope(role, scope), at())
        if password:
            users.set_password(connection, name, _HASH, at())


def token_of(engine: Engine, name: str) -> dict[str, str]:
    """The header with a new API token of a user, with all that the user may do."""
    with engine.begin() as connection:
        user = users.get(connection, name)
        label = f"test {len(tokens.tokens_of(connection, name))}"
        token = tokens.create(connection, user, NewToken(label, user.role, user.scope, at(days=3_650)), at())
    return {"authorization": f"Bearer {token}"}


@contextmanager
def listener(app: Litestar, url: str = HOME) -> Iterator[TestClient[Any]]:
    """A browser on an internal listener, which follows no redirect. A header `FROM` is the address it comes from."""

    async def _from_there(scope: Any, receive: Any, send: Any) -> None:
        address = dict(scope.get("headers", ())).get(FROM.encode(), b"198.51.100.1").decode()
        await app(scope | {"client": (address, 50_000)} if "client" in scope else scope, receive, send)

    with TestClient(_from_there, base_url=url) as made:
        made.follow_redirects = False
        yield made


def sign_in(
    client: TestClient[Any], name: str, password: str = PASSWORD, address: str = "198.51.100.1", **more: str
) -> Any:
    """Send the sign-in form. Returns the response."""
    return client.post("/sign-in", data={"name": name, "password": password} | more, headers={FROM: address})


def csrf_of(page: str) -> str:
    """The token in the forms of a page."""
    found = _CSRF.search(page)
    assert found is not None, "a page with a form has a token"
    return found[1]


def post(client: TestClient[Any], path: str, page: str = "/account", **fields: str) -> Any:
    """Send a form of a page, as a browser does."""
    csrf = csrf_of(client.get(page, headers=HTML).text)
    return client.post(path, data={"csrf": csrf} | fields)


def app_of(runtime: EmbeddedRunner, clock: Clock | None = None, *more: Any, **settings: Any) -> Litestar:
    """An internal listener."""
    known: Services = services(runtime, clock or Clock(at(hours=4)), **settings)
    return internal_app(known, START_TOKEN, tuple, *more)
