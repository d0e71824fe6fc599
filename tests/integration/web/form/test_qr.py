"""The code on a delivery note: one for each order, for whoever has the goods, and never evidence."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.asking.ask_states import hashed
from pipeline.store.asks.links import qr_token
from pipeline.store.schema.answers import answers
from pipeline.store.schema.asks import asks
from pipeline.store.schema.conversations import qr_links
from pipeline.web.internal.orders import pages, qr
from pipeline.web.public.form import form, links
from tests.support.builders import answered, at, completed, scanned
from tests.support.modes import EVERYWHERE
from tests.support.requests import installation
from tests.support.requests.installation import Clock
from tests.support.running.embedded import VAULT, ingest
from tests.support.stored import counters, published, rows

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)
HEADERS = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def clock() -> Clock:
    return Clock(at(hours=3))


@pytest.fixture
def client(runtime: EmbeddedRunner, clock: Clock) -> Iterator[TestClient[Litestar]]:
    services = installation.services(runtime, clock)
    with installation.client(*form.routes(services), *qr.routes(services), *pages.routes(services)) as made:
        yield made


def link(runtime: EmbeddedRunner, order_id: str = "SO-1") -> str:
    with runtime.engine.begin() as connection:
        return f"/f/{qr_token(connection, VAULT, order_id, at(hours=1))}"


def post(client: TestClient[Litestar], path: str, fields: dict[str, Any]) -> Any:
    return client.post(path, content=urlencode(fields, doseq=True), headers=HEADERS)


def test_an_answer_by_the_code_is_words_and_a_count_and_no_evidence(
    runtime: EmbeddedRunner, client: TestClient[Litestar]
) -> None:
    ingest(runtime, completed(time=at(hours=2)), scanned(time=at(hours=2)))
    path = link(runtime)
    assert "Whoever receives the goods can answer here." in client.get(path).text
    done = post(client, path, {"arrival": "late", "goods": "damaged", "score": "1", "comment": "Wet."})
    assert "Thank you" in done.text
    (row,) = rows(runtime, answers)
    assert (row["channel"], row["arrival"], row["comment"]) == ("qr", "late", "Wet.")
    assert published(runtime, "fulfilment.compared") == []
    assert {ask["state"] for ask in rows(runtime, asks)} <= {"sent", "due", "not_asked"}
    counted = counters(runtime)
    assert counted["qr_answers"] == 1
    assert not any(name in counted for name in ("answered", "delivered:answered", "score:10:1"))
    page = client.get("/orders/SO-1").text
    assert "by the code on the delivery note" in page


def test_whoever_scans_next_sees_and_changes_no_answer_of_another(
    runtime: EmbeddedRunner, client: TestClient[Litestar]
) -> None:
    ingest(runtime, completed(time=at(hours=2)))
    path = link(runtime)
    first = post(client, path, {"arrival": "late", "comment": "Wet."}).text
    assert "amend=1" not in first
    shown = client.get(path).text
    assert "Wet" not in shown
    assert " checked" not in shown
    post(client, path, {"arrival": "on_time"})
    assert sorted(row["arrival"] for row in rows(runtime, answers)) == ["late", "on_time"]
    assert counters(runtime)["qr_answers"] == 2


def test_a_contacts_own_answer_counts_beside_those_of_the_code(
    runtime: EmbeddedRunner, client: TestClient[Litestar]
) -> None:
    installation.sent(runtime)
    post(client, link(runtime), {"arrival": "not_received", "score": "0"})
    ingest(runtime, answered(time=at(hours=2.5), arrival="on_time", complete=True))
    [compared] = published(runtime, "fulfilment.compared")
    assert compared["verdict"] == "agrees"


def test_a_code_may_be_printed_and_scanned_before_the_order_is_known(
    runtime: EmbeddedRunner, client: TestClient[Litestar]
) -> None:
    path = link(runtime, "SO-9")
    assert client.get(path).status_code == 200
    assert post(client, path, {"arrival": "late"}).status_code == 200
    ingest(runtime, completed("SO-9", time=at(hours=4)))
    assert counters(runtime)["qr_answers"] == 1


def test_the_code_of_an_order_is_always_the_same_and_the_database_does_not_know_it(
    runtime: EmbeddedRunner, client: TestClient[Litestar]
) -> None:
    pictures = [
        client.get("/v1/qr/SO-1"),
        client.get("/v1/qr/SO-1"),
        client.get("/v1/qr/a/b c", params={"format": "png"}),
    ]
    assert [picture.status_code for picture in pictures] == [200] * 3
    assert pictures[0].content == pictures[1].content
    assert (pictures[0].headers["content-type"], pictures[0].content[:5]) == ("image/svg+xml", b"<?xml")
    assert (pictures[2].headers["content-type"], pictures[2].content[:4]) == ("image/png", b"\x89PNG")
    stored = rows(runtime, qr_links)
    assert {row["order_id"] for row in stored} == {"SO-1", "a/b c"}
    token = link(runtime).removeprefix("/f/")
    assert re.fullmatch(r"[\w-]{22}", token)
    assert {row["token_hash"] for row in stored if row["order_id"] == "SO-1"} == {hashed(token)}
    assert len(rows(runtime, qr_links)) == 2


@pytest.mark.parametrize(("query", "field"), [({"format": "gif"}, "format"), ({}, "order_id")])
def test_a_code_that_cannot_be_made_is_refused_by_name(
    client: TestClient[Litestar], query: dict[str, str], field: str
) -> None:
    refused = client.get("/v1/qr/" + ("SO-1" if query else "x" * 201), params=query)
    assert (refused.status_code, refused.json()["field"]) == (400, field)


def test_an_old_code_is_closed_with_a_reason(
    runtime: EmbeddedRunner, client: TestClient[Litestar], clock: Clock
) -> None:
    path = link(runtime)
    clock.moment = at(hours=1) + links.QR_VALID + timedelta(seconds=1)
    page = client.get(path)
    assert (page.status_code, "please contact us" in page.text) == (404, True)
    assert post(client, path, {"arrival": "late"}).status_code == 404
    assert rows(runtime, answers) == []
