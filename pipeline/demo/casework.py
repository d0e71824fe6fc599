"""The simulated company's service desk: it settles most cases in time, a few late, and leaves the newest to you.

Which case is settled when, by whom and how follows from its id alone, so a simulation that was killed goes on with the
same result. Customers of the simulated past are not asked whether it is settled: their questions are counted.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

from pipeline.consumers.cases import acting
from pipeline.domain.access.principal import SYSTEM
from pipeline.domain.cases import lifecycle
from pipeline.domain.cases.case import Case
from pipeline.domain.events.cases import CaseOutcome, CaseReason
from pipeline.domain.setup import Setup
from pipeline.store.cases import reads
from pipeline.store.orders.timers import TimerStore
from pipeline.store.store import Store
from pipeline.store.unit_of_work import UnitOfWork

DESK = ("nadia", "tom", "priya")
_LATE_SHARE = 0.08
_MOST = 500  # cases of one visit
_NEVER = datetime.min.replace(tzinfo=UTC)
_SETTLED: dict[CaseReason, tuple[CaseOutcome, str]] = {
    "not_received": ("delivered", "Found at the carrier's terminal and delivered."),
    "incomplete": ("delivered", "The missing lines were sent the same day."),
    "damaged": ("replaced", "Replacement sent, carrier informed."),
    "wrong": ("replaced", "The right goods were sent, the others collected."),
    "late": ("explained", "Explained what happened, agreed on another time slot."),
    "papers_missing": ("delivered", "Papers sent by e-mail."),
    "low_score": ("apologised", "Called; they expected a notice before the arrival."),
}


def work_on_cases(store: Store, setup: Setup, now: datetime) -> None:
    """Settle the cases whose time has come."""
    desk = replace(setup, cases=replace(setup.cases, asks_if_settled=False))
    with store.engine.begin() as connection:
        for case in reads.still_open(connection, SYSTEM, _MOST):
            rng = Random(case.case_id)
            if case.incident is not None or now - case.opened_at < _takes(rng, case):
                continue
            work = UnitOfWork(connection, store.journal, desk, TimerStore(connection, (), _NEVER))
            _settle(case, rng.choice(DESK), store, work, now)
            work.flush()


def _takes(rng: Random, case: Case) -> timedelta:
    """From the opening to the closing: within the due time for most."""
    allowed = case.due_at - case.opened_at
    return allowed * (rng.uniform(1.1, 2.5) if rng.random() < _LATE_SHARE else rng.uniform(0.1, 0.8))


def _settle(case: Case, who: str, store: Store, work: UnitOfWork, now: datetime) -> None:
    outcome, words = _SETTLED.get(case.reasons[0], ("explained", "Called and explained."))
    if case.owner is None:
        acting.perform(case.case_id, lambda one: lifecycle.assign(one, who, who, now), store.vault, work, now)
    acting.perform(case.case_id, lambda one: lifecycle.close(one, outcome, words, who, now), store.vault, work, now)
