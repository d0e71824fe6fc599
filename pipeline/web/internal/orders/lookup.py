"""Reads one order for the order page and the read API."""

from pipeline.domain.access.principal import Principal
from pipeline.domain.events.spelling import normal
from pipeline.store.db.engine import reading
from pipeline.store.journal.state import clock_of
from pipeline.store.reads.alerts import alerts_as_of
from pipeline.store.reads.order_record import read_record
from pipeline.store.reads.words import open_record
from pipeline.web.http.services import Services
from pipeline.web.internal.orders.order import OrderView, view_of


def find_order(services: Services, principal: Principal, order_id: str) -> OrderView | None:
    """Everything known about an order; None if no event has named it, or the principal does not see it.

    Versions before the one spelling of ids stored them as sent, so the exact spelling is tried first.
    """
    with reading(services.store.engine) as connection:
        record = read_record(connection, principal, order_id) or read_record(connection, principal, normal(order_id))
        if record is None:
            return None
        record = open_record(connection, services.store.vault, record)
        today = clock_of(connection).date()
        alerts = alerts_as_of(connection, principal, today) if record.order.dialogue.pairs else []
        levels = services.current_setup(connection).levels
    return view_of(record, alerts, levels, not principal.scope.is_everything)
