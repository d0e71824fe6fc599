"""Brings the metrics of incidents, cases, inbox and figures up to date, once a minute: they are read from tables."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import product

from prometheus_client import Gauge
from sqlalchemy import Connection

from pipeline import metrics
from pipeline.consumers.runtime.background import Background
from pipeline.consumers.runtime.retries import is_transient
from pipeline.domain.access.principal import SYSTEM
from pipeline.domain.answers.reading.lexicon import LANGUAGES
from pipeline.domain.detection.pairs import SIGNALS
from pipeline.domain.reports.counts import Counts
from pipeline.domain.reports.figures import figures_of
from pipeline.domain.reports.segment_metrics import bounded
from pipeline.store.cases.reads import CaseLoad, load_of
from pipeline.store.db.engine import reading
from pipeline.store.reads import inbox, monitoring, reports
from pipeline.store.reads.inbox import Reviewed
from pipeline.store.store import Store

DAYS = 30
"""The figures are of the orders of so many days, today included."""
_EVERY_SECONDS = 60.0
_SEVERITIES = ("minor", "major", "critical")
_GAUGES = (metrics.CLAIMED, metrics.EXPERIENCED, metrics.GAP, metrics.COVERAGE)
_log = logging.getLogger(__name__)


class FigureMetrics(Background):
    """One thread that reads and sets the gauges. `levels`: those with figures; `limit`: segments of each."""

    def __init__(self, store: Store, levels: Sequence[str], limit: int, now: Callable[[], datetime]) -> None:
        super().__init__("figure metrics")
        self._store = store
        self._levels = levels
        self._limit = limit
        self._now = now
        self._warned = set[str]()
        self._shown = set[tuple[Gauge, str, str]]()

    def update(self) -> None:
        """Read everything and set the gauges."""
        with reading(self._store.engine) as connection:
            _set_incidents(monitoring.open_incidents(connection))
            _set_inbox(inbox.reviewed(connection, SYSTEM), inbox.number_waiting(connection, SYSTEM))
            _set_cases(load_of(connection), self._now())
            shown = {found for level in self._levels for found in self._set_level(connection, level)}
        for gauge, level, segment in self._shown - shown:  # it has no orders any more, or no figure
            gauge.remove(level, segment)
        self._shown = shown

    def _work(self) -> None:
        goes_on = True
        while goes_on:
            try:
                self.update()
            except Exception as error:
                if not is_transient(error):
                    raise
                _log.warning("metrics of figures are not updated (%s), to be retried", type(error).__name__)
            goes_on = self._pause(_EVERY_SECONDS)

    def _set_level(self, connection: Connection, level: str) -> list[tuple[Gauge, str, str]]:
        today = self._now().date()
        first = (today - timedelta(days=DAYS - 1)).toordinal()
        found = bounded(reports.by_segment(connection, SYSTEM, level, first, today.toordinal()), self._limit)
        metrics.FOLDED.labels(level).set(found.folded)
        if found.folded and level not in self._warned:
            self._warned.add(level)
            _log.warning(
                "%d segments of the level %s share the metrics of `other`: UNVARNISHED_METRIC_SEGMENTS is %d",
                found.folded,
                level,
                self._limit,
            )
        return [
            (gauge, level, segment)
            for segment, counts in found.counts.items()
            for gauge in _set(level, segment, counts)
        ]


def _set_incidents(counted: Mapping[tuple[str, str], int]) -> None:
    known = {(severity, signal) for severity in _SEVERITIES for signal in SIGNALS}
    for severity, signal in known | counted.keys():
        metrics.INCIDENTS.labels(severity, signal).set(counted.get((severity, signal), 0))


def _set_inbox(reviewed: Sequence[Reviewed], waiting: int) -> None:
    """Every language has both series from the start, so that a share can be computed."""
    counted = Counter[tuple[str, str]]()
    for one in reviewed:
        language = one.language if one.language in LANGUAGES else "other"
        counted.update({(language, "confirmed"): one.confirmed, (language, "corrected"): one.corrected})
    for language, decision in product((*LANGUAGES, "other"), ("confirmed", "corrected")):
        metrics.READINGS_REVIEWED.labels(language, decision).set(counted[language, decision])
    metrics.INBOX_WAITING.set(waiting)


def _set_cases(load: CaseLoad, now: datetime) -> None:
    for severity in _SEVERITIES:
        metrics.CASES.labels(severity).set(load.by_severity.get(severity, 0))
    metrics.CASES_OVERDUE.set(load.overdue)
    age = 0.0 if load.oldest is None else (now - load.oldest).total_seconds()
    metrics.OLDEST_CASE.set(max(0.0, age))


def _set(level: str, segment: str, counts: Counts) -> list[Gauge]:
    """Set what is known of a segment. Returns the gauges that were set."""
    figures = figures_of(counts)
    claimed = next((claim.share for claim in figures.claims if claim.yardstick == "first promise"), None)
    coverage = figures.coverage
    values = (
        claimed,
        figures.experienced.value if figures.experienced else None,
        figures.gap.value if figures.gap else None,
        coverage.replied / coverage.completed if coverage.completed else None,
    )
    known = [(gauge, value) for gauge, value in zip(_GAUGES, values, strict=True) if value is not None]
    for gauge, value in known:
        gauge.labels(level, segment).set(value)
    return [gauge for gauge, _ in known]
