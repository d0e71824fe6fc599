"""The report of the last week by e-mail: each recipient's own, within their scope and permissions, once a week."""

import logging
import os
import secrets
import socket
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Literal, NamedTuple

from pipeline.consumers.runtime import failpoints
from pipeline.consumers.runtime.background import Background
from pipeline.consumers.runtime.retries import is_transient
from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.domain.events.times import zone
from pipeline.domain.notices.notice import GIVE_UP_AFTER
from pipeline.domain.reports.periods.calendar import Period, newest_complete
from pipeline.domain.setup import Setup
from pipeline.notifiers.mail_server import smtp_server
from pipeline.notifiers.port import Accepted, NotAccepted, ProviderAnswer, Rejected
from pipeline.notifiers.smtp import Mail, SmtpTransport
from pipeline.settings import ConfigurationError, Settings
from pipeline.settings.pages.digest import WEEKDAYS
from pipeline.store.db.engine import reading
from pipeline.store.evidence import level_changes
from pipeline.store.notices import reports as deliveries
from pipeline.store.notices.reports import Key, LeaseLost
from pipeline.store.store import Store
from pipeline.store.users import users
from pipeline.web.internal.filters import default_level
from pipeline.web.internal.report import contents
from pipeline.web.internal.report.mail import Rendered, rendered

LEASE = timedelta(minutes=2)  # longer than an attempt, which the timeout of the mail server limits
_CHECK_SECONDS = 30.0
_log = logging.getLogger(__name__)
State = Literal["sent", "sent before", "unknown", "later", "refused", "skipped"]


class Result(NamedTuple):
    """What became of the report of one user. `unknown`: handed over without a reply; it is not sent again."""

    user: str
    state: State
    why: str = ""


class Digests:
    """Writes and sends the report of a period to the recipients in the settings."""

    def __init__(self, store: Store, setup: Setup, settings: Settings) -> None:
        self._store = store
        self._setup = setup
        self._settings = settings
        self._owner = f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"

    def check(self) -> None:
        """Raise ConfigurationError if recipients are configured, and mail cannot be sent."""
        if self._settings.digest_to and self._settings.mail_from is None:
            raise ConfigurationError("UNVARNISHED_DIGEST_TO needs UNVARNISHED_MAIL_FROM, the address it is sent from")
        if self._settings.digest_to:
            smtp_server(self._settings)

    def period(self, now: datetime) -> Period:
        """The week that the report is about at that time."""
        return newest_complete("week", now.astimezone(zone(self._settings.digest_timezone)).date())

    def is_due(self, now: datetime) -> bool:
        """Whether the time of this week has come."""
        local = now.astimezone(zone(self._settings.digest_timezone))
        day = WEEKDAYS.index(self._settings.digest_weekday)
        return (local.weekday(), local.time()) >= (day, self._settings.digest_time)

    def written(self, reader: Principal, period: Period, now: datetime) -> Rendered:
        """The report as its reader gets it at that time."""
        with reading(self._store.engine) as connection:
            setup = self._setup.with_changes(level_changes.read(connection))
            level = default_level(setup)
            made = contents.report_of(connection, setup, reader, self._store.vault, period, level, now.date())
        return rendered(made, reader, setup, self._settings.internal_url)

    def reader(self, user: str) -> Principal | str:
        """The user as a reader; otherwise why they get no report."""
        with reading(self._store.engine) as connection:
            found = users.find(connection, user)
        if found is None:
            return "no such user"
        if found.state != "active":
            return f"the user is {found.state}"
        return found.principal if found.principal.may(Permission.FIGURES) else "may not read figures"

    def send(self, now: datetime, only: str | None = None) -> list[Result]:
        """Send the report to those recipients who have not had it. `only`: to one of them.

        Raises ConfigurationError.
        """
        self.check()
        names = [name for name in self._settings.digest_to if only in (None, name)]
        if not names:
            named = ", ".join(self._settings.digest_to) or "nobody"
            raise ConfigurationError(f"no such recipient: UNVARNISHED_DIGEST_TO names {named}")
        return [self._send(name, self.period(now), now) for name in names]

    def _send(self, name: str, period: Period, now: datetime) -> Result:
        reader = self.reader(name)
        if isinstance(reader, str):
            return Result(name, "skipped", reader)
        key = Key(reader.name, period.name)
        with self._store.engine.begin() as connection:
            claim = deliveries.claim(connection, key, self._owner, now, LEASE)
        if claim != "claimed":
            return _ALREADY[claim](name)
        failpoints.reached("after_claim_commit")
        mail = self._mail(key, self._settings.digest_to[name], self.written(reader, period, now))
        failpoints.reached("before_post")
        try:
            answer = SmtpTransport(smtp_server(self._settings)).send(mail, mail.message_id, partial(self._begin, key))
        except LeaseLost:
            return Result(name, "later", "another process sends it")
        failpoints.reached("after_post_before_record")
        return self._record(name, key, answer, self._store.clock())

    def _begin(self, key: Key) -> None:
        with self._store.engine.begin() as connection:
            deliveries.begin(connection, key, self._owner, self._store.clock())

    def _record(self, name: str, key: Key, answer: ProviderAnswer, now: datetime) -> Result:
        with self._store.engine.begin() as connection:
            finish = partial(deliveries.finish, connection, key, self._owner)
            match answer:
                case Accepted():
                    finish("delivered", "", now)
                    return Result(name, "sent")
                case Rejected(_, why):
                    finish("dead", why, now)
                    return Result(name, "refused", why)
                case NotAccepted(why, wait):
                    if now - deliveries.first_tried(connection, key) > GIVE_UP_AFTER:
                        finish("dead", f"given up: {why}", now)
                        return Result(name, "refused", f"given up: {why}")
                    finish("pending", why, now, now + wait)
                    return Result(name, "later", why)
                case _:
                    finish("sending", answer.why, now)
                    return Result(name, "unknown", answer.why)

    def _mail(self, key: Key, address: str, written: Rendered) -> Mail:
        """The e-mail. The same report to the same user has the same Message-ID."""
        sender = self._settings.mail_from or ""
        number = sha256(f"report {key.event_id}".encode()).hexdigest()[:40]
        return Mail(
            sender,
            self._settings.company_name or "Unvarnished",
            address,
            written.subject,
            written.text,
            written.html,
            f"{number}@{sender.rpartition('@')[2]}",
            self._settings.mail_reply_to,
            images=written.images,
        )


_ALREADY = {
    "delivered": partial(Result, state="sent before"),
    "sending": partial(Result, state="unknown", why="it was handed over without a reply, and is not sent again"),
    "dead": partial(Result, state="refused", why="the server refused it, and it is not sent again"),
    "waiting": partial(Result, state="later", why="another process sends it, or it is tried again later"),
}


class DigestThread(Background):
    """Sends the report when its time of the week has come. Several may run, in one process or in many."""

    def __init__(self, digests: Digests, store: Store) -> None:
        super().__init__("report by e-mail")
        self._digests = digests
        self._store = store
        self._finished = ""

    def _work(self) -> None:
        while self._pause(_CHECK_SECONDS):
            try:
                self._check()
            except Exception as error:
                if not is_transient(error):
                    raise
                _log.warning("database unavailable (%s); reports are sent later", type(error).__name__)

    def _check(self) -> None:
        now = self._store.clock()
        week = self._digests.period(now).name
        if week == self._finished or not self._digests.is_due(now):
            return
        found = self._digests.send(now)
        for state in sorted({result.state for result in found} - {"sent before"}):
            _log.info("reports of %s: %d %s", week, sum(result.state == state for result in found), state)
        if all(result.state != "later" for result in found):
            self._finished = week
