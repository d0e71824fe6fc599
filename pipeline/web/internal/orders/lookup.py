"""Reads one order for the order page and the read API."""

from pipeline.store.db.engine import reading
from pipeline.store.journal.state import clock_of
from pipeline.store.reads.alerts import alerts_as_of
from pipeline.store.reads.order_record import read_record
from pipeline.web.http.services import Services
from pipeline.web.internal.orders.order import OrderView, view_of


def find_order(services: Services, order_id: str) -> OrderView | None:
    """Everything known about an order; None if no event has named it."""
    with reading(services.store.engine) as connection:
        record = read_record(connection, order_id, services.store.vault)
        if record is None:
            return None
        alerts = alerts_as_of(connection, clock_of(connection).date()) if record.order.dialogue.pairs else []
    return view_of(record, alerts, services.setup.levels)
