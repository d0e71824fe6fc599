"""An installation that sends questions: the runner, a dispatcher on the provider's stub, and status reports."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import Engine, select

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.sending import status_reports
from pipeline.consumers.sending.dispatcher import Dispatcher
from pipeline.consumers.sending.sender import MessageContext
from pipeline.consumers.sending.status_reports import UnknownMessage
from pipeline.domain.asking.policy import Policy
from pipeline.domain.detection.segments import parse_levels
from pipeline.domain.setup import Setup
from pipeline.notifiers.channels.email.notifier import Email
from pipeline.notifiers.channels.twilio.paths import WHATSAPP_PREFIX
from pipeline.notifiers.channels.twilio.sms import TwilioSms
from pipeline.notifiers.channels.twilio.webhooks import status_report
from pipeline.notifiers.channels.twilio.whatsapp import TwilioWhatsApp
from pipeline.notifiers.port import Notifier
from pipeline.notifiers.smtp import SmtpServer, SmtpTransport
from pipeline.store.db.engine import reading
from pipeline.store.schema.asks import asks
from pipeline.store.store import Store
from tests.support.provider import ACCOUNT, NUMBER, TOKEN
from tests.support.running import steps
from tests.support.running.embedded import VAULT

CONTEXT = MessageContext("Acme", "https://ask.example.com")


def sending_runner(url: str, policy: Policy | None = None, batch: int = 100) -> EmbeddedRunner:
    """An embedded runner of an installation that sends questions, or its equivalent on a cluster's database."""
    setup = Setup(parse_levels("depot:20,carrier:10"), 1.0, policy or Policy(), sending=True)
    return steps.runtime(url, VAULT, setup, batch)


def twilio(url: str, total: float = 0.5) -> TwilioSms:
    """The real notifier, with the stub's address."""
    return TwilioSms(
        (ACCOUNT, TOKEN, ACCOUNT),
        service=None,
        sender=NUMBER,
        public_url=CONTEXT.public_url,
        api=url,
        total=total,
    )


def whatsapp(url: str, total: float = 0.5) -> TwilioWhatsApp:
    """The real notifier for WhatsApp, with the stub's address."""
    return TwilioWhatsApp(
        (ACCOUNT, TOKEN, ACCOUNT),
        templates={"en": "HX" + "0" * 32},
        service=None,
        sender=f"{WHATSAPP_PREFIX}{NUMBER}",
        public_url=CONTEXT.public_url,
        api=url,
        total=total,
    )


def email(port: int, total: float = 2.0) -> Email:
    """The real notifier for e-mail, with a server on this machine."""
    transport = SmtpTransport(SmtpServer("127.0.0.1", port, "none", total))
    return Email(transport, "ask@supplier.example", CONTEXT.company, None)


def dispatcher(store: Store, notifier: Notifier, policy: Policy | None = None, **options: Any) -> Dispatcher:
    """A dispatcher for one channel. Only its thread reads its clock; tests pass the time themselves."""
    now = options.pop("now", None) or _no_clock
    policy = policy or Policy()
    return Dispatcher(store, policy, {policy.channels[0].name: notifier}, CONTEXT, now, **options)


def send_due(runtime: EmbeddedRunner, url: str, policy: Policy, when: datetime) -> None:
    """Let the time pass, send what is due then through a provider at that address, and process what came of it."""
    runtime.tick(when)
    made = dispatcher(runtime.store, twilio(url), policy)
    made.run_once(when)
    made.stop()
    runtime.process_pending()


def _no_clock() -> datetime:
    raise AssertionError("the test has to pass the time")


def webhook(store: Store, now: datetime) -> Any:
    """The webhook without HTTP and signature: the stub's reports go directly into the store."""

    def call(url: str, fields: Mapping[str, str]) -> None:
        token = parse_qs(urlsplit(url).query)["token"][0]
        report = status_report(fields, token, now)
        # A report on a message of another installation is rejected, and stores nothing.
        with suppress(UnknownMessage), store.engine.begin() as connection:
            status_reports.handle(connection, store.journal, report, now)

    return call


def stored(engine: Engine) -> list[dict[str, Any]]:
    """Every ask, as stored."""
    with reading(engine) as connection:
        return [dict(row) for row in connection.execute(select(asks).order_by(asks.c.order_id)).mappings()]


def states(engine: Engine) -> list[str]:
    """Their states."""
    return [row["state"] for row in stored(engine)]


A_DAY_LATER = timedelta(hours=25)  # after the last lookup of a message of unknown outcome
