"""Reports on e-mails that we sent: what a mail provider posts as JSON, or a bounce message as mailboxes receive it.

Both name the Message-ID of the e-mail, which holds a random token. A call has to carry the secret of the settings.
"""

import base64
import binascii
import email
import email.policy
import hmac
from collections.abc import Mapping
from datetime import datetime
from email.message import EmailMessage

import msgspec

from pipeline.domain.asking.ask_states import AskState
from pipeline.notifiers.channels.email.notifier import provider_id, token_in
from pipeline.notifiers.port import BadCall, HttpCall, NotSigned, Reply, StatusReport, WebhookContent
from pipeline.notifiers.smtp import means_no_mailbox

REPORT_PATH = "/email/reports"
_MAX_STATUS = 40  # characters
# By the words of RFC 3464 (`Action`) and those that providers use.
_STATES: Mapping[str, AskState | None] = {
    "delivered": AskState.DELIVERED,
    "relayed": AskState.SENT,
    "expanded": AskState.SENT,
    "failed": AskState.FAILED,
    "bounced": AskState.FAILED,
    "rejected": AskState.FAILED,
    "complained": AskState.SENT,  # it arrived, and its reader calls it spam
    "delayed": None,
    "deferred": None,
}
_COMPLAINT = "complained"


class ReportedMail(msgspec.Struct, frozen=True):
    """A report as JSON. `event` is a key of the states above, `code` an enhanced status code as in "5.1.1"."""

    message_id: str
    event: str
    code: str | None = None


_decode = msgspec.json.Decoder(ReportedMail).decode


class MailReports:
    """Parses reports. `secret` comes as `Authorization: Bearer SECRET`, or as the password of Basic."""

    paths = (REPORT_PATH,)

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def parse(self, call: HttpCall) -> WebhookContent:
        """The report in a call. Raises NotSigned, or BadCall naming what cannot be read."""
        if not hmac.compare_digest(_stated_secret(call.headers.get("authorization", "")), self._secret):
            raise NotSigned
        if call.headers.get("content-type", "").startswith("application/json"):
            return _from_json(call.body, call.received_at)
        return _from_bounce(call.body, call.received_at)

    def reply(self, text: str | None) -> Reply:
        """Reports get no reply."""
        return Reply("", "text/plain")

    def parse_spooled(self, raw: bytes) -> WebhookContent:
        """No earlier version kept reports."""
        raise msgspec.DecodeError("no report of an earlier version")


def _stated_secret(header: str) -> bytes:
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip().encode()
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(value.strip(), validate=True).partition(b":")[2]
    except binascii.Error:
        return b""


def _from_json(body: bytes, received_at: datetime) -> StatusReport:
    try:
        stated = _decode(body)
    except msgspec.DecodeError as error:
        raise BadCall(str(error), "body") from None
    if stated.event.lower() not in _STATES:
        raise BadCall(f"unknown; the events are {', '.join(_STATES)}", "event")
    return _report(stated.message_id, stated.event, stated.code or "", received_at)


def _from_bounce(body: bytes, received_at: datetime) -> StatusReport:
    """A delivery status notification (RFC 3464), with the headers of the message that it is about."""
    parsed = email.message_from_bytes(body, policy=email.policy.default)
    fields: Mapping[str, str] = {}
    message_id = ""
    for part in parsed.walk():
        kind = part.get_content_type()
        if kind == "message/delivery-status":
            fields = _recipient_fields(part)
        elif kind in ("message/rfc822", "text/rfc822-headers"):
            message_id = message_id or _original_id(part)
    action = fields.get("action", "").lower()
    if action not in _STATES:
        raise BadCall("no delivery status notification (RFC 3464)", "body")
    return _report(message_id, action, fields.get("status", ""), received_at)


def _recipient_fields(part: EmailMessage) -> Mapping[str, str]:
    """The fields about the recipient, their names in lower case: the last block of the report has them."""
    blocks = [block for block in part.get_payload() if isinstance(block, EmailMessage)]
    named = [block for block in blocks if "action" in block]
    return {name.lower(): str(value).strip() for name, value in named[-1].items()} if named else {}


def _original_id(part: EmailMessage) -> str:
    if part.get_content_type() == "message/rfc822":
        inner = part.get_payload()
        original = inner[0] if isinstance(inner, list) and inner else None
        return str(original.get("message-id", "")) if isinstance(original, EmailMessage) else ""
    headers = email.message_from_string(str(part.get_content()), policy=email.policy.default)
    return str(headers.get("message-id", ""))


def _report(message_id: str, event: str, status: str, received_at: datetime) -> StatusReport:
    token = token_in(message_id)
    if token is None:
        raise BadCall("not the Message-ID of a question", "message_id")
    word = event.lower()
    return StatusReport(
        message_id=provider_id(token),
        callback_token=token,
        status=word[:_MAX_STATUS],
        received_at=received_at,
        state=_STATES[word],
        opted_out=word == _COMPLAINT,
        undeliverable=_STATES[word] is AskState.FAILED and means_no_mailbox(None, status),
    )
