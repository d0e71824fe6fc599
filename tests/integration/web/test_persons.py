"""The page of personal data: finding, exporting, asking for an erasure and confirming one."""

from collections.abc import Iterator
from typing import Any

import pytest
from litestar.testing import TestClient

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.permissions import Role
from pipeline.store.db.engine import reading
from pipeline.store.people import erasure
from tests.support.builders import completed, contact
from tests.support.requests.installation import PHONE
from tests.support.requests.users import HTML, add_user, app_of, listener, token_of
from tests.support.running.embedded import ingest

CANARY = "Ana <b>Canary</b>"


@pytest.fixture
def client(runtime: EmbeddedRunner) -> Iterator[TestClient[Any]]:
    ingest(runtime, completed(contacts=[contact(name=CANARY)]))
    for name, role, scope in (
        ("mia", Role.MANAGEMENT, ()),
        ("otto", Role.OPERATIONS, ()),
        ("rita", Role.OPERATIONS, ("depot=Rouen",)),
        ("ada", Role.ADMIN, ()),
    ):
        add_user(runtime.engine, name, role, *scope)
    with listener(app_of(runtime)) as made:
        yield made


def as_user(runtime: EmbeddedRunner, name: str) -> dict[str, str]:
    return token_of(runtime.engine, name) | HTML


def test_one_user_asks_and_another_who_is_not_interested_confirms(
    runtime: EmbeddedRunner, client: TestClient[Any]
) -> None:
    otto, mia, rita = (as_user(runtime, name) for name in ("otto", "mia", "rita"))
    found = client.post("/persons", data={"who": "0044 7700 900123"}, headers=otto)
    assert "A-1 / ana" in found.text
    assert "Canary" not in found.text
    assert "7700" not in found.text, "neither names nor numbers"
    person = {"account": "A-1", "contact": "ana"}
    page = client.post("/persons/export", data=person | {"as": "page"}, headers=otto)
    assert "Ana &lt;b&gt;Canary&lt;/b&gt;" in page.text
    assert PHONE in client.post("/persons/export", data=person | {"as": "json"}, headers=otto).json()["phone"]
    assert client.post("/persons/export", data=person, headers=mia).status_code == 403, "no names or numbers"
    assert "Erase for good" not in client.post("/persons/erase", data=person, headers=otto).text
    with reading(runtime.engine) as connection:
        [waiting] = erasure.pending(connection)
    assert client.post("/persons/confirm", data={"id": waiting.id}, headers=otto).status_code == 422
    assert "Erase for good" in client.get("/persons", headers=mia).text
    assert "The person is erased" in client.post("/persons/confirm", data={"id": waiting.id}, headers=mia).text
    after = client.post("/persons/export", data=person | {"as": "page"}, headers=otto)
    assert "Canary" not in after.text
    assert "not known" in after.text
    for outside in ({"who": PHONE}, {"who": "A-1/ana"}):
        assert client.post("/persons", data=outside, headers=rita).status_code == 422, "another scope"
    assert "ana" not in client.get("/persons", headers=rita).text


def test_admins_have_no_access_to_personal_data(runtime: EmbeddedRunner, client: TestClient[Any]) -> None:
    assert client.get("/persons", headers=as_user(runtime, "ada")).status_code == 403
    assert client.post("/persons/export", data={}, headers=as_user(runtime, "ada")).status_code == 403
