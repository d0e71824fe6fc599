"""Sends what is due: each ask once, whatever breaks in between.

One thread does the reading and writing, a few others wait for the provider. The order of things is the guarantee: it is
committed that an ask is being sent, then it is sent, then its outcome is recorded. Whoever finds an ask that is being
sent, and its sender gone, looks for the message and never sends it.
"""

import logging
import os
import secrets
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection, Engine

from pipeline import metrics
from pipeline.consumers.runtime import failpoints
from pipeline.consumers.runtime.background import Background
from pipeline.consumers.runtime.embedded import passes
from pipeline.consumers.sending.sender import Looked, Sender, Tried, Wording
from pipeline.domain.asking.ask_states import LOOK_AGAIN, State, next_look
from pipeline.domain.asking.policy import Policy
from pipeline.domain.asking.quiet_hours import open_from
from pipeline.notifiers.port import Absent, Accepted, NotAccepted, Notifier, Rejected, Unknown
from pipeline.store.asks import claiming, outcomes
from pipeline.store.asks.claiming import Claims
from pipeline.store.db.engine import reading
from pipeline.store.people.vault import Vault

LEASE = timedelta(seconds=60)  # more than twice the longest a provider's answer is waited for
_POLL_SECONDS = 1.0  # how late a due ask may be noticed when nobody says so
_COUNT_SECONDS = 15.0  # between two counts of what is on its way
_log = logging.getLogger(__name__)


class Dispatcher(Background):
    """Sends due asks and looks for those of unknown outcome. Several may run, in one process or in many.

    `told` is called after something was put into the journal, so that somebody processes it.
    """

    def __init__(
        self,
        engine: Engine,
        vault: Vault,
        policy: Policy,
        notifiers: Mapping[str, Notifier],
        wording: Wording,
        now: Callable[[], datetime],
        *,
        width: int = 64,
        lease: timedelta = LEASE,
        told: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__("dispatcher")
        self._engine = engine
        self._vault = vault
        self._policy = policy
        self._notifiers = notifiers
        self._sender = Sender(notifiers, wording, lease)
        self._now = now
        self._width = width
        self._lease = lease
        self._told = told
        self.owner = f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"
        self._finished: deque[Tried | Looked] = deque()
        self._in_flight = 0
        self._woken = False
        self._count_at = 0.0
        self._pool = ThreadPoolExecutor(width, thread_name_prefix="sender")

    def wake(self) -> None:
        """Something may have become due: look at once."""
        with self._changed:
            self._woken = True
            self._changed.notify()

    def stop(self) -> None:
        """Finish what is being sent, send nothing more, and end."""
        super().stop()
        self._pool.shutdown()

    def run_once(self, now: datetime) -> int:
        """Do whatever is to be done at `now`, to its end. Returns how many asks that were. Not beside `start`."""
        total = 0
        while (done := self._step(now)) or self._in_flight:
            total += done
            with self._changed:
                while self._in_flight and not self._finished:
                    self._changed.wait()
        return total

    def _work(self) -> None:
        while self._goes_on():
            try:
                done = self._step(self._now())
            except Exception as error:
                if not passes(error):
                    raise
                _log.error("the database is away (%s); what was sent is kept in mind", type(error).__name__)
                done = 0
            if not done:
                self._rest()

    def _goes_on(self) -> bool:
        with self._changed:
            return not self._stopping or self._in_flight > 0 or bool(self._finished)

    def _rest(self) -> None:
        """Until something finished, something is due, or somebody says so."""
        with self._changed:
            if not (self._woken or self._finished or (self._stopping and not self._in_flight)):
                self._changed.wait(_POLL_SECONDS)
            self._woken = False

    def _step(self, now: datetime) -> int:
        """Record what came back, then take up what is due. Returns how many asks were touched."""
        recorded = self._record_finished(now)
        taken = 0 if self._stopping else self._take_up(now)
        self._count(now)
        return recorded + taken

    def _take_up(self, now: datetime) -> int:
        free = self._width - self._in_flight
        if free <= 0:
            return 0
        with reading(self._engine) as connection:  # the writers' lock is not taken for nothing
            wake_at = claiming.next_wake(connection)
        if wake_at is None or wake_at > now:
            return 0
        started = time.monotonic()  # before the lease begins: a process may stand still anywhere behind this
        claims = self._claim(now, free)
        if claims.to_send:
            failpoints.reached("after_claim_commit")
        for outcome in claims.ended:
            metrics.ASKS.labels(outcome).inc()
        metrics.ASKS.labels("recovered").inc(claims.recovered)
        for claimed in claims.to_send:
            self._hand_over(partial(self._sender.deliver, claimed, started))
        for sought in claims.to_find:
            self._hand_over(partial(self._sender.find, sought))
        if claims.ended:
            self._told()
        return len(claims.to_send) + len(claims.to_find) + claims.postponed + len(claims.ended)

    def _claim(self, now: datetime, limit: int) -> Claims:
        claims: Claims | None = None
        try:
            with self._engine.begin() as connection:
                claims = claiming.claim(
                    connection,
                    self._vault,
                    self._policy,
                    self.owner,
                    self._notifiers,
                    now,
                    limit,
                    self._lease,
                )
            return claims
        except Exception as error:
            # The answer to the commit got lost? Then it stands, and only we know the tokens.
            if claims is None or not passes(error) or not self._stands(claims):
                raise
            return claims

    def _stands(self, claims: Claims) -> bool:
        with reading(self._engine) as connection:
            return all(claiming.is_claimed(connection, claimed) for claimed in claims.to_send) and bool(claims.to_send)

    def _hand_over(self, do: Callable[[], Tried | Looked]) -> None:
        with self._changed:
            self._in_flight += 1
        self._pool.submit(self._carry_out, do)

    def _carry_out(self, do: Callable[[], Tried | Looked]) -> None:
        result = do()
        with self._changed:
            self._finished.append(result)
            self._in_flight -= 1
            self._changed.notify()

    def _record_finished(self, now: datetime) -> int:
        """Write down everything that came back, in one transaction. What cannot be written is kept for the next try."""
        with self._changed:
            results = list(self._finished)
        if not results:
            return 0
        with self._engine.begin() as connection:
            outcomes.hold(connection, {_key(result) for result in results})
            # What the provider has comes first: it takes the journal's lock, which comes before any ask's.
            outcomes.accepted(connection, [news for result in results if (news := _news(result))], now)
            recorded = [self._record(connection, result, now) for result in results]
        failpoints.reached("after_record")
        with self._changed:
            for _ in results:
                self._finished.popleft()
        for outcome in recorded:
            metrics.ASKS.labels(outcome).inc()
        self._told()
        return len(results)

    def _record(self, connection: Connection, result: Tried | Looked, now: datetime) -> str:
        if isinstance(result, Looked):
            return self._record_look(connection, result, now)
        claimed, sent = result.claimed, result.sent
        key, attempt = claimed.key, claimed.attempt
        match sent:
            case Accepted():
                metrics.ASK_SECONDS.observe(max((now - claimed.sending_at + claimed.late).total_seconds(), 0))
                return "accepted"
            case NotAccepted(why, wait, code):
                _log.warning("not accepted, to be tried again: %s", why)
                retry_at = open_from(now + wait, claimed.zones, self._policy) or now + wait
                outcomes.not_accepted(connection, key, attempt, self.owner, retry_at, code)
                return "not_accepted"
            case Rejected(code, why, opted_out):
                _log.warning("rejected: %s (code %s)", why, code)
                outcomes.rejected(connection, key, attempt, code, opted_out, now)
                return "rejected"
            case Unknown(why):
                _log.warning("outcome unknown, it will be looked for: %s", why)
                outcomes.unknown(connection, key, attempt, now)
                return "unknown"

    def _record_look(self, connection: Connection, looked: Looked, now: datetime) -> str:
        sought = looked.sought
        if isinstance(looked.found, Absent):
            outcomes.never_sent(connection, sought.key, sought.attempt, now)
            return "not_accepted"
        if looked.found is not None:
            return "found"
        if looked.failed:
            again = next_look(sought.sending_at, now) or now + LOOK_AGAIN
            outcomes.look_again(connection, sought.key, sought.attempt, again)
            return "not_looked"
        if outcomes.absent(connection, sought.key, sought.attempt, now) is State.UNRESOLVED:
            _log.error("an ask is unresolved: a message may or may not have been sent, and was not found for a day")
            return "unresolved"
        return "absent"

    def _count(self, now: datetime) -> None:
        if time.monotonic() < self._count_at:
            return
        self._count_at = time.monotonic() + _COUNT_SECONDS
        with reading(self._engine) as connection:
            counted, wake_at = claiming.waiting(connection), claiming.next_wake(connection)
        metrics.ASKS_TAKEN_UP.set(min(now, wake_at or now).timestamp())
        for state, n in counted.items():
            metrics.ASKS_ON_THEIR_WAY.labels(state).set(n)


def _key(result: Tried | Looked) -> outcomes.Key:
    """The ask that a result is about."""
    return result.claimed.key if isinstance(result, Tried) else result.sought.key


def _news(result: Tried | Looked) -> outcomes.News | None:
    """What a result tells of a message that the provider has."""
    if isinstance(result, Tried):
        claimed, sent = result.claimed, result.sent
        return outcomes.News(claimed.key, claimed.attempt, sent.id) if isinstance(sent, Accepted) else None
    sought, found = result.sought, result.found
    return (
        None
        if found is None or isinstance(found, Absent)
        else outcomes.News(sought.key, sought.attempt, found.id, found.state, found.code)
    )
