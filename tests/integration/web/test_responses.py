"""Fixed responses from the page of a reply, the page of a case, the API and the command line."""

from collections.abc import Iterator
from typing import get_args

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from typer.testing import CliRunner

from pipeline.cli import app as command
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.permissions import Role
from pipeline.domain.cases.case import case_id_of
from pipeline.domain.events.contract import FixedResponse
from pipeline.store.asks.inbox import item_id_of
from pipeline.store.schema.alerting.cases import cases
from pipeline.store.schema.asks import asks
from pipeline.store.schema.users import acts
from tests.support.builders import answered, at, completed, contact, scanned
from tests.support.requests.installation import Clock
from tests.support.requests.users import add_user, app_of, listener, post, sign_in, token_of
from tests.support.running.embedded import ingest
from tests.support.stored import rows

ITEM, CASE = item_id_of("erp", "words"), case_id_of("SO-1", "ana")
MUTE = contact("max", consent={"sms": False, "email": False})


@pytest.fixture
def web(runtime: EmbeddedRunner) -> Iterator[TestClient[Litestar]]:
    """Ana's words wait in the inbox; Max, who gave no consent, complained."""
    add_user(runtime.engine, "mia", Role.MANAGEMENT)
    add_user(runtime.engine, "vic", Role.AUDITOR)
    ingest(runtime, completed(time=at(), contacts=[contact("ana"), MUTE]), scanned(time=at(hours=1)))
    ingest(runtime, answered(time=at(hours=3), comment="well, as last time", event_id="words"))
    ingest(runtime, answered(time=at(hours=3), contact_id="max", arrival="late", comment="late", event_id="max"))
    with listener(app_of(runtime, Clock(at(days=1)))) as made:
        yield made


def responses(runtime: EmbeddedRunner) -> list[tuple[str, str, str]]:
    found = [row for row in rows(runtime, asks) if row["purpose"] == "response"]
    return [(row["contact_id"], row["response"], row["state"]) for row in found]


def test_it_is_chosen_on_the_page_of_the_reply_and_shown_in_the_conversation(
    runtime: EmbeddedRunner, web: TestClient[Litestar]
) -> None:
    sign_in(web, "mia")
    assert '<option value="will_call">We will call you.</option>' in web.get(f"/inbox/{ITEM}").text
    refused = post(web, f"/inbox/{ITEM}/response", response="sorry")
    assert refused.status_code == 422
    assert "must be one of looking_into_it, will_call" in refused.text
    post(web, f"/inbox/{ITEM}/response", response="will_call")
    page = web.get(f"/inbox/{ITEM}")
    assert "Our response, by sms: waiting to be sent" in page.text
    assert '<blockquote dir="auto">We will call you.</blockquote>' in page.text
    assert "there is one only" in page.text
    assert responses(runtime) == [("ana", "will_call", "due")]
    [case] = rows(runtime, cases)[-1:]
    assert case["order_id"] == "SO-1"
    assert ("mia", "SO-1:ana") in [(row["who"], row["subject"]) for row in rows(runtime, acts)]
    again = post(web, f"/inbox/{ITEM}/response", response="put_right")
    assert (again.status_code, responses(runtime)) == (409, [("ana", "will_call", "due")])
    timeline = web.get("/orders/SO-1").text
    assert "Response to" in timeline
    assert "We will call you." in timeline


def test_the_case_of_a_structured_complaint_has_it_too(runtime: EmbeddedRunner, web: TestClient[Litestar]) -> None:
    ingest(runtime, answered(time=at(hours=4), arrival="late", event_id="late"))
    sign_in(web, "mia")
    assert 'id="response"' in web.get(f"/cases/{CASE}").text
    post(web, f"/cases/{CASE}/response", response="on_its_way")
    page = web.get(f"/cases/{CASE}")
    assert "What was missing is on its way." in page.text
    assert 'id="response"' not in page.text
    assert responses(runtime) == [("ana", "on_its_way", "due")]


def test_who_cannot_be_written_to_is_said_with_the_reason(runtime: EmbeddedRunner, web: TestClient[Litestar]) -> None:
    case = case_id_of("SO-1", "max")
    token = token_of(runtime.engine, "mia")
    made = web.post(f"/v1/cases/{case}/response", json={"response": "put_right"}, headers=token)
    assert made.status_code == 409
    assert made.json()["detail"] == "not sent, because no consent to be asked is on record"
    sign_in(web, "mia")
    assert "no consent to be asked" in post(web, f"/cases/{case}/response", response="put_right").text
    assert responses(runtime) == []


def test_by_the_api(runtime: EmbeddedRunner, web: TestClient[Litestar]) -> None:
    token = token_of(runtime.engine, "mia")
    wrong = web.post(f"/v1/inbox/{ITEM}/response", json={"response": "hello"}, headers=token)
    assert (wrong.status_code, wrong.json()["field"]) == (400, "response")
    assert web.post("/v1/inbox/nothing/response", json={"response": "put_right"}, headers=token).status_code == 404
    made = web.post(f"/v1/inbox/{ITEM}/response", json={"response": "looking_into_it"}, headers=token)
    assert (made.status_code, made.json()) == (200, {"sent_from": "2026-03-03T09:00:00Z"})
    [_, _, step] = web.get(f"/v1/inbox/{ITEM}", headers=token).json()["conversation"]
    shown = step["voice"], step["response"], step["words"], step["state"]
    assert shown == ("us", "looking_into_it", "We are looking into it.", "waiting to be sent")
    stranger = token_of(runtime.engine, "vic")
    assert web.post(f"/v1/cases/{CASE}/response", json={"response": "put_right"}, headers=stranger).status_code == 403


def test_the_command_names_every_response() -> None:
    shown = CliRunner().invoke(command, ["inbox", "respond", "x", "hello"]).output
    assert [name for name in get_args(FixedResponse) if name not in shown] == []


def test_by_command(
    runtime: EmbeddedRunner, web: TestClient[Litestar], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNVARNISHED_DATABASE_URL", database_url)
    monkeypatch.setenv("UNVARNISHED_MASTER_KEY", bytes(range(32)).hex())
    monkeypatch.setenv("COLUMNS", "200")
    for arguments, problem in (
        ((ITEM, "hello"), "is not one of"),
        (("nothing", "put_right"), "there is no reply"),
    ):
        refused = CliRunner().invoke(command, ["inbox", "respond", *arguments])
        assert (refused.exit_code, problem in refused.output) == (2, True), refused.output
    done = CliRunner().invoke(command, ["inbox", "respond", ITEM, "put_right"])
    assert done.exit_code == 0, done.output
    assert [response for _, response, _ in responses(runtime)] == ["put_right"]
    assert "We have put it right." in CliRunner().invoke(command, ["inbox", "show", ITEM]).output
    assert "gets one only" in CliRunner().invoke(command, ["inbox", "respond", ITEM, "put_right"]).output


def test_a_response_that_did_not_leave_may_be_chosen_again_on_the_page(
    runtime: EmbeddedRunner, web: TestClient[Litestar]
) -> None:
    sign_in(web, "mia")
    post(web, f"/inbox/{ITEM}/response", response="put_right")
    assert 'id="response"' not in web.get(f"/inbox/{ITEM}").text
    unsent = {"state": "not_asked", "outcome": "rejected", "wake_at": None}
    with runtime.engine.begin() as connection:
        connection.execute(asks.update().where(asks.c.purpose == "response").values(unsent))
    page = web.get(f"/inbox/{ITEM}").text
    assert "Our response, by sms: not sent after all" in page
    assert 'id="response"' in page
    post(web, f"/inbox/{ITEM}/response", response="please_call")
    assert responses(runtime) == [("ana", "please_call", "due")]


def test_whoever_scanned_a_code_cannot_be_answered(runtime: EmbeddedRunner, web: TestClient[Litestar]) -> None:
    ingest(runtime, answered(time=at(hours=5), contact_id="(qr)", channel="qr", arrival="late", event_id="qr"))
    case = case_id_of("SO-1", "(qr)")
    sign_in(web, "mia")
    page = web.get(f"/cases/{case}")
    assert page.status_code == 200
    assert 'id="response"' not in page.text
    assert post(web, f"/cases/{case}/response", response="put_right").status_code == 409
