"""Reports on e-mails: from providers as JSON, from mailboxes as bounce messages, and from nobody without the secret."""

import base64
import json
from typing import Any

import pytest

from pipeline.domain.asking.ask_states import AskState
from pipeline.notifiers.channels.email.notifier import provider_id
from pipeline.notifiers.channels.email.reports import REPORT_PATH, MailReports
from pipeline.notifiers.port import BadCall, HttpCall, NotSigned, StatusReport
from tests.support.builders import at
from tests.support.servers.bounces import bounce

SECRET = "not-a-secret-at-all"
TOKEN = "k3J9xQm2vT7pLw4RzY8sNA"
BEARER = {"authorization": f"Bearer {SECRET}"}


def report(body: bytes, headers: dict[str, str]) -> StatusReport:
    content = MailReports(SECRET).parse(HttpCall(REPORT_PATH, "", headers, body, at()))
    assert isinstance(content, StatusReport)
    return content


def as_json(**stated: Any) -> bytes:
    return json.dumps({"message_id": f"<ask.{TOKEN}@supplier.example>", "event": "bounced"} | stated).encode()


JSON = BEARER | {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("event", "code", "state", "undeliverable", "opted_out"),
    [
        ("bounced", "5.1.1", AskState.FAILED, True, False),
        ("bounced", "5.2.2", AskState.FAILED, False, False),
        ("failed", None, AskState.FAILED, False, False),
        ("Delivered", None, AskState.DELIVERED, False, False),
        ("deferred", "4.2.2", None, False, False),
        ("complained", None, AskState.SENT, False, True),
    ],
)
def test_a_providers_report_is_read(
    event: str, code: str | None, state: AskState | None, undeliverable: bool, opted_out: bool
) -> None:
    read = report(as_json(event=event, code=code), JSON)
    assert (read.message_id, read.callback_token) == (provider_id(TOKEN), TOKEN)
    assert (read.state, read.undeliverable, read.opted_out) == (state, undeliverable, opted_out)
    assert TOKEN not in read.message_id


@pytest.mark.parametrize("whole", [True, False], ids=["whole-message", "headers"])
def test_a_bounce_message_is_read(whole: bool) -> None:
    read = report(bounce(f"ask.{TOKEN}@supplier.example", "failed", "5.1.1", whole=whole), BEARER)
    assert (read.callback_token, read.status, read.state, read.undeliverable) == (
        TOKEN,
        "failed",
        AskState.FAILED,
        True,
    )
    later = report(bounce(f"ask.{TOKEN}@supplier.example", "delayed", "4.4.1", whole=whole), BEARER)
    assert (later.state, later.undeliverable) == (None, False)


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer wrong", f"Basic {SECRET}", "Basic !", f"Digest {SECRET}", f"Bearer {SECRET}x", "Bearer é"],
)
def test_without_the_secret_nothing_is_read(authorization: str) -> None:
    with pytest.raises(NotSigned):
        report(as_json(), {"content-type": "application/json", "authorization": authorization})


def test_the_secret_may_be_the_password_of_basic() -> None:
    basic = base64.b64encode(f"unvarnished:{SECRET}".encode()).decode()
    assert report(as_json(), JSON | {"authorization": f"Basic {basic}"}).state is AskState.FAILED


@pytest.mark.parametrize(
    ("body", "headers", "field"),
    [
        (b"{", JSON, "body"),
        (as_json(event="eaten"), JSON, "event"),
        (as_json(message_id="<x@y>"), JSON, "message_id"),
        (as_json(message_id=5), JSON, "body"),
        (b"Subject: hello\r\n\r\nhi", BEARER, "body"),
        (bounce("x@elsewhere.example", "failed", "5.1.1"), BEARER, "message_id"),
        (b"\xff\x00" * 500, BEARER, "body"),
        (
            b"Content-Type: multipart/report; boundary=x\r\n\r\n--x\r\nContent-Type: message/delivery-status\r\n\r\n",
            BEARER,
            "body",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(body: bytes, headers: dict[str, str], field: str) -> None:
    with pytest.raises(BadCall) as refused:
        report(body, headers)
    assert refused.value.parameter == field
