"""The page behind the link in a response: what we said, and words that wait for a person."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from pipeline.consumers.inbox.responding import respond
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.asking.ask_states import hashed
from pipeline.store.schema.answers import answers
from pipeline.store.schema.asks import asks
from pipeline.store.schema.inbox import inbox
from pipeline.web.internal.incidents.acts import work_on
from pipeline.web.public.form import form
from tests.support.builders import answered, at
from tests.support.modes import EVERYWHERE
from tests.support.requests import installation
from tests.support.requests.installation import Clock
from tests.support.running.embedded import ingest
from tests.support.stored import counters, published, rows

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)
LINK = "r" * 22


@pytest.fixture
def client(runtime: EmbeddedRunner) -> Iterator[TestClient[Litestar]]:
    """A contact who complained and got a response."""
    known = installation.services(runtime, Clock(at(days=1)))
    installation.sent(runtime, language="en")
    ingest(runtime, answered(time=at(hours=3), arrival="late"))
    with runtime.engine.begin() as connection:
        work = work_on(connection, known)
        respond("SO-1", "ana", "put_right", "ben", "", work, at(hours=4))
        work.flush()
        sent: dict[str, Any] = {"form_token_hash": hashed(LINK), "sent_at": at(hours=4), "state": "sent"}
        sent |= {"sending_at": at(hours=4), "request": '{"order_id":"SO-1","contact_id":"ana","claim":{}}'}
        connection.execute(asks.update().where(asks.c.purpose == "response").values(sent))
    with installation.client(*form.routes(known)) as made:
        yield made


def test_words_are_kept_and_wait_for_a_person_and_no_pair_changes(
    runtime: EmbeddedRunner, client: TestClient[Litestar]
) -> None:
    pairs, counted = published(runtime, "fulfilment.compared"), counters(runtime)
    for _ in range(3):
        page = client.get(f"/f/{LINK}?a=1").text
    assert "<h1>Order SO-1: we have put it right.</h1>" in page
    assert 'name="arrival"' not in page, "nothing is asked"
    assert rows(runtime, inbox) == []

    send = partial(client.post, f"/f/{LINK}", data={"comment": "Nothing <i>is</i> right", "submission": "one"})
    assert "a person will read what you wrote" in send().text
    send()
    assert [row["reason"] for row in rows(runtime, inbox)] == ["unasked"]
    assert [row["arrival"] for row in rows(runtime, answers)] == ["late", None]
    assert published(runtime, "fulfilment.compared")[-1]["verdict"] == pairs[-1]["verdict"]
    assert {name: counters(runtime).get(name) for name in counted} == counted


def test_it_is_in_the_readers_language(client: TestClient[Litestar]) -> None:
    assert "Lieferung SO-1: wir haben es behoben." in client.get(f"/f/{LINK}?lang=de").text
    page = client.post(f"/f/{LINK}", data={"comment": "Nein", "lang": "de", "submission": "one"})
    assert "Danke, ein Mitarbeiter liest" in page.text


@pytest.mark.parametrize(
    ("comment", "problem"),
    [("", "Please write what we should know."), (" \n", "Please write"), ("<b>" * 540, "at most 1600 characters")],
)
def test_a_bad_form_says_what_is_missing_and_keeps_what_was_written(
    runtime: EmbeddedRunner, client: TestClient[Litestar], comment: str, problem: str
) -> None:
    page = client.post(f"/f/{LINK}", data={"comment": comment})
    assert page.status_code == 422
    assert problem in page.text
    assert "<b>" not in page.text
    assert rows(runtime, inbox) == []
