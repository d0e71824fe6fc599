"""What happens when alerts change, and when people act: open alerts are grouped into incidents, acts are recorded.

Alerts are grouped by one writer at a time, soon after an alert changes, a pair of an open alert is amended, or the day
changes (UTC). The grouping reads stored rows only.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from pipeline.consumers.cases.opening import follow_incident
from pipeline.domain.detection.explanation import Explanation, explain
from pipeline.domain.detection.pairs import SOURCE_SILENT
from pipeline.domain.detection.segments import Series
from pipeline.domain.detection.source_silence import SLOT
from pipeline.domain.incidents import lifecycle
from pipeline.domain.incidents.figures import LONG_DAYS, now_of, rank_of
from pipeline.domain.incidents.grouping import groups_of, regroup
from pipeline.domain.incidents.incident import PREFIX, Act, Incident, event_of
from pipeline.store.incidents import incidents, open_alerts
from pipeline.store.orders.timers import Timer
from pipeline.store.people.vault import Vault
from pipeline.store.unit_of_work import UnitOfWork

# Kinds of timers.
REGROUP = "regroup"  # its subject is a signal whose alerts changed, or `day`
SNOOZE_END = "snooze_end"  # its subject is the number of an incident
_DAY = "day"
_AMENDED = ":amended"
_SLOTS_A_DAY = timedelta(days=1) // SLOT
_APART = timedelta(seconds=1)  # between two groupings of a signal


def alert_changed(signal: str, work: UnitOfWork, now: datetime) -> None:
    """An alert opened, escalated or resolved: group the signal's alerts at once, but at most once a second.

    A burst of alerts would otherwise group all of them once for each.
    """
    last = incidents.grouped_at(work.connection, signal)
    work.timers.set(REGROUP, "", signal, now if last is None else max(now, last + _APART))


def pair_amended(signal: str, work: UnitOfWork, now: datetime) -> None:
    """A pair of an open alert was amended: group the signal's alerts within a minute, once for all amendments of it."""
    work.timers.set(REGROUP, "", signal + _AMENDED, _next_minute(now))


def handle_regroup(timer: Timer, work: UnitOfWork, now: datetime) -> None:
    """Group the open alerts of a signal, of all signals when the day changed, and update the incidents."""
    work.lock_incidents()
    work.evidence.flush()
    work.orders.flush()
    explanations = incidents.read_explanations(work.connection)
    signal = timer.subject.removesuffix(_AMENDED)
    wanted = explanations.keys() | open_alerts.open_signals(work.connection) if signal == _DAY else {signal}
    found = {name: _explain(name, work, now) for name in sorted(wanted)}
    incidents.save_explanations(work.connection, found, now)
    _update(explanations | found, work, now)


def _explain(signal: str, work: UnitOfWork, now: datetime) -> Explanation:
    if signal == SOURCE_SILENT:  # it has no orders that it could share with another
        sources = open_alerts.open_ids(work.connection, signal)
        return Explanation(causes=tuple(sources), explained={}, disputed_accounts=(), unexplained=())
    thresholds = {level: threshold.on(now.toordinal()) for level, threshold in work.setup.thresholds.items()}
    runs = open_alerts.runs_of(work.connection, signal, thresholds)
    order_ids = {pair.order for run in runs for pair in run.pairs}
    order_ids |= open_alerts.disputed_orders(work.connection, runs)
    return explain(runs, open_alerts.places(work.connection, order_ids, work.setup.levels))


def _update(explanations: dict[str, Explanation], work: UnitOfWork, now: datetime) -> None:
    """Bring the incidents in line with the open alerts, and publish what changes."""
    alerts = open_alerts.open_divergences(work.connection, now.toordinal())
    known = incidents.known(work.connection, now)
    held = {alert: incident for incident in known.active for alert in (*incident.alerts, *incident.explains)}
    disputed = {key for explanation in explanations.values() for key in explanation.of_disputes}
    steps = regroup(groups_of(explanations, alerts, held), known, frozenset(alerts) - disputed, now)
    _renew_figures([step.incident for step in steps if step.incident.ended_at is None], work, now)
    for step in steps:
        for act in step.acts:
            _publish(step.incident, _marked(step.incident, act, work), work, now)
    incidents.save(work.connection, [step.incident for step in steps])
    if alerts or incidents.has_active(work.connection):
        work.timers.set(REGROUP, "", _DAY, _next_day(now))


def _marked(incident: Incident, act: Act, work: UnitOfWork) -> Act:
    """The act, marked if it belongs to a replayed past."""
    return act._replace(historic=open_alerts.is_historic(work.connection, _series(incident)))


def _renew_figures(going_on: Sequence[Incident], work: UnitOfWork, now: datetime) -> None:
    """The figures of the last days, and the rank that follows from them."""
    today = now.toordinal()
    volumes = work.orders.completed({each.segment for each in going_on}, today - LONG_DAYS + 1, today)
    for incident in going_on:
        pairs = open_alerts.pairs_since(work.connection, _series(incident), today - LONG_DAYS + 1).pairs
        incident.now = now_of(pairs, incident.then, now.date())
        volume = volumes.get(incident.segment, len(pairs))  # of a route its messages
        incident.rank = rank_of(incident.then, incident.now, volume)
        if incident.cause.signal == SOURCE_SILENT:  # quarters of an hour a month whose events are missing
            incident.rank = (1.0 - (incident.then.null or 0.0)) * LONG_DAYS * _SLOTS_A_DAY


def handle_snooze_end(timer: Timer, work: UnitOfWork, now: datetime) -> None:
    """The time for which an incident was set aside is over: it is open again."""
    work.lock_incidents()
    incident = incidents.find(work.connection, int(timer.subject))
    act = None if incident is None else lifecycle.wake(incident, now)
    if incident is not None and act is not None:
        _publish(incident, act, work, now)
        incidents.save(work.connection, [incident])


def perform(
    number: int, decide: Callable[[Incident], Act], vault: Vault, work: UnitOfWork, now: datetime
) -> Incident | None:
    """Record what a person does about an incident; None: there is no such incident.

    `decide` is one of the acts of `domain.incidents.lifecycle`; what it refuses, this raises. The caller flushes `work`
    and commits.
    """
    work.lock_incidents()
    incident = incidents.find(work.connection, number)
    if incident is None:
        return None
    act = decide(incident)
    _publish(incident, act, work, now, vault)
    incidents.save(work.connection, [incident])
    if incident.status == "snoozed" and incident.until is not None:
        work.timers.set(SNOOZE_END, "", str(number), incident.until)
    return incident


def _publish(incident: Incident, act: Act, work: UnitOfWork, now: datetime, vault: Vault | None = None) -> None:
    incident.acts += 1
    event = event_of(incident, act, now)
    words = None if act.words is None or vault is None else vault.seal_bytes(act.words.encode())
    incidents.add_act(work.connection, event, incident.number, act, act.what, words)
    work.emit(f"incident.{act.what}", f"{incident.incident_id}:{incident.acts}", now, event)
    follow_incident(incident, act, work, now)


def number_of(incident_id: str) -> int | None:
    """The number in the identity of an incident; None if it is none."""
    digits = incident_id.removeprefix(PREFIX)
    return int(digits) if incident_id.startswith(PREFIX) and digits.isascii() and digits.isdigit() else None


def _series(incident: Incident) -> Series:
    cause = incident.cause
    return Series(cause.dimension, cause.value, cause.signal)


def _next_minute(now: datetime) -> datetime:
    return now.replace(second=0, microsecond=0) + timedelta(minutes=1)


def _next_day(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
