"""The messages on demo phones, stored readable: they are for demos and never leave the machine."""

import secrets
import threading
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, Engine, and_, select

from pipeline.domain.asking.ask_states import AskState
from pipeline.store.db.bulk import insert
from pipeline.store.db.engine import reading
from pipeline.store.people.vault import Vault
from pipeline.store.schema.asks import asks
from pipeline.store.schema.demo_phone import phone_messages
from pipeline.store.schema.people import people


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


def store_message(
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
    """Store a message on a phone. Returns its id."""
    message_id = f"PH{secrets.token_hex(16)}"
    message = PhoneMessage(message_id, at, incoming, number, account_id, contact_id, order_id, link_hash, body)
    insert(connection, phone_messages, [message._asdict()])
    return message_id


def find(connection: Connection, number: str, link_hash: str) -> PhoneMessage | None:
    """The message with that link on that phone; None: there is none."""
    query = select(phone_messages).where(phone_messages.c.number == number, phone_messages.c.link_hash == link_hash)
    row = connection.execute(query).mappings().first()
    return None if row is None else PhoneMessage(**row)


class SentMessage(NamedTuple):
    """A message that was sent to a demo phone."""

    id: str
    sent_at: datetime
    number: str  # E.164
    name: str  # of the person, or the contact's id
    text: str


def newest_messages(connection: Connection, vault: Vault, limit: int) -> list[SentMessage]:
    """The newest messages that were sent to the demo's phones, newest first."""
    shown, person = phone_messages.c, people.c
    columns = shown.id, shown.at, shown.number, shown.contact_id, shown.body, person.wrapped_key, person.name
    recipient = and_(person.account_id == shown.account_id, person.contact_id == shown.contact_id)
    query = select(*columns).join_from(phone_messages, people, recipient, isouter=True).where(shown.incoming.is_(False))
    rows = connection.execute(query.order_by(shown.at.desc(), shown.id).limit(limit))
    return [
        SentMessage(id_, at, number, contact if sealed is None else vault.open(key, sealed), body)
        for id_, at, number, contact, body, key, sealed in rows
    ]


def newest_about(connection: Connection, order_id: str, number: str) -> str | None:
    """The text of the newest message about an order on that phone; None: there is none."""
    shown = phone_messages.c
    query = select(shown.body).where(shown.number == number, shown.order_id == order_id, shown.incoming.is_(False))
    return connection.execute(query.order_by(shown.at.desc()).limit(1)).scalar()


class PhoneStore:
    """The demo's phones in a database, for the notifier that sends to them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._one_at_a_time = threading.Lock()  # many threads send at once; a waiting one must hold no connection

    def keep(self, number: str, body: str, link_hash: str, of: tuple[str, str, str], at: datetime) -> str | None:
        """Show a message on a phone and return its id. `of`: the ids of the account, the contact and the order.

        None if its ask is no longer being sent: another dispatcher looks it up. A lookup changes the ask first, so
        the message is stored before the lookup or never.
        """
        account_id, contact_id, order_id = of
        sending = select(asks.c.state).where(asks.c.form_token_hash == link_hash).with_for_update()
        with self._one_at_a_time, self._engine.begin() as connection:
            if connection.execute(sending).scalar() != AskState.SENDING:
                return None
            return store_message(
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
