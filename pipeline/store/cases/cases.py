"""The current state of cases, and their acts, as one transaction reads and changes them."""

from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select

from pipeline.domain.access.permissions import Role
from pipeline.domain.access.scopes import ACCOUNT, Entry
from pipeline.domain.cases.case import Case, CaseAct
from pipeline.domain.events.cases import CaseChanged, CaseReason
from pipeline.store.db.bulk import insert, upsert
from pipeline.store.schema.alerting.cases import case_acts, cases
from pipeline.store.schema.users import users
from pipeline.store.users.users import decode_scope

_reasons = msgspec.json.Decoder(tuple[CaseReason, ...])
_Key = tuple[str, str]  # order, contact


def case_of(row: Row[Any]) -> Case:
    """The case of a row."""
    return Case(**{**row._mapping, "reasons": _reasons.decode(row.reasons)})


class CaseStore:
    """The cases of one transaction. Whoever changes one holds the lock of its order, or that of incidents."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._by_order: dict[_Key, Case | None] = {}
        self._by_incident: dict[int, Case | None] = {}
        self._changed: dict[str, Case] = {}
        self._acts: list[dict[str, Any]] = []

    def of_order(self, order_id: str, contact_id: str) -> Case | None:
        """The case of an order and a contact, to be changed in place; None: there is none."""
        key = order_id, contact_id
        if key not in self._by_order:
            this = cases.c.order_id == order_id, cases.c.contact_id == contact_id
            row = self._connection.execute(select(cases).where(*this)).one_or_none()
            self._by_order[key] = None if row is None else case_of(row)
        return self._by_order[key]

    def of_incident(self, number: int) -> Case | None:
        """The case of an incident, to be changed in place; None: there is none."""
        if number not in self._by_incident:
            row = self._connection.execute(select(cases).where(cases.c.incident == number)).one_or_none()
            self._by_incident[number] = None if row is None else case_of(row)
        return self._by_incident[number]

    def add(self, case: Case) -> None:
        """Add a new case."""
        if case.incident is not None:
            self._by_incident[case.incident] = case
        else:
            self._by_order[case.order_id or "", case.contact_id or ""] = case

    def save(self, case: Case) -> None:
        """Write the case at `flush`."""
        self._changed[case.case_id] = case

    def add_act(self, event: CaseChanged, act: CaseAct, words: str | None) -> None:
        """Append an act as it is published. `words`: sealed."""
        self._acts.append(
            {
                "case_id": event.case_id,
                "act": event.act,
                "at": event.at,
                "by": event.by,
                "what": act.what,
                "change": act.change,
                "event": msgspec.json.encode(event).decode(),
                "words": words,
            }
        )

    def flush(self) -> None:
        """Write the changed cases and the new acts."""
        upsert(self._connection, cases, [_row(case) for case in self._changed.values()])
        insert(self._connection, case_acts, self._acts)
        self._changed, self._acts = {}, []


def find(connection: Connection, case_id: str) -> Case | None:
    """A case by its id."""
    row = connection.execute(select(cases).where(cases.c.case_id == case_id)).one_or_none()
    return None if row is None else case_of(row)


def account_manager_of(connection: Connection, account_id: str) -> str | None:
    """The name of the one account manager whose scope names this account; None if there is none, or several."""
    active = users.c.role == Role.ACCOUNT_MANAGER, users.c.disabled_at.is_(None), users.c.accepted_at.is_not(None)
    entry = Entry(ACCOUNT, account_id)
    rows = connection.execute(select(users.c.name, users.c.scope).where(*active))
    names = [name for name, scope in rows if entry in (decode_scope(scope).entries or ())]
    return names[0] if len(names) == 1 else None


def _row(case: Case) -> dict[str, Any]:
    return msgspec.structs.asdict(case) | {"reasons": msgspec.json.encode(case.reasons).decode()}
