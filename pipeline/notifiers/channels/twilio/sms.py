"""Sends and lists text messages.

Twilio's Messages API has no idempotency key: docs/twilio.md explains the consequences.
"""

import http.client
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from twilio.base.exceptions import TwilioException  # type: ignore[import-untyped]
from twilio.rest import Client  # type: ignore[import-untyped]

from pipeline.domain.asking.ask_states import AskState
from pipeline.notifiers.channels.twilio.codes import STATUSES, find_code, means_opted_out, means_undeliverable
from pipeline.notifiers.channels.twilio.http import NotSent, SingleRequestClient
from pipeline.notifiers.channels.twilio.paths import STATUS_PATH, WHATSAPP_PREFIX
from pipeline.notifiers.port import (
    Accepted,
    Found,
    InboundText,
    LookupUnavailable,
    Message,
    NotAccepted,
    ProviderAnswer,
    Rejected,
    Unknown,
    contains_link,
)

SOURCE = "twilio"  # source of inbound texts, by webhook and from the list: a text of both is the same text
_RETRY_SOON = timedelta(seconds=15)  # Twilio was unreachable or busy
_RETRY_AFTER_FIX = timedelta(minutes=15)  # an operator has to correct the setup first
_CLOCK_MARGIN = timedelta(minutes=5)  # how far Twilio's clock may be behind ours
_PAGE, _MAX_LISTED = 100, 1_000  # messages: per request, and in all to one number
_FIRST_CODE = 10_000  # Twilio's codes have five digits; without a code the library reports the HTTP status
_FAILURES = (OSError, http.client.HTTPException, ValueError, TypeError, KeyError, AttributeError)


class TwilioSms:
    """Sends through a messaging service, or from a number, and lists the texts that come back.

    `credentials` are (user, password, account): the account with its token, or an API key with its secret. `api` is the
    API's base URL, `total` the seconds that a whole exchange may last.
    """

    name = "twilio_sms"
    prefix = ""  # of addresses at Twilio
    status_path = STATUS_PATH

    def __init__(
        self,
        credentials: tuple[str, str, str],
        *,
        service: str | None,
        sender: str | None,
        public_url: str,
        api: str,
        total: float,
    ) -> None:
        user, password, account = credentials
        self._http = SingleRequestClient(api, total)
        self._client: Any = Client(user, password, account, http_client=self._http)
        self._service, self._sender = service, sender
        self._from = {"messaging_service_sid": service} if service is not None else {"from_": sender}
        self._public_url = public_url

    def send(self, message: Message) -> ProviderAnswer:
        """One POST."""
        try:
            made = self._client.messages.create(
                to=f"{self.prefix}{message.to}",
                status_callback=f"{self._public_url}{self.status_path}?token={message.callback_token}",
                **self._from,
                **self._content(message),
            )
            sid = made.sid
        except NotSent as error:
            return NotAccepted(f"no connection ({error})", _RETRY_SOON)
        except TwilioException as error:
            return _refusal(error)
        except _FAILURES as error:
            return Unknown(type(error).__name__)
        return Accepted(sid) if isinstance(sid, str) and sid else Unknown("a response without an id")

    def _content(self, message: Message) -> dict[str, Any]:
        """The parameters that say what is sent, and how long it may wait."""
        return {"body": message.body, "validity_period": int(message.valid_for.total_seconds())}

    def find(self, to: str, link_hash: str, since: datetime) -> Found | None:
        """Search the messages sent to that number for one with the link."""
        try:
            # The newest come first. No filter by date: it compares the day of sending, which a message still in the
            # queue, or one that failed there, does not have.
            for one in self._client.messages.stream(to=f"{self.prefix}{to}", limit=_MAX_LISTED, page_size=_PAGE):
                if one.date_created is not None and one.date_created < since - _CLOCK_MARGIN:
                    return None
                if contains_link([one.body or ""], link_hash):
                    code = _number(one.error_code)
                    state = STATUSES.get(str(one.status), AskState.SENT)
                    return Found(str(one.sid), state, code, means_undeliverable(code))
        except (NotSent, TwilioException, *_FAILURES) as error:
            raise LookupUnavailable(type(error).__name__) from error
        return None

    def time(self) -> datetime | None:
        """Twilio's time, by the `Date` of a response, whatever else it says; None: there is no such response now."""
        try:
            headers = {name.lower(): value for name, value in self._http.request("GET", "/").headers.items()}
            return parsedate_to_datetime(headers["date"]).astimezone(UTC)
        except (NotSent, *_FAILURES):
            return None

    def received(self, since: datetime) -> Iterator[InboundText]:
        """The texts to the sending number since a moment, newest first; with a messaging service, to all its numbers.

        The list has no filter by service. A text that names no service counts as one to ours.
        """
        since -= _CLOCK_MARGIN
        ours = {"to": self._sender} if self._service is None else {}
        try:
            # By day: the filter is documented for dates only.
            listed = self._client.messages.stream(date_sent_after=since.date(), page_size=_PAGE, **ours)
            for one in listed:
                if one.date_sent is not None and one.date_sent < since:
                    return
                elsewhere = self._service is not None and one.messaging_service_sid not in (None, self._service)
                moment = one.date_sent or one.date_created
                elsewhere = elsewhere or str(one.from_).startswith(WHATSAPP_PREFIX) != bool(self.prefix)
                if one.status == "received" and moment is not None and not elsewhere:
                    media = ("",) * (_number(one.num_media) or 0)  # the list states how many, not where
                    sender = str(one.from_).removeprefix(self.prefix)
                    yield InboundText(SOURCE, str(one.sid), sender, one.body or "", moment, media=media)
        except (NotSent, TwilioException, *_FAILURES) as error:
            raise LookupUnavailable(type(error).__name__) from error


def _refusal(error: Any) -> ProviderAnswer:
    """What an error response means for the message: refused for good, not accepted now, or unknown."""
    status, code = getattr(error, "status", None), _number(getattr(error, "code", None))
    if status == http.client.TOO_MANY_REQUESTS:
        return NotAccepted("too many requests", _RETRY_SOON, code)
    if status is None or not 400 <= status < 500 or code is None or code < _FIRST_CODE:
        return Unknown(f"HTTP {status}")
    found = find_code(code)
    if found is None:
        return Rejected(code, "an unlisted code")
    if found.action == "retry":
        return NotAccepted(found.meaning, _RETRY_SOON, code)
    if found.action == "fix_setup":
        return NotAccepted(found.meaning, _RETRY_AFTER_FIX, code)
    return Rejected(code, found.meaning, means_opted_out(code), means_undeliverable(code))


def _number(code: object) -> int | None:
    return int(code) if isinstance(code, int | str) and str(code).isdecimal() else None
