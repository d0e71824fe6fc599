"""What happens when a provider reports on a message: in any order, repeatedly, or before its answer to the request."""

from datetime import datetime

from sqlalchemy import Connection

from pipeline import metrics
from pipeline.notifiers.port import StatusReport
from pipeline.store.asks import outcomes
from pipeline.store.asks.callbacks import store_callback
from pipeline.store.journal.journal import Journal


class UnknownMessage(Exception):
    """A report on a message that this installation has not sent."""


def handle(connection: Connection, journal: Journal, report: StatusReport, now: datetime) -> None:
    """Record a report in the caller's transaction; each status word of a message counts once.

    Raises UnknownMessage. The caller rolls back then, so that nothing is stored of such a report.
    """
    row = {
        "message_id": report.message_id,
        "status": report.status,
        "received_at": now,
        "error_code": None if report.code is None else str(report.code),
    }
    if store_callback(connection, row):
        _record(connection, journal, report, now)


def _record(connection: Connection, journal: Journal, report: StatusReport, now: datetime) -> None:
    """Move the ask on. Whatever a report says, the provider has the message: it also resolves an unknown outcome."""
    row = outcomes.ask_by_callback(connection, report.callback_token)
    if row is None or (row.provider_id is not None and row.provider_id != report.message_id):
        raise UnknownMessage
    metrics.PROVIDER_STATUS.labels(report.state or "other").inc()
    if report.state is None:
        return
    key = outcomes.AskKey(row.order_id, row.contact_id, row.purpose)
    news = outcomes.AcceptedMessage(
        key, row.attempt, report.message_id, report.state, report.code, report.undeliverable
    )
    outcomes.record_accepted(connection, journal, [news], now)
    if report.opted_out:
        outcomes.record_opt_out(connection, key, now)
