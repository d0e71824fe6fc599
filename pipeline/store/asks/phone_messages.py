"""The messages on demo phones, which never leave the machine. They are sealed like every other text."""

import secrets
import threading
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, Engine, and_, select

from pipeline.domain.asking.ask_states import AskState
from pipeline.store.db.bulk import insert
from pipeline.store.db.engine import reading
from pipeline.store.people import keys
from pipeline.store.people.keys import Owner
from pipeline.store.people.vault import Vault
from pipeline.store.schema.asks import asks
from pipeline.store.schema.demo_phone import phone_messages
from pipeline.store.schema.people import people


class Recipient(NamedTuple):
    """Whom a message is for, and about which order."""

    account_id: str = ""
    contact_id: str = ""
    order_id: str = ""

    @property
    def owner(self) -> Owner:
        """Whose key the message is sealed with."""
        return keys.contact(self.account_id, self.order_id, self.contact_id)


def store_message(
    connection: Connection,
    vault: Vault,
    number: str,
    body: str,
    at: datetime,
    to: Recipient,
    link_hash: str | None = None,
) -> str:
    """Store a message on a phone. Returns its id."""
    message_id = f"PH{secrets.token_hex(16)}"
    key = keys.keys_for(connection, vault, [to.owner])[to.owner]
    row = {
        "id": message_id,
        "at": at,
        "incoming": False,
        "number": key.seal(number),
        "digest": vault.phone_digest(number),
        **to._asdict(),
        "link_hash": link_hash,
        "body": key.seal(body),
    }
    insert(connection, phone_messages, [row])
    return message_id


def _id_of(connection: Connection, digest: str | None, link_hash: str) -> str | None:
    query = select(phone_messages.c.id).where(phone_messages.c.digest == digest)
    return connection.execute(query.where(phone_messages.c.link_hash == link_hash)).scalar()


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
    columns = shown.id, shown.at, shown.number, shown.contact_id, shown.body, person.key_id, person.name
    recipient = and_(person.account_id == shown.account_id, person.contact_id == shown.contact_id)
    query = select(*columns).join_from(phone_messages, people, recipient, isouter=True).where(shown.incoming.is_(False))
    rows = connection.execute(query.order_by(shown.at.desc(), shown.id).limit(limit)).all()
    texts = keys.open_words(connection, vault, [token for row in rows for token in (row.number, row.body)])
    found = keys.by_id(connection, vault, {row.key_id for row in rows if row.key_id is not None})
    return [
        SentMessage(
            row.id,
            row.at,
            texts[row.number],
            row.contact_id if row.name is None else found[row.key_id].open_value(row.name),
            texts[row.body],
        )
        for row in rows
        if row.number in texts and row.body in texts
    ]


def newest_about(connection: Connection, vault: Vault, order_id: str, number: str) -> str | None:
    """The text of the newest message about an order on that phone; None: there is none."""
    shown = phone_messages.c
    there = shown.digest == vault.phone_digest(number), shown.order_id == order_id, shown.incoming.is_(False)
    token = connection.execute(select(shown.body).where(*there).order_by(shown.at.desc()).limit(1)).scalar()
    return keys.open_words(connection, vault, [token]).get(token or "")


class PhoneStore:
    """The demo's phones in a database, for the notifier that sends to them."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine = engine
        self._vault = vault
        self._one_at_a_time = threading.Lock()  # many threads send at once; a waiting one must hold no connection

    def keep(self, number: str, body: str, link_hash: str, of: tuple[str, str, str], at: datetime) -> str | None:
        """Show a message on a phone and return its id. `of`: the ids of the account, the contact and the order.

        None if its ask is no longer being sent: another dispatcher looks it up. A lookup changes the ask first, so
        the message is stored before the lookup or never.
        """
        sending = select(asks.c.state).where(asks.c.form_token_hash == link_hash).with_for_update()
        with self._one_at_a_time, self._engine.begin() as connection:
            keys.begin_sealing(connection)
            if connection.execute(sending).scalar() != AskState.SENDING:
                return None
            return store_message(connection, self._vault, number, body, at, Recipient(*of), link_hash)

    def find(self, number: str, link_hash: str) -> str | None:
        """The id of the message with that link, if that phone shows it."""
        with reading(self._engine) as connection:
            return _id_of(connection, self._vault.phone_digest(number), link_hash)
