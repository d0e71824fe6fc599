"""The demo's phones: the messages each one shows. They are kept readable: nothing here is for real people."""

import secrets
import threading
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, Engine, select

from pipeline.domain.asking.ask_states import State
from pipeline.store.db.bulk import insert
from pipeline.store.db.engine import reading
from pipeline.store.schema.tables import asks, phone_messages


class PhoneMessage(NamedTuple):
    """One message on a phone; `incoming`: a reply, towards us."""

    id: str
    at: datetime
    incoming: bool
    number: str
    account_id: str
    contact_id: str
    order_id: str
    link_hash: str | None
    body: str


def keep(
    connection: Connection,
    number: str,
    body: str,
    at: datetime,
    *,
    account_id: str = "",
    contact_id: str = "",
    order_id: str = "",
    link_hash: str | None = None,
    incoming: bool = False,
) -> str:
    """Show a message on a phone. Returns its id."""
    message_id = f"PH{secrets.token_hex(16)}"
    message = PhoneMessage(message_id, at, incoming, number, account_id, contact_id, order_id, link_hash, body)
    insert(connection, phone_messages, [message._asdict()])
    return message_id


def find(connection: Connection, number: str, link_hash: str) -> PhoneMessage | None:
    """The message with that link on that phone."""
    query = select(phone_messages).where(phone_messages.c.number == number, phone_messages.c.link_hash == link_hash)
    row = connection.execute(query).mappings().first()
    return None if row is None else PhoneMessage(**row)


def newest_about(connection: Connection, order_id: str, number: str) -> str | None:
    """The newest text about an order on that phone."""
    shown = phone_messages.c
    query = select(shown.body).where(shown.number == number, shown.order_id == order_id, shown.incoming.is_(False))
    return connection.execute(query.order_by(shown.at.desc()).limit(1)).scalar()


class Shelf:
    """The phones of one database, for the notifier that puts messages on them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._one_at_a_time = threading.Lock()  # many may send at once: who waits here holds no connection

    def keep(self, number: str, body: str, link_hash: str, of: tuple[str, str, str], at: datetime) -> str | None:
        """Show a message on a phone. Returns its id; None if its ask is not being sent any more: somebody looks for it.

        Whoever looks has said so in the ask's row before. So it is there when they look, or it never is.
        """
        account_id, contact_id, order_id = of
        sending = select(asks.c.state).where(asks.c.form_token_hash == link_hash).with_for_update()
        with self._one_at_a_time, self._engine.begin() as connection:
            if connection.execute(sending).scalar() != State.SENDING:
                return None
            return keep(
                connection,
                number,
                body,
                at,
                account_id=account_id,
                contact_id=contact_id,
                order_id=order_id,
                link_hash=link_hash,
            )

    def find(self, number: str, link_hash: str) -> str | None:
        """The id of the message with that link, if that phone shows it."""
        with reading(self._engine) as connection:
            found = find(connection, number, link_hash)
        return None if found is None else found.id
