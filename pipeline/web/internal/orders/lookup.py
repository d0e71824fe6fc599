"""Reads one order for the order page and the read API."""

from pipeline.domain.events.spelling import normal
from pipeline.store.db.engine import reading
from pipeline.store.journal.state import clock_of
from pipeline.store.reads.alerts import alerts_as_of
from pipeline.store.reads.order_record import read_record
from pipeline.web.http.services import Services
from pipeline.web.internal.orders.order import OrderView, view_of


def find_order(services: Services, order_id: str) -> OrderView | None:
    """Everything known about an order; None if no event has named it.

    Versions before the one spelling of ids stored them as sent, so the exact spelling is tried first.
    """
    with reading(services.store.engine) as connection:
        record = read_record(connection, order_id) or read_record(connection, normal(order_id))
        if record is None:
            return None
        alerts = alerts_as_of(connection, clock_of(connection).date()) if record.order.dialogue.pairs else []
        levels = services.current_setup(connection).levels
    return view_of(record, alerts, levels)
