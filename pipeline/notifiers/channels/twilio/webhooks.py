"""Twilio's calls: texts from customers, and status reports of our messages. Only signed calls are accepted."""

import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal
from urllib.parse import parse_qs, parse_qsl

import msgspec
from twilio.twiml.messaging_response import MessagingResponse  # type: ignore[import-untyped]

from pipeline.domain.answers.replies import Control
from pipeline.notifiers.channels.twilio.codes import STATUSES, means_opted_out, means_undeliverable
from pipeline.notifiers.channels.twilio.paths import (
    STATUS_PATH,
    TEXT_PATH,
    WHATSAPP_PREFIX,
    WHATSAPP_STATUS_PATH,
    WHATSAPP_TEXT_PATH,
)
from pipeline.notifiers.channels.twilio.signature import HEADER, is_signed
from pipeline.notifiers.channels.twilio.sms import SOURCE
from pipeline.notifiers.port import BadCall, HttpCall, InboundText, NotSigned, Reply, StatusReport, WebhookContent

_MESSAGE_ID = re.compile(r"(?:SM|MM)[0-9a-fA-F]{32}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_\[\]-]{1,100}", re.ASCII)
_STATUS_WORD = re.compile(r"[a-z_]{1,40}", re.ASCII)
_CODE = re.compile(r"[0-9]{1,10}", re.ASCII)
# The signature joins names and values without separators. With all of these present no boundary can be shifted.
_OF_TEXT = ("AccountSid", "Body", "From", "MessageSid", "To")
_OF_STATUS = ("AccountSid", "MessageSid", "MessageStatus")
_MOST_MEDIA = 10  # files of one message, as documented
_MAX_ADDRESS = 1_000  # characters
# Twilio's Advanced Opt-Out has replied to these itself.
_CONTROLS: Mapping[str, Control] = {"STOP": "stop", "START": "start", "HELP": "help"}


class TwilioWebhooks:
    """Parses the calls of one account. A second token in `auth_tokens` is one that is being replaced."""

    text_path, status_path = TEXT_PATH, STATUS_PATH
    prefix = ""  # of addresses at Twilio
    paths: tuple[str, ...] = (TEXT_PATH, STATUS_PATH)

    def __init__(self, account_sid: str, auth_tokens: Sequence[str], public_url: str) -> None:
        self._account_sid = account_sid
        self._auth_tokens = auth_tokens
        self._public_url = public_url

    def parse(self, call: HttpCall) -> WebhookContent:
        """The content of a call. Raises NotSigned, or BadCall for a status that is no word."""
        parameters = self._signed_parameters(call)
        if call.path == self.text_path:
            sender = parameters["From"].removeprefix(self.prefix)
            return inbound_text(parameters | {"From": sender}, call.received_at)
        if not _STATUS_WORD.fullmatch(parameters["MessageStatus"]):
            raise BadCall("not a status", "MessageStatus")
        token = parse_qs(call.query).get("token", [""])[0]
        return status_report(parameters, token, call.received_at)

    def reply(self, text: str | None) -> Reply:
        """TwiML with one message, or with none."""
        response = MessagingResponse()
        if text is not None:
            response.message(text)
        return Reply(str(response), "text/xml")

    def parse_spooled(self, raw: bytes) -> WebhookContent:
        """A call as earlier versions kept it: the kind of call and its parameters."""
        call = _spooled_call(raw)
        if call.kind == "text":
            return inbound_text(call.parameters, call.received_at)
        return status_report(call.parameters, call.token, call.received_at)

    def _signed_parameters(self, call: HttpCall) -> dict[str, str]:
        """The parameters of a call of this account, each named once. Raises NotSigned."""
        parameters = _parameters(call.body)
        address = self._public_url + call.path + (f"?{call.query}" if call.query else "")
        if not is_signed(address, parameters, call.headers.get(HEADER, ""), self._auth_tokens):
            raise NotSigned
        required = _OF_TEXT if call.path == self.text_path else _OF_STATUS
        if any(name not in parameters for name in required):
            raise NotSigned
        if not hmac.compare_digest(parameters["AccountSid"].encode(), self._account_sid.encode()):
            raise NotSigned
        if not _MESSAGE_ID.fullmatch(parameters["MessageSid"]):
            raise NotSigned
        return parameters


class WhatsAppWebhooks(TwilioWebhooks):
    """The calls about WhatsApp messages, at their own paths."""

    text_path, status_path = WHATSAPP_TEXT_PATH, WHATSAPP_STATUS_PATH
    prefix = WHATSAPP_PREFIX
    paths = (WHATSAPP_TEXT_PATH, WHATSAPP_STATUS_PATH)


class _SpooledCall(msgspec.Struct, frozen=True):
    kind: Literal["text", "status"]
    received_at: datetime
    parameters: dict[str, str] = msgspec.field(name="told")
    token: str = ""


_spooled_call = msgspec.json.Decoder(_SpooledCall).decode


def inbound_text(parameters: Mapping[str, str], received_at: datetime) -> InboundText:
    """A text, from the parameters of a signed call."""
    return InboundText(
        source=SOURCE,
        message_id=parameters["MessageSid"],
        sender=parameters["From"],
        text=parameters["Body"],
        received_at=received_at,
        provider_action=_CONTROLS.get(parameters.get("OptOutType", "").upper()),
        media=_media(parameters),
    )


def _media(parameters: Mapping[str, str]) -> tuple[str, ...]:
    """The addresses of the files that came with a text; empty texts for those without one."""
    number = parameters.get("NumMedia", "0")
    count = min(int(number), _MOST_MEDIA) if _CODE.fullmatch(number) else 0
    return tuple(parameters.get(f"MediaUrl{index}", "")[:_MAX_ADDRESS] for index in range(count))


def status_report(parameters: Mapping[str, str], token: str, received_at: datetime) -> StatusReport:
    """A status report, from the parameters of a signed call and the token in its query."""
    word, code_text = parameters["MessageStatus"], parameters.get("ErrorCode", "")
    code = int(code_text) if _CODE.fullmatch(code_text) else None
    return StatusReport(
        message_id=parameters["MessageSid"],
        callback_token=token,
        status=word,
        received_at=received_at,
        state=STATUSES.get(word.lower()),
        code=code,
        opted_out=means_opted_out(code),
        undeliverable=means_undeliverable(code),
    )


def _parameters(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=200)
    except ValueError:
        raise NotSigned from None
    parameters = dict(pairs)
    # A name given twice would be signed as one value and read as another.
    if len(parameters) != len(pairs) or not all(_NAME.fullmatch(name) for name in parameters):
        raise NotSigned
    return parameters
