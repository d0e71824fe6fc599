"""Acts of a user of the command line on cases."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from pipeline.app.installation import now, open_as_started
from pipeline.consumers.cases import acting
from pipeline.domain.access.principal import LOCAL
from pipeline.domain.cases.case import Case, CaseAct
from pipeline.domain.cases.complaints import CasePolicy
from pipeline.domain.events.contract import Request
from pipeline.settings import Settings
from pipeline.store.orders.timers import TimerStore
from pipeline.store.store import Store
from pipeline.store.unit_of_work import UnitOfWork

_NEVER = datetime.min.replace(tzinfo=UTC)  # timers fire elsewhere
Decide = Callable[[Case, CasePolicy, datetime], CaseAct]


def act_on_case(settings: Settings, case_id: str, decide: Decide) -> Case | None:
    """Record an act about a case; None: there is no such case. Raises Refused, DatabaseMismatch."""
    at = now()
    with working(settings) as (store, work):
        return acting.perform(case_id, lambda case: decide(case, work.setup.cases, at), store.vault, work, at)


def open_case_for(settings: Settings, order_id: str, contact_id: str, request: Request) -> Case:
    """Open the case of a contact who asks for something about an order. Raises DatabaseMismatch."""
    with working(settings) as (_, work):
        return acting.open_case(order_id, contact_id, request, LOCAL.name, work, now())


@contextmanager
def working(settings: Settings) -> Iterator[tuple[Store, UnitOfWork]]:
    """One transaction on the installation of the settings. Timers fire in its running processes."""
    installation = open_as_started(settings)
    store = installation.store
    try:
        with store.engine.begin() as connection:
            work = UnitOfWork(connection, store.journal, installation.setup, TimerStore(connection, (), _NEVER))
            yield store, work
            work.flush()
    finally:
        store.engine.dispose()
