"""The answers that were admitted by the form: a person may change an answer, a limited number of times."""

from sqlalchemy import Connection, func, select

from pipeline.store.db import locks
from pipeline.store.db.bulk import insert_once
from pipeline.store.schema.answers import answers
from pipeline.store.schema.conversations import form_answers


def admit(connection: Connection, order_id: str, contact_id: str, event_id: str, source: str, most: int) -> bool:
    """Admit one answer of a contact to an order, by the id of its event. False: there are `most` others.

    Counts those admitted that are not stored yet, too, and those of `source` that an earlier version stored.
    """
    locks.lock(connection, "form", [f"{order_id}\n{contact_id}"])
    admitted = form_answers.c.order_id == order_id, form_answers.c.contact_id == contact_id
    ids = frozenset(connection.execute(select(form_answers.c.event_id).where(*admitted)).scalars())
    if event_id in ids:
        return True
    stored = answers.c.order_id == order_id, answers.c.contact_id == contact_id, answers.c.source == source
    query = select(func.count()).select_from(answers).where(*stored, answers.c.event_id.not_in(ids))
    if len(ids) + connection.execute(query).scalar_one() >= most:
        return False
    return insert_once(connection, form_answers, {"order_id": order_id, "contact_id": contact_id, "event_id": event_id})
