"""Text messages through Twilio. Its Messages API has no idempotency key: docs/twilio.md says what follows from that."""

import http.client
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from twilio.base.exceptions import TwilioException  # type: ignore[import-untyped]
from twilio.rest import Client  # type: ignore[import-untyped]

from pipeline.domain.asking.ask_states import State
from pipeline.notifiers.channels.twilio.codes import STATUSES, known, means_opted_out
from pipeline.notifiers.channels.twilio.http import NotSent, OneShot
from pipeline.notifiers.port import (
    Accepted,
    CannotLook,
    Found,
    Message,
    NotAccepted,
    Received,
    Rejected,
    Sent,
    Unknown,
    holds_link,
)
from pipeline.settings import Settings, Unusable

_SOON = timedelta(seconds=15)  # until the next try where Twilio was out of reach or busy
_AFTER_MENDING = timedelta(minutes=15)  # until the next try where a person has to change something first
_MARGIN = timedelta(minutes=5)  # how far the provider's clock may be behind ours
_PAGE, _MOST_LISTED = 100, 1_000  # messages: in a request, and in all to one number
_FIRST_CODE = 10_000  # Twilio's codes have five digits; the library puts the HTTP status where there was none
_TROUBLE = (OSError, http.client.HTTPException, ValueError, TypeError, KeyError, AttributeError)


class TwilioSms:
    """Sends through a messaging service, or from a number.

    `credentials` are (user, password, account): the account with its token, or an API key with its secret.
    """

    name = "twilio_sms"

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
        self._client: Any = Client(user, password, account, http_client=OneShot(api, total))
        self._service, self._sender = service, sender
        self._from = {"messaging_service_sid": service} if service is not None else {"from_": sender}
        self._public_url = public_url

    def send(self, message: Message) -> Sent:
        """One POST."""
        try:
            made = self._client.messages.create(
                to=message.to,
                body=message.body,
                validity_period=int(message.valid_for.total_seconds()),
                status_callback=f"{self._public_url}/twilio/status?token={message.callback_token}",
                **self._from,
            )
            sid = made.sid
        except NotSent as error:
            return NotAccepted(f"no connection ({error})", _SOON)
        except TwilioException as error:
            return _refusal(error)
        except _TROUBLE as error:
            return Unknown(type(error).__name__)
        return Accepted(sid) if isinstance(sid, str) and sid else Unknown("an answer without an id")

    def find(self, to: str, link_hash: str, since: datetime) -> Found | None:
        """Look through the messages sent to that number for one with our link."""
        try:
            # The newest come first. No filter by date: it is by the day of sending, which a message still in the queue,
            # or one that failed in it, does not have.
            for one in self._client.messages.stream(to=to, limit=_MOST_LISTED, page_size=_PAGE):
                if one.date_created is not None and one.date_created < since - _MARGIN:
                    return None
                if holds_link([one.body or ""], link_hash):
                    return Found(str(one.sid), STATUSES.get(str(one.status), State.SENT), _number(one.error_code))
        except (NotSent, TwilioException, *_TROUBLE) as error:
            raise CannotLook(type(error).__name__) from error
        return None

    def received(self, since: datetime) -> Iterator[Received]:
        """The texts to our number since a moment, newest first; with a messaging service, to whatever number it has.

        The list knows no filter by service. Where it does not say which of them a text came to, we take it for ours.
        """
        since -= _MARGIN
        ours = {"to": self._sender} if self._service is None else {}
        try:
            # By the day, which is all that the filter is documented to understand.
            listed = self._client.messages.stream(date_sent_after=since.date(), page_size=_PAGE, **ours)
            for one in listed:
                if one.date_sent is not None and one.date_sent < since:
                    return
                elsewhere = self._service is not None and one.messaging_service_sid not in (None, self._service)
                moment = one.date_sent or one.date_created
                if one.status == "received" and moment is not None and not elsewhere:
                    yield Received(str(one.sid), str(one.from_), one.body or "", moment)
        except (NotSent, TwilioException, *_TROUBLE) as error:
            raise CannotLook(type(error).__name__) from error


def from_settings(settings: Settings) -> TwilioSms:
    """The adapter as the settings want it. Raises Unusable naming what is missing."""
    account, token = settings.twilio_account_sid, settings.twilio_auth_token
    if account is None or token is None:
        raise Unusable("twilio_sms needs UNVARNISHED_TWILIO_ACCOUNT_SID and UNVARNISHED_TWILIO_AUTH_TOKEN")
    if settings.twilio_messaging_service is None and settings.twilio_from is None:
        raise Unusable("twilio_sms needs UNVARNISHED_TWILIO_MESSAGING_SERVICE or UNVARNISHED_TWILIO_FROM")
    user, password = account, token.get_secret_value()
    if settings.twilio_api_key is not None and settings.twilio_api_secret is not None:
        user, password = settings.twilio_api_key, settings.twilio_api_secret.get_secret_value()
    return TwilioSms(
        (user, password, account),
        service=settings.twilio_messaging_service,
        sender=settings.twilio_from,
        public_url=settings.public_url.rstrip("/"),
        api=settings.twilio_url.rstrip("/"),
        total=settings.provider_seconds,
    )


def _refusal(error: Any) -> Sent:
    """What an error answer says of the message: refused for good, not now, or nobody knows."""
    status, code = getattr(error, "status", None), _number(getattr(error, "code", None))
    if status == http.client.TOO_MANY_REQUESTS:
        return NotAccepted("too many requests", _SOON, code)
    if status is None or not 400 <= status < 500 or code is None or code < _FIRST_CODE:
        return Unknown(f"HTTP {status}")
    found = known(code)
    if found is None:
        return Rejected(code, "a reason we do not know")
    if found.then == "later":
        return NotAccepted(found.meaning, _SOON, code)
    if found.then == "mend":
        return NotAccepted(found.meaning, _AFTER_MENDING, code)
    return Rejected(code, found.meaning, means_opted_out(code))


def _number(code: object) -> int | None:
    return int(code) if isinstance(code, int | str) and str(code).isdecimal() else None
