"""The provider's calls: only signed ones are accepted, each once, and stored before they are acknowledged."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import Connection

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.runtime.write_queue import Busy
from pipeline.consumers.sending import status_reports
from pipeline.consumers.sending.status_reports import UnknownMessage
from pipeline.domain.asking.ask_states import AskState
from pipeline.domain.asking.channels import SMS
from pipeline.domain.asking.policy import Policy
from pipeline.notifiers.channels.twilio.webhooks import TwilioWebhooks
from pipeline.notifiers.port import StatusReport
from pipeline.store.asks import phone_messages as phones
from pipeline.store.asks.claiming import Claimer
from pipeline.store.journal.journal import Journal
from pipeline.store.journal.spool import Spool
from pipeline.store.schema.answers import answers
from pipeline.store.schema.asks import asks
from pipeline.store.schema.conversations import inbound_messages, provider_callbacks
from pipeline.store.schema.journal import journal
from pipeline.store.schema.people import opt_outs
from pipeline.web.internal.demo_phone import phone
from pipeline.web.public import provider_webhooks
from pipeline.web.public.form import form
from pipeline.web.public.provider_webhooks import ProviderWebhooks
from tests.support.builders import at, completed, scanned
from tests.support.modes import EVERYWHERE
from tests.support.requests import installation
from tests.support.requests.installation import PHONE, PUBLIC_URL, Clock
from tests.support.requests.twilio_calls import ACCOUNT, KEY, OLD_KEY, SID, call, replies, signed, status, text
from tests.support.running.embedded import VAULT, ingest
from tests.support.running.sending import sending_runner
from tests.support.stored import rows

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)
CALLBACK_TOKEN = "c4LLb4ckT0kenOf16bytes"


def twilio(*auth_tokens: str) -> ProviderWebhooks:
    return ProviderWebhooks(SMS, TwilioWebhooks(ACCOUNT, auth_tokens, PUBLIC_URL))


@pytest.fixture
def clock() -> Clock:
    return Clock(at(hours=3))


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", VAULT, 1 << 20)


@pytest.fixture
def client(runtime: EmbeddedRunner, clock: Clock, spool: Spool) -> Iterator[TestClient[Litestar]]:
    services = installation.services(runtime, clock)
    provider = twilio(KEY, OLD_KEY)
    with installation.client(*provider_webhooks.routes(services, provider, spool), *phone.routes(services)) as made:
        yield made


def test_a_text_is_stored_answered_and_counted(runtime: EmbeddedRunner, client: TestClient[Litestar]) -> None:
    installation.sent(runtime)
    answer = call(client, "/twilio/sms", text("2 & trés <late>"))
    assert answer.status_code == 200
    assert replies(answer)[0].startswith("Your supplier: Thank you, noted.")
    assert "0 (not at all)" in replies(call(client, "/twilio/sms", text("2", "SM" + "1" * 32)))[0]
    assert {row["arrival"] for row in rows(runtime, answers)} == {None, "late"}
    assert rows(runtime, asks)[0]["state"] == "answered"


def test_the_same_request_a_thousand_times_is_one_row(runtime: EmbeddedRunner, client: TestClient[Litestar]) -> None:
    installation.sent(runtime)
    fields = text("STOP")
    body, headers = urlencode(fields), signed("/twilio/sms", fields)
    first = client.post("/twilio/sms", content=body, headers=headers)
    assert len(replies(first)) == 1
    for n in range(999):
        token = {"i-twilio-idempotency-token": f"another-{n}"}  # not covered by the signature, so it is ignored
        again = client.post("/twilio/sms", content=body, headers=headers | token)
        assert (again.status_code, replies(again)) == (200, [])
    assert (len(rows(runtime, inbound_messages)), len(rows(runtime, opt_outs))) == (1, 1)


def test_another_message_with_the_same_idempotency_token_is_another_message(
    runtime: EmbeddedRunner, client: TestClient[Litestar]
) -> None:
    installation.sent(runtime)
    for sid in ("SM" + "2" * 32, "SM" + "3" * 32):
        fields = text("1", sid)
        headers = signed("/twilio/sms", fields) | {"i-twilio-idempotency-token": "the same"}
        assert client.post("/twilio/sms", content=urlencode(fields), headers=headers).status_code == 200
    assert len(rows(runtime, inbound_messages)) == 2


def test_a_request_with_any_bit_changed_is_refused(runtime: EmbeddedRunner, client: TestClient[Litestar]) -> None:
    installation.sent(runtime)
    fields = text("4")
    body, headers = urlencode(fields).encode(), signed("/twilio/sms", fields)
    signature = headers["x-twilio-signature"]
    meant = sorted(parse_qsl(body.decode(), keep_blank_values=True))
    forged = 0
    for index in range(len(body)):
        flipped = bytearray(body)
        flipped[index] ^= 1 << (index % 7)
        try:
            same = sorted(parse_qsl(bytes(flipped).decode("ascii"), keep_blank_values=True)) == meant
        except ValueError:
            same = False
        if same:  # "%2B" and "%2b" are equivalent
            continue
        answer = client.post("/twilio/sms", content=bytes(flipped), headers=headers)
        assert answer.status_code == 403, bytes(flipped)
        forged += 1
    raw = base64.b64decode(signature)
    for bit in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        other = headers | {"x-twilio-signature": base64.b64encode(bytes(flipped)).decode()}
        assert client.post("/twilio/sms", content=body, headers=other).status_code == 403
    for wrong in ("", signature.lower(), signature + " x", signature.rstrip("="), signature[:-2], "x" * 5_000):
        other = headers | {"x-twilio-signature": wrong}
        assert client.post("/twilio/sms", content=body, headers=other).status_code == 403
    assert forged > 200
    assert rows(runtime, inbound_messages) == []
    assert client.post("/twilio/sms", content=body, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f | {"Extra": "1"},
        lambda f: {k: v for k, v in f.items() if k != "NumMedia"},
        lambda f: {k: v for k, v in f.items() if k != "Body"} | {"Body4": ""},  # the same bytes, divided differently
        lambda f: {k: v for k, v in f.items() if k != "From"} | {"Body": f["Body"] + "From" + f["From"]},
        lambda f: f | {"From": "+447700900999"},
        lambda f: f | {"AccountSid": "AC" + "2" * 32},
    ],
)
def test_parameters_cannot_be_added_removed_or_shifted(
    runtime: EmbeddedRunner, client: TestClient[Litestar], change: Any
) -> None:
    fields = text("4")
    headers = signed("/twilio/sms", fields)
    assert client.post("/twilio/sms", content=urlencode(change(fields)), headers=headers).status_code == 403
    assert rows(runtime, inbound_messages) == []


def test_a_parameter_given_twice_is_refused(runtime: EmbeddedRunner, client: TestClient[Litestar]) -> None:
    fields = text("4")
    headers = signed("/twilio/sms", fields)
    for twice in ("&Body=4", "&Body=1", "&From=%2B447700900999"):
        assert client.post("/twilio/sms", content=urlencode(fields) + twice, headers=headers).status_code == 403
    assert rows(runtime, inbound_messages) == []


def test_the_signature_covers_the_configured_address_and_not_the_requests(
    runtime: EmbeddedRunner, client: TestClient[Litestar]
) -> None:
    """The test's client sends its requests to http://proxy.internal:9999, as a proxy does."""
    fields = text("4")
    evil = {"host": "evil.example", "x-forwarded-host": "evil.example", "x-forwarded-proto": "http"}
    for_evil = signed("/twilio/sms", fields, url="https://evil.example")
    assert client.post("/twilio/sms", content=urlencode(fields), headers=for_evil | evil).status_code == 403
    for_proxy = signed("/twilio/sms", fields, url="http://proxy.internal:9999")
    assert client.post("/twilio/sms", content=urlencode(fields), headers=for_proxy).status_code == 403
    ours = signed("/twilio/sms", fields)
    assert client.post("/twilio/sms", content=urlencode(fields), headers=ours | evil).status_code == 200
    moved = client.post("/twilio/status", content=urlencode(fields), headers=ours)
    assert moved.status_code == 403, "a signature is for one address"
    assert client.post("/twilio/sms?token=x", content=urlencode(fields), headers=ours).status_code == 403


@pytest.mark.parametrize(("key", "answer"), [(KEY, 200), (OLD_KEY, 200), ("c" * 32, 403), ("", 403)])
def test_during_a_token_change_both_tokens_are_accepted(client: TestClient[Litestar], key: str, answer: int) -> None:
    assert call(client, "/twilio/sms", text(), key=key).status_code == answer


@pytest.mark.parametrize("sid", ["", "SM1", "XX" + "1" * 32, "SM" + "g" * 32, "SM" + "1" * 33])
def test_an_invalid_message_id_is_refused_even_if_signed(client: TestClient[Litestar], sid: str) -> None:
    assert call(client, "/twilio/sms", text(sid=sid)).status_code == 403


@pytest.mark.parametrize("body", [b"\xff\xfe", b"Body=%ff", b"&".join([b"a=1"] * 300), b"{}", b""])
def test_a_body_that_is_no_form_is_refused(client: TestClient[Litestar], body: bytes) -> None:
    headers = {"x-twilio-signature": "x", "content-type": "application/x-www-form-urlencoded"}
    assert client.post("/twilio/sms", content=body, headers=headers).status_code == 403


def test_a_body_over_64_kib_is_refused(client: TestClient[Litestar]) -> None:
    assert call(client, "/twilio/sms", text("x" * 65_536)).status_code == 413


def test_a_spoofed_sender_is_quarantined(runtime: EmbeddedRunner, client: TestClient[Litestar]) -> None:
    installation.sent(runtime)
    answer = call(client, "/twilio/sms", text("1", sender="+447700900999"))
    assert (answer.status_code, replies(answer)) == (200, [])
    (row,) = rows(runtime, inbound_messages)
    assert (row["outcome"], row["sender"]) == ("quarantined", VAULT.phone_digest("+447700900999"))
    assert (rows(runtime, answers), rows(runtime, asks)[0]["state"]) == ([], "sent")


@pytest.mark.parametrize("word", ["STOP", "START", "HELP"])
def test_with_advanced_opt_out_the_provider_has_replied_already(
    runtime: EmbeddedRunner, client: TestClient[Litestar], word: str
) -> None:
    installation.sent(runtime)
    answer = call(client, "/twilio/sms", text("ARRET", OptOutType=word))
    assert replies(answer) == []
    assert len(rows(runtime, opt_outs)) == (word == "STOP")


def test_unusual_texts_neither_fail_nor_inject(runtime: EmbeddedRunner, client: TestClient[Litestar]) -> None:
    installation.sent(runtime)
    for n, body in enumerate(("\x00", "wet \x00 box", "", "]]></Message><Message>x", "🙄" * 1_600, "\u202eevil")):
        answer = call(client, "/twilio/sms", text(body, "SM" + f"{n}" * 32))
        assert answer.status_code == 200
        assert len(replies(answer)) <= 1
    assert not [row for row in rows(runtime, journal) if "\\u0000" in row["payload"]]
    assert len(rows(runtime, inbound_messages)) == 6


def test_a_text_that_is_not_stored_is_not_acknowledged(
    runtime: EmbeddedRunner, clock: Clock, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def _broken(*_: Any) -> bool:
        raise OSError("disk full")

    monkeypatch.setattr("pipeline.store.asks.inbound_messages.store_text", _broken)
    provider = twilio(KEY)
    with installation.client(
        *provider_webhooks.routes(installation.services(runtime, clock), provider, spool)
    ) as client:
        assert call(client, "/twilio/sms", text()).status_code == 500
        monkeypatch.undo()
        assert call(client, "/twilio/sms", text()).status_code == 200


def test_a_text_that_is_stored_is_acknowledged_even_if_it_is_processed_later(
    runtime: EmbeddedRunner, clock: Clock, spool: Spool
) -> None:
    installation.sent(runtime)

    async def _busy(*_: Any) -> Any:
        raise Busy("too much waits to be written")

    services = replace(installation.services(runtime, clock), submit=_busy)
    with installation.client(*provider_webhooks.routes(services, twilio(KEY), spool)) as client:
        assert len(replies(call(client, "/twilio/sms", text("4")))) == 1
    assert rows(runtime, answers) == []
    runtime.process_pending()
    assert rows(runtime, answers)[0]["arrival"] == "not_received"


def test_a_question_that_was_claimed_is_confirmed_by_its_callback_and_answered_by_its_link(
    database_url: str, clock: Clock, spool: Spool
) -> None:
    runtime = sending_runner(database_url, Policy(remind_after=None))
    ingest(runtime, completed(), scanned(time=at(hours=2)))
    with runtime.engine.begin() as connection:
        claims = Claimer(VAULT, Policy(), "one", {"sms"}, timedelta(seconds=60)).claim(connection, at(hours=2), 10)
    (claimed,) = claims.to_send
    services = installation.services(runtime, clock)
    handlers = [
        *provider_webhooks.routes(services, twilio(KEY), spool),
        *form.routes(services),
    ]
    with installation.client(*handlers) as client:
        path = f"/twilio/status?token={claimed.callback_token}"
        assert call(client, path, status("delivered")).status_code == 204
        assert rows(runtime, asks)[0]["state"] == "delivered"
        assert client.get(f"/f/{claimed.form_token}").status_code == 200
        assert client.post(f"/f/{claimed.form_token}", data={"arrival": "late"}).status_code == 200
        assert rows(runtime, asks)[0]["state"] == "answered"
        assert call(client, path, status("sent")).status_code == 204
        assert rows(runtime, asks)[0]["state"] == "answered", "a state never changes to a lower one"
    runtime.engine.dispose()


@pytest.mark.parametrize("word", ["", "DELIVERED", "on its way", "x" * 41])
def test_an_unknown_status_is_refused_even_if_signed(client: TestClient[Litestar], word: str) -> None:
    answer = call(client, f"/twilio/status?token={CALLBACK_TOKEN}", status(word))
    assert (answer.status_code, answer.json()["field"]) == (400, "MessageStatus")


def test_each_status_of_a_message_is_recorded_once(
    runtime: EmbeddedRunner, clock: Clock, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.sent(runtime)
    recorded: list[tuple[str, str, AskState | None, int | None]] = []

    def _record(connection: Connection, journal: Journal, report: StatusReport, now: Any) -> None:
        if report.callback_token != CALLBACK_TOKEN:
            raise UnknownMessage
        recorded.append((report.message_id, report.status, report.state, report.code))

    monkeypatch.setattr(status_reports, "_record", _record)
    path = f"/twilio/status?token={CALLBACK_TOKEN}"
    with installation.client(
        *provider_webhooks.routes(installation.services(runtime, clock), twilio(KEY), spool)
    ) as client:
        for word in ("sent", "delivered", "sent", "delivered", "delivered"):
            assert call(client, path, status(word)).status_code == 204
        assert call(client, path, status("failed", ErrorCode="30003")).status_code == 204
        assert recorded == [
            (SID, "sent", "sent", None),
            (SID, "delivered", "delivered", None),
            (SID, "failed", "failed", 30003),
        ]
        assert len(rows(runtime, provider_callbacks)) == 3
        other = "/twilio/status?token=somebody-elses"
        assert call(client, other, status("delivered", "SM" + "9" * 32)).status_code == 404
        assert call(client, "/twilio/status", status("delivered", "SM" + "8" * 32)).status_code == 404
        assert len(rows(runtime, provider_callbacks)) == 3, "nothing is stored about unknown messages"
        headers = signed(path, status("sent"))
        stolen = client.post(other, content=urlencode(status("sent")), headers=headers)
        assert stolen.status_code == 403, "the token is covered by the signature"


def test_the_phone_page_shows_the_message_accepts_one_reply_and_shows_the_response(
    runtime: EmbeddedRunner, client: TestClient[Litestar]
) -> None:
    installation.sent(runtime, name="Ana <b>Canary</b>")
    with runtime.engine.begin() as connection:
        question = f"Did it arrive? {PUBLIC_URL}/f/{installation.TOKEN} <script>"
        phones.store_message(connection, VAULT, PHONE, question, at(hours=2), phones.Recipient("A-1", "ana", "SO-1"))
    page = client.get("/phone").text
    assert f'<a href="{PUBLIC_URL}/f/{installation.TOKEN}"' in page
    assert "Ana &lt;b&gt;Canary&lt;/b&gt;" in page
    assert "<script>" not in page
    fields = {"number": PHONE, "submission": "s" * 22, "text": "2"}
    for _ in range(2):
        answer = client.post("/phone/reply", data=fields, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/phone#phone-447700900123")
    assert len(rows(runtime, inbound_messages)) == 1
    assert rows(runtime, answers)[0]["arrival"] == "late"
    fresh = client.get("/phone/screens")
    assert "0 (not at all) to 10" in fresh.text
    unchanged = client.get("/phone/screens", headers={"if-none-match": fresh.headers["etag"]})
    assert (unchanged.status_code, unchanged.text) == (304, "")
    for wrong in ({"number": "call me"}, {"submission": "<>"}):
        assert client.post("/phone/reply", data=fields | wrong).status_code == 400
