"""The stages of a notice, each one step: route (with mute), deduplicate, send, retry, record."""

import logging
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import Connection

from pipeline import metrics
from pipeline.domain.access.scopes import Entry, Scope
from pipeline.domain.notices.notice import GIVE_UP_AFTER, Notice, shown, wait_before
from pipeline.domain.notices.routes import Decision, Muted, Route, Told, decide
from pipeline.notifiers.receivers import port
from pipeline.notifiers.receivers.port import BatchReceiver, Delivered, Failed, Receiver, Refused, Result
from pipeline.notifiers.receivers.registry import Receivers
from pipeline.store.notices import deliveries, notices
from pipeline.store.notices.deliveries import Delivery, Outcome

Group = Sequence[Delivery]
"""Deliveries that are sent at once: one, or those of a digest."""
_COUNTED = ("delivered", "retried", "dead", "superseded", "muted", "refreshed")
_log = logging.getLogger(__name__)


def introduce(connection: Connection, receivers: Receivers, now: datetime) -> None:
    """Decide for receivers that were added about the incidents that go on: each is sent once, as it is now."""
    for receiver in receivers.by_name.values():
        if deliveries.is_new(connection, receiver.name):
            _route_to(receiver, notices.introducing(connection, receiver.name, now), receivers, connection, now)


def route(connection: Connection, receivers: Receivers, now: datetime, limit: int) -> int:
    """Decide for the oldest new notices who gets them and when. Returns how many there were."""
    new = notices.unrouted(connection, limit)
    for receiver in receivers.by_name.values() if new else ():
        _route_to(receiver, new, receivers, connection, now)
    notices.mark_routed(connection, [notice.id for notice in new])
    return len(new)


def _route_to(
    receiver: Receiver, new: Sequence[Notice], receivers: Receivers, connection: Connection, now: datetime
) -> None:
    known = deliveries.known(connection, receiver.name, {notice.data.incident_id for notice in new})
    routed = list[tuple[Notice, Decision, int | None]]()
    for notice in new:
        told = known.get(notice.data.incident_id, Told())
        decision, by = decide(notice, receiver.name, receiver.traits, receivers.routes, told, now)
        routed.append((notice, decision, None if by is None else receivers.routes.index(by)))
        if not isinstance(decision, Muted):
            known[notice.data.incident_id] = Told(routed=True, act=told.act)
    deliveries.add(connection, receiver.name, routed, now)


def deduplicate(receiver: Receiver, claimed: Sequence[Delivery]) -> tuple[list[Group], list[Outcome]]:
    """What is to be sent, and what need not be: the end of an incident that the receiver was never told of."""
    digest, groups, outcomes = dict[str, Delivery](), list[Group](), list[Outcome]()
    for each in claimed:
        if not receiver.traits.every_change and each.notice.ends and not each.told.act:
            outcomes.append(Outcome(each, "muted", Muted.NEVER_TOLD, None))
        elif not each.digest:
            groups.append([each])
        elif each.notice.data.incident_id in digest:  # the newest of each incident comes first
            outcomes.append(Outcome(each, "superseded", "a newer change", None))
        else:
            digest[each.notice.data.incident_id] = each
    if digest:
        groups.append(sorted(digest.values(), key=lambda one: one.notice.data.at))
    return groups, outcomes


def attempts_of(receiver: Receiver, groups: Sequence[Group]) -> Iterator[Sequence[Group]]:
    """The groups in as many attempts as the receiver needs: each alone, unless it takes several in one."""
    at_once = receiver.at_once if isinstance(receiver, BatchReceiver) else 1
    for first in range(0, len(groups), at_once):
        yield groups[first : first + at_once]


async def send(receiver: Receiver, prepared: Sequence[port.Delivery]) -> Sequence[Result]:
    """Make one attempt with what `attempts_of` put together. Returns the result of each."""
    if isinstance(receiver, BatchReceiver):
        return await receiver.deliver_all(prepared)
    return [await receiver.deliver(delivery) for delivery in prepared]


def prepare(group: Group, routes: Sequence[Route], now: datetime) -> port.Delivery:
    """What the receiver gets: notices as the scope of their route shows them, and a key that stays the same."""
    visible = tuple(shown(one.notice, _route_of(one, routes).scope) for one in group)
    ids = [one.notice.id for one in group]
    is_digest = group[0].digest
    key = f"digest:{sha256(chr(0).join(sorted(ids)).encode()).hexdigest()}" if is_digest else ids[0]
    return port.Delivery(key, visible, now, digest=is_digest, memory=None if is_digest else group[0].memory)


def outcomes_of(group: Group, result: Result, now: datetime) -> list[Outcome]:
    """What is recorded about an attempt: delivered, dead, or when to retry."""
    return [_outcome(one, result, now) for one in group]


def _outcome(delivery: Delivery, result: Result, now: datetime) -> Outcome:
    match result:
        case Delivered(memory, refresh_after):
            refresh_at = None if refresh_after is None else now + refresh_after
            return Outcome(delivery, "delivered", "", None, memory, refresh_at)
        case Refused(why):
            return Outcome(delivery, "dead", why, None)
        case Failed(why, wait):
            if now - delivery.created_at > GIVE_UP_AFTER:
                return Outcome(delivery, "dead", f"given up: {why}", None)
            return Outcome(delivery, "pending", why, now + max(wait or timedelta(0), wait_before(delivery.attempt)))


def create_series(receivers: Collection[str]) -> None:
    """Create the time series of these receivers: the first event of a new series would not count as an increase."""
    for name in receivers:
        metrics.NOTICE_SECONDS.labels(name)
        for outcome in _COUNTED:
            metrics.NOTICES.labels(name, outcome)


def count(outcomes: Sequence[Outcome], now: datetime) -> None:
    """Count and log what was recorded."""
    for outcome in outcomes:
        receiver, state = outcome.delivery.receiver, outcome.state
        metrics.NOTICES.labels(receiver, "retried" if state == "pending" else state).inc()
        if state == "delivered":
            waited = (now - outcome.delivery.created_at).total_seconds()
            metrics.NOTICE_SECONDS.labels(receiver).observe(max(waited, 0))
        elif state in ("pending", "dead"):
            level = logging.ERROR if state == "dead" else logging.WARNING
            _log.log(level, "receiver %s: attempt %d: %s", receiver, outcome.delivery.attempt, outcome.reason)


def _route_of(delivery: Delivery, routes: Sequence[Route]) -> Route:
    """The route by which it was decided. If the configuration has changed, one that shows nothing but its cause."""
    cause = delivery.notice.data.cause
    fitting = [one for one in routes if delivery.receiver in one.receivers]
    if delivery.route is not None and delivery.route < len(routes) and routes[delivery.route] in fitting:
        return routes[delivery.route]
    return Route(receivers=(), scope=Scope((Entry(cause.dimension, cause.value),)))
