"""Acts of a user of the command line on a case."""

from collections.abc import Callable
from datetime import UTC, datetime

from pipeline.app.installation import now, open_as_started
from pipeline.consumers.cases import acting
from pipeline.domain.cases.case import Case, CaseAct
from pipeline.domain.cases.complaints import CasePolicy
from pipeline.settings import Settings
from pipeline.store.orders.timers import TimerStore
from pipeline.store.unit_of_work import UnitOfWork

_NEVER = datetime.min.replace(tzinfo=UTC)  # timers fire elsewhere
Decide = Callable[[Case, CasePolicy, datetime], CaseAct]


def act_on_case(settings: Settings, case_id: str, decide: Decide) -> Case | None:
    """Record an act about a case; None: there is no such case. Raises Refused, DatabaseMismatch."""
    installation, at = open_as_started(settings), now()
    store = installation.store
    try:
        with store.engine.begin() as connection:
            work = UnitOfWork(connection, store.journal, installation.setup, TimerStore(connection, (), _NEVER))
            found = acting.perform(case_id, lambda case: decide(case, work.setup.cases, at), store.vault, work, at)
            work.flush()
            return found
    finally:
        store.engine.dispose()
