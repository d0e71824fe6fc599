"""A world in which questions are really sent: the runtime, a dispatcher on the provider's stub, callbacks."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import Engine, select

from pipeline.consumers.embedded import Embedded
from pipeline.consumers.sending import status_reports as callbacks
from pipeline.consumers.sending.dispatcher import Dispatcher
from pipeline.consumers.sending.sender import Wording
from pipeline.domain.asking.policy import Policy
from pipeline.domain.detection.segments import parse_levels
from pipeline.notifiers.channels.twilio.sms import TwilioSms
from pipeline.notifiers.port import Notifier
from pipeline.store.db.engine import reading
from pipeline.store.schema.tables import asks
from pipeline.store.unit_of_work import Setup
from tests.support.builders import VAULT
from tests.support.provider import ACCOUNT, NUMBER, TOKEN
from tests.support.running import steps

WORDING = Wording("Acme", "https://ask.example.com")


def live(url: str, policy: Policy | None = None, batch: int = 100) -> Embedded:
    """The embedded runtime of a world in which questions are sent, or its like on a cluster's database."""
    setup = Setup(parse_levels("depot:20,carrier:10"), 1.0, policy or Policy(), sending=True)
    return steps.runtime(url, VAULT, setup, batch)


def twilio(url: str, total: float = 0.5) -> TwilioSms:
    """The real adapter, pointed at the stub."""
    return TwilioSms(
        (ACCOUNT, TOKEN, ACCOUNT),
        service=None,
        sender=NUMBER,
        public_url=WORDING.public_url,
        api=url,
        total=total,
    )


def dispatcher(engine: Engine, notifier: Notifier, policy: Policy | None = None, **options: Any) -> Dispatcher:
    """A dispatcher for text messages. Its clock is only asked in the background; tests say the time themselves."""
    now = options.pop("now", None) or _no_clock
    return Dispatcher(engine, VAULT, policy or Policy(), {"sms": notifier}, WORDING, now, **options)


def _no_clock() -> datetime:
    raise AssertionError("the test has to say the time")


class Callback(NamedTuple):
    """A status callback as the webhook hands it on."""

    message_id: str
    status: str
    token: str
    error_code: str | None


def webhook(engine: Engine, now: datetime) -> Any:
    """The webhook without HTTP: what the stub calls back with goes straight into the store."""

    def call(url: str, fields: Mapping[str, str]) -> None:
        token = parse_qs(urlsplit(url).query)["token"][0]
        said = Callback(fields["MessageSid"], fields["MessageStatus"], token, fields.get("ErrorCode"))
        with engine.begin() as connection:
            callbacks.status(connection, said, now)

    return call


def stored(engine: Engine) -> list[dict[str, Any]]:
    """Every ask as it stands."""
    with reading(engine) as connection:
        return [dict(row) for row in connection.execute(select(asks).order_by(asks.c.order_id)).mappings()]


def states(engine: Engine) -> list[str]:
    """Where they stand."""
    return [row["state"] for row in stored(engine)]


A_DAY_LATER = timedelta(hours=25)  # behind the last look for a message of unknown outcome
