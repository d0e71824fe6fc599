"""The end of messages by a link: one click of a mail program, a button for people, nothing by reading."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.asking.ask_states import hashed
from pipeline.store.schema.asks import asks
from pipeline.store.schema.people import opt_outs
from pipeline.web.public.form import unsubscribe
from tests.support.builders import at, completed, contact, scanned
from tests.support.dump import dump
from tests.support.modes import EVERYWHERE
from tests.support.requests import installation
from tests.support.requests.installation import Clock
from tests.support.running.embedded import VAULT, ingest
from tests.support.stored import rows

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)
TOKEN = "u3J9xQm2vT7pLw4RzY8sNA"
PERSON = {"phone": "+447700900123", "email": "ana@customer.example"}
ONE_CLICK = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def clock() -> Clock:
    return Clock(at(hours=3))


@pytest.fixture
def client(runtime: EmbeddedRunner, clock: Clock) -> Iterator[TestClient[Litestar]]:
    ingest(runtime, completed(time=at(hours=2), contacts=[contact(**PERSON)]), scanned(time=at(hours=2)))
    recipient = VAULT.email_digest("ana@customer.example")
    with runtime.engine.begin() as connection:
        sent = {"unsubscribe_token_hash": hashed(TOKEN), "sending_at": at(hours=2), "recipient": recipient}
        connection.execute(asks.update().values(**sent))
    with installation.client(*unsubscribe.routes(installation.services(runtime, clock))) as made:
        yield made


def stopped(runtime: EmbeddedRunner) -> set[str]:
    return {row["digest"] for row in rows(runtime, opt_outs)}


def test_reading_changes_nothing_and_offers_a_button(runtime: EmbeddedRunner, client: TestClient[Litestar]) -> None:
    before = dump(runtime.engine)
    pages = [client.get(f"/u/{TOKEN}", headers={"accept-language": "de"}) for _ in range(20)]
    assert {page.status_code for page in pages} == {200}
    assert '<form method="post"' in pages[0].text
    assert "Nachrichten beenden" in pages[0].text
    assert dump(runtime.engine) == before


def test_one_click_ends_messages_to_every_address_of_the_person(
    runtime: EmbeddedRunner, client: TestClient[Litestar]
) -> None:
    for _ in range(2):
        done = client.post(f"/u/{TOKEN}", content="List-Unsubscribe=One-Click", headers=ONE_CLICK)
        assert (done.status_code, "have stopped" in done.text) == (200, True)
    expected = {VAULT.email_digest(PERSON["email"]), VAULT.phone_digest(PERSON["phone"])}
    assert stopped(runtime) == expected
    assert TOKEN not in str(dump(runtime.engine))
    other = contact(phone="+447700900777", email="ana@private.example")
    ingest(runtime, completed("SO-2", at(days=9), contacts=[other]), scanned("SO-2", at(days=9)))
    assert {row["order_id"]: row["reason"] for row in rows(runtime, asks)}["SO-2"] == "opted_out"


@pytest.mark.parametrize("token", ["x" * 22, "", "\u2603", "x" * 5_000, TOKEN + "x"])
def test_an_unknown_link_ends_nothing(runtime: EmbeddedRunner, client: TestClient[Litestar], token: str) -> None:
    assert client.post(f"/u/{token}", content="", headers=ONE_CLICK).status_code in (404, 405, 414)
    assert stopped(runtime) == set()


def test_a_link_expires(runtime: EmbeddedRunner, client: TestClient[Litestar], clock: Clock) -> None:
    clock.moment = at(hours=2) + unsubscribe.VALID + timedelta(seconds=1)
    assert client.get(f"/u/{TOKEN}").status_code == 404
    assert client.post(f"/u/{TOKEN}", content="", headers=ONE_CLICK).status_code == 404
    assert stopped(runtime) == set()
