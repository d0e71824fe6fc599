"""Sends due asks, each at most once, whatever fails in between.

One thread reads and writes the database; a pool of threads waits for the provider. The order of the steps is the
guarantee: first it is committed that an ask is being sent, then it is sent, then the result is recorded. A dispatcher
that finds an ask being sent by a process that is gone looks the message up and never sends it.
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

from sqlalchemy import Connection

from pipeline import metrics
from pipeline.consumers.runtime import failpoints
from pipeline.consumers.runtime.background import Background
from pipeline.consumers.runtime.retries import is_transient
from pipeline.consumers.sending.sender import LookupResult, MessageContext, Sender, SendResult
from pipeline.domain.asking.ask_states import LOOK_AGAIN, AskState, next_look
from pipeline.domain.asking.policy import Policy
from pipeline.domain.asking.quiet_hours import open_from
from pipeline.notifiers.port import Absent, Accepted, NotAccepted, Notifier, Rejected, Unknown
from pipeline.store.asks import claiming, outcomes
from pipeline.store.asks.claiming import Claimer, Claims
from pipeline.store.db.engine import reading
from pipeline.store.db.transient import reason_of
from pipeline.store.store import Store

LEASE = timedelta(seconds=60)  # more than twice the longest time that a provider's answer is waited for
_POLL_SECONDS = 1.0  # the latest that a due ask is noticed without a call of `wake`
_COUNT_SECONDS = 15.0  # between two counts of the pending asks
_log = logging.getLogger(__name__)


class Dispatcher(Background):
    """Sends due asks and looks up those of unknown outcome. Several may run, in one process or in many.

    `notifiers` by channel name. `on_committed` is called after events were stored, so that they are processed.
    """

    def __init__(
        self,
        store: Store,
        policy: Policy,
        notifiers: Mapping[str, Notifier],
        context: MessageContext,
        now: Callable[[], datetime],
        *,
        concurrency: int = 64,
        lease: timedelta = LEASE,
        on_committed: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__("dispatcher")
        self._store = store
        self._policy = policy
        self._sender = Sender(notifiers, context, lease)
        self._now = now
        self._concurrency = concurrency
        self._on_committed = on_committed
        owner = f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"
        self._claimer = Claimer(store.vault, policy, owner, frozenset(notifiers), lease)
        self._finished: deque[SendResult | LookupResult] = deque()
        self._in_flight = 0
        self._woken = False
        self._count_at = 0.0
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="sender")

    def wake(self) -> None:
        """Look for due asks at once: one may have become due."""
        with self._changed:
            self._woken = True
            self._changed.notify()

    def stop(self) -> None:
        """Finish the messages in flight, send no more, and end."""
        super().stop()
        self._pool.shutdown()

    def run_once(self, now: datetime) -> int:
        """Do everything that is due at `now`, to its end. Returns the number of steps. Not while the thread runs."""
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
                if not is_transient(error):
                    raise
                _log.error(
                    "nothing is sent, results are kept in memory (%s): %s", type(error).__name__, reason_of(error)
                )
                done = 0
            if not done:
                self._rest()

    def _goes_on(self) -> bool:
        with self._changed:
            return not self._stopping or self._in_flight > 0 or bool(self._finished)

    def _rest(self) -> None:
        """Wait until a message is finished, `wake` is called or the next poll is due."""
        with self._changed:
            if not (self._woken or self._finished or (self._stopping and not self._in_flight)):
                self._changed.wait(_POLL_SECONDS)
            self._woken = False

    def _step(self, now: datetime) -> int:
        """Record the results that came back, then claim what is due. Returns the number of asks touched."""
        recorded = self._record_finished(now)
        claimed = 0 if self._stopping else self._claim_due(now)
        self._count(now)
        return recorded + claimed

    def _claim_due(self, now: datetime) -> int:
        free = self._concurrency - self._in_flight
        if free <= 0:
            return 0
        with reading(self._store.engine) as connection:  # without a due ask, the writers' lock is not locked
            wake_at = claiming.next_wake(connection)
        if wake_at is None or wake_at > now:
            return 0
        started = time.monotonic()  # before the lease starts: the process may be suspended anywhere after this line
        claims = self._claim(now, free)
        if claims.to_send:
            failpoints.reached("after_claim_commit")
        for outcome in claims.ended:
            metrics.ASKS.labels(outcome).inc()
        metrics.ASKS.labels("recovered").inc(claims.recovered)
        for claimed in claims.to_send:
            self._submit(partial(self._sender.send, claimed, started))
        for lookup in claims.to_find:
            self._submit(partial(self._sender.look_up, lookup))
        if claims.ended:
            self._on_committed()
        return len(claims.to_send) + len(claims.to_find) + claims.postponed + len(claims.ended)

    def _claim(self, now: datetime, limit: int) -> Claims:
        claims: Claims | None = None
        try:
            with self._store.engine.begin() as connection:
                claims = self._claimer.claim(connection, now, limit)
            return claims
        except Exception as error:
            # If only the answer to the commit was lost, the claims are valid, and only this process knows the tokens.
            if claims is None or not is_transient(error) or not self._is_committed(claims):
                raise
            return claims

    def _is_committed(self, claims: Claims) -> bool:
        with reading(self._store.engine) as connection:
            return all(claiming.is_claimed(connection, claimed) for claimed in claims.to_send) and bool(claims.to_send)

    def _submit(self, call: Callable[[], SendResult | LookupResult]) -> None:
        with self._changed:
            self._in_flight += 1
        self._pool.submit(self._run_in_pool, call)

    def _run_in_pool(self, call: Callable[[], SendResult | LookupResult]) -> None:
        result = call()
        with self._changed:
            self._finished.append(result)
            self._in_flight -= 1
            self._changed.notify()

    def _record_finished(self, now: datetime) -> int:
        """Record all results that came back, in one transaction. If it fails, they are kept for the next step."""
        with self._changed:
            results = list(self._finished)
        if not results:
            return 0
        with self._store.engine.begin() as connection:
            news = [news for result in results if (news := _news(result))]
            if news:  # they are appended to the journal, and its lock comes before that of any ask
                self._store.journal.lock(connection)
            outcomes.lock_asks(connection, {_key(result) for result in results})
            outcomes.record_accepted(connection, self._store.journal, news, now)
            recorded = [self._record(connection, result, now) for result in results]
        failpoints.reached("after_record")
        with self._changed:
            for _ in results:
                self._finished.popleft()
        for outcome in recorded:
            metrics.ASKS.labels(outcome).inc()
        self._on_committed()
        return len(results)

    def _record(self, connection: Connection, result: SendResult | LookupResult, now: datetime) -> str:
        """Record one result. Returns its name in the metrics."""
        if isinstance(result, LookupResult):
            return self._record_lookup(connection, result, now)
        claimed, answer = result.claimed, result.answer
        key, attempt = claimed.key, claimed.attempt
        match answer:
            case Accepted():
                metrics.ASK_SECONDS.observe(max((now - claimed.sending_at + claimed.late).total_seconds(), 0))
                return "accepted"
            case NotAccepted(why, wait, code):
                _log.warning("not accepted, will be retried: %s", why)
                retry_at = open_from(now + wait, claimed.places, self._policy) or now + wait
                outcomes.record_not_accepted(connection, key, attempt, self._claimer.owner, retry_at, code)
                return "not_accepted"
            case Rejected(code, why, opted_out, undeliverable):
                _log.warning("rejected: %s (code %s)", why, code)
                rejected = outcomes.RejectedMessage(key, attempt, code, opted_out, undeliverable)
                outcomes.record_rejected(connection, rejected, now)
                return "rejected"
            case Unknown(why):
                _log.warning("outcome unknown, will be looked up: %s", why)
                outcomes.record_unknown(connection, key, attempt, now)
                return "unknown"

    def _record_lookup(self, connection: Connection, result: LookupResult, now: datetime) -> str:
        lookup = result.lookup
        if isinstance(result.found, Absent):
            outcomes.record_never_sent(connection, lookup.key, lookup.attempt, now)
            return "not_accepted"
        if result.found is not None:
            return "found"
        if result.failed:
            again = next_look(lookup.sending_at, now) or now + LOOK_AGAIN
            outcomes.look_up_at(connection, lookup.key, lookup.attempt, again)
            return "not_looked"
        if outcomes.record_absent(connection, lookup.key, lookup.attempt, now) is AskState.UNRESOLVED:
            _log.error("an ask is unresolved: a message may have been sent, and was not found for a day")
            return "unresolved"
        return "absent"

    def _count(self, now: datetime) -> None:
        if time.monotonic() < self._count_at:
            return
        self._count_at = time.monotonic() + _COUNT_SECONDS
        with reading(self._store.engine) as connection:
            counted, wake_at = claiming.number_by_state(connection), claiming.next_wake(connection)
        metrics.ASKS_TAKEN_UP.set(min(now, wake_at or now).timestamp())
        for state, n in counted.items():
            metrics.ASKS_ON_THEIR_WAY.labels(state).set(n)


def _key(result: SendResult | LookupResult) -> outcomes.AskKey:
    """The ask that a result is about."""
    return result.claimed.key if isinstance(result, SendResult) else result.lookup.key


def _news(result: SendResult | LookupResult) -> outcomes.AcceptedMessage | None:
    """That the provider has a message, if the result says so."""
    if isinstance(result, SendResult):
        claimed, answer = result.claimed, result.answer
        return (
            outcomes.AcceptedMessage(claimed.key, claimed.attempt, answer.id) if isinstance(answer, Accepted) else None
        )
    lookup, found = result.lookup, result.found
    if found is None or isinstance(found, Absent):
        return None
    return outcomes.AcceptedMessage(lookup.key, lookup.attempt, found.id, found.state, found.code, found.undeliverable)
