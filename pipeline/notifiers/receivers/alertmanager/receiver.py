"""Gives Alertmanager each incident as one alert, and tells it again before it expires, until it is over.

The labels are incident, signal and severity, and they stay: Alertmanager takes an alert with another label for a new
one, and pages. So the cause is an annotation, and the labels change only when the severity rises; then the alert with
the earlier labels ends. While an incident is snoozed its alert has ended; afterwards it fires again.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from pipeline.domain.notices.notice import TEST_INCIDENT, Notice
from pipeline.domain.notices.routes import Traits
from pipeline.notifiers.receivers import http, text
from pipeline.notifiers.receivers.configuration import AlertmanagerConfig, wrong_receiver
from pipeline.notifiers.receivers.port import Delivered, Delivery, Refused, Result

REFRESH_EVERY = timedelta(minutes=1)
_EXPIRES_AFTER = 4 * REFRESH_EVERY  # as Prometheus does: three refreshes may fail
_TELL_END_FOR = timedelta(minutes=15)  # as Prometheus does: Alertmanager forgets alerts when it restarts
_TEST_LASTS = timedelta(minutes=1)
_SEVERITIES = ("minor", "major", "critical")
_encode = msgspec.json.Encoder().encode


class Alert(Struct, frozen=True):
    """An alert as Alertmanager has it. `ends_at` null: it goes on."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime
    ends_at: datetime | None = None


class Memory(Struct, frozen=True):
    """What is kept of an incident: its alert, and those with earlier labels, which have ended."""

    alert: Alert
    earlier: tuple[Alert, ...] = ()


_memory = msgspec.json.Decoder(Memory)


class AlertmanagerReceiver:
    """One Alertmanager, or the peers of one cluster."""

    traits = Traits(keeps_state=True)
    at_once = 250

    def __init__(self, config: AlertmanagerConfig, incident_url: str | None) -> None:
        self.name = config.name
        urls = [config.url] if isinstance(config.url, str) else config.url
        self.target = ", ".join(map(http.shown, urls))
        self._urls = [f"{url.rstrip('/')}/api/v2/alerts" for url in urls]
        self._incident_url = incident_url
        auth = None if config.user is None else (config.user, config.password or "")
        self._poster = http.Poster(guarded=False, auth=auth)

    async def deliver(self, delivery: Delivery) -> Result:
        """Make one attempt."""
        if delivery.test:
            return await self._post([_test_alert(delivery.now)], delivery.now)
        [result] = await self.deliver_all([delivery])
        return result

    async def deliver_all(self, deliveries: Sequence[Delivery]) -> Sequence[Result]:
        """Give it several incidents in one request. If it refuses the request, each half of it alone, and so on."""
        memories = [self._memory_after(delivery) for delivery in deliveries]
        result = await self._post(
            [a for memory in memories for a in (memory.alert, *memory.earlier)], deliveries[0].now
        )
        if isinstance(result, Delivered):
            return [Delivered(_encode(memory).decode(), REFRESH_EVERY) for memory in memories]
        if isinstance(result, Refused) and len(deliveries) > 1:  # one that it cannot read must not cost the others
            half = len(deliveries) // 2
            return [*await self.deliver_all(deliveries[:half]), *await self.deliver_all(deliveries[half:])]
        return [result] * len(deliveries)

    def _memory_after(self, delivery: Delivery) -> Memory:
        [notice] = delivery.notices
        before = None if delivery.memory is None else _memory.decode(delivery.memory)
        return after(notice, before, self._incident_url)

    async def refresh(self, memories: Sequence[str], now: datetime) -> Result:
        """Tell the state of these incidents again."""
        decoded = [_memory.decode(memory) for memory in memories]
        return await self._post([alert for one in decoded for alert in (one.alert, *one.earlier)], now)

    def refreshes(self, memory: str, now: datetime) -> bool:
        """Whether the incident goes on, or ended so recently that Alertmanager may not know."""
        ends_at = _memory.decode(memory).alert.ends_at
        return ends_at is None or now < ends_at + _TELL_END_FOR

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()

    async def _post(self, alerts: Sequence[Alert], now: datetime) -> Result:
        """Tell every peer; delivered once one has it, since the peers do not share alerts but notify once."""
        body = _encode([_written(alert, now) for alert in alerts])
        results = [await self._poster.post(url, body, {"content-type": "application/json"}) for url in self._urls]
        return next((result for result in results if isinstance(result, Delivered)), results[0])


def after(notice: Notice, before: Memory | None, incident_url: str | None = None) -> Memory:
    """What Alertmanager has to know of an incident after this change. `before`: what it knows."""
    data = notice.data
    ends_at = data.at if notice.ends or notice.is_snoozed else None
    severity = data.severity or "minor"
    labels = {"incident": data.incident_id, "signal": data.cause.signal, "severity": severity}
    alert = Alert(labels, text.annotations(notice, incident_url), data.opened_at, ends_at)
    if before is None:
        return Memory(alert)
    ended = before.alert.ends_at
    if ended is not None and ends_at is not None:  # it has ended once, and stays so
        return Memory(replace(before.alert, annotations=alert.annotations), before.earlier)
    if ended is not None:  # it was reopened, or its snooze is over: a new alert
        return Memory(replace(alert, starts_at=data.at))
    if _SEVERITIES.index(severity) <= _SEVERITIES.index(before.alert.labels["severity"]):
        return Memory(replace(alert, labels=before.alert.labels, starts_at=before.alert.starts_at), before.earlier)
    recent = (one for one in before.earlier if one.ends_at is not None and data.at < one.ends_at + _TELL_END_FOR)
    return Memory(replace(alert, starts_at=data.at), (*recent, replace(before.alert, ends_at=data.at)))


def _written(alert: Alert, now: datetime) -> dict[str, object]:
    # Alertmanager refuses an alert that ends before it starts: the clocks of two machines may differ.
    ends_at = now + _EXPIRES_AFTER if alert.ends_at is None else max(alert.ends_at, alert.starts_at)
    found = {"labels": alert.labels, "annotations": alert.annotations, "startsAt": alert.starts_at, "endsAt": ends_at}
    link = alert.annotations.get("url")
    return found if link is None else {**found, "generatorURL": link}


def _test_alert(now: datetime) -> Alert:
    labels = {"incident": TEST_INCIDENT, "signal": TEST_INCIDENT, "severity": "minor"}
    return Alert(labels, {"summary": text.TEST_TITLE}, now, now + _TEST_LASTS)


def configure(config: AlertmanagerConfig, incident_url: str | None) -> AlertmanagerReceiver:
    """The receiver of a configuration. Raises ConfigurationError."""
    for url in [config.url] if isinstance(config.url, str) else config.url:
        if (wrong := http.check_url(url)) is not None:
            raise wrong_receiver(config, "url", wrong)
    return AlertmanagerReceiver(config, incident_url)
