"""The links in questions and on delivery notes: each opens one question, to one contact or to whoever has the goods."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from pipeline.domain.asking.ask_states import hashed
from pipeline.domain.events.contract import QR, QR_CONTACT, FixedResponse
from pipeline.store.db.bulk import insert_once
from pipeline.store.people.vault import Vault
from pipeline.store.schema.asks import ASKED_AT, asks
from pipeline.store.schema.conversations import qr_links

MAX_ORDER_ID = 200  # characters


class LinkedQuestion(NamedTuple):
    """The question that a link opens, and when it was asked, or its code made. `response`: it is this fixed text."""

    order_id: str
    contact_id: str
    purpose: str
    asked_at: datetime
    response: FixedResponse | None = None


class Unsubscribable(NamedTuple):
    """Who can end messages by a link, and the digest of the address that it was sent to."""

    account_id: str
    contact_id: str
    recipient: str | None


def question_of(connection: Connection, token_hash: str) -> LinkedQuestion | None:
    """The question that a link's token of this hash opens; None: there is no such link."""
    columns = asks.c.order_id, asks.c.contact_id, asks.c.purpose, ASKED_AT.label("asked_at"), asks.c.response
    row = connection.execute(select(*columns).where(asks.c.form_token_hash == token_hash)).first()
    if row is not None:
        return LinkedQuestion(*row)
    code = select(qr_links.c.order_id, qr_links.c.made_at).where(qr_links.c.token_hash == token_hash)
    made = connection.execute(code).first()
    return None if made is None else LinkedQuestion(made.order_id, QR_CONTACT, QR, made.made_at)


def known_hashes(connection: Connection, hashes: Collection[str]) -> set[str]:
    """Which of these are hashes of a link's token, in one query."""
    asked = select(asks.c.form_token_hash).where(asks.c.form_token_hash.in_(hashes))
    query = asked.union_all(select(qr_links.c.token_hash).where(qr_links.c.token_hash.in_(hashes)))
    return set(connection.execute(query).scalars())


def qr_token(connection: Connection, vault: Vault, order_id: str, now: datetime) -> str:
    """The token of the link on an order's delivery note, which stays the same. The order may not be known yet.

    It follows from the master key, so the database alone opens no form.
    """
    token = vault.link_token(f"{QR}\n{order_id}")
    insert_once(connection, qr_links, {"token_hash": hashed(token), "order_id": order_id, "made_at": now})
    return token


def unsubscribable(connection: Connection, token_hash: str, since: datetime) -> Unsubscribable | None:
    """Whom a link that ends messages belongs to, sent after `since`; None: there is no such link."""
    columns = asks.c.account_id, asks.c.contact_id, asks.c.recipient
    query = select(*columns).where(asks.c.unsubscribe_token_hash == token_hash, asks.c.sending_at >= since)
    sent = connection.execute(query).first()
    return None if sent is None else Unsubscribable(*sent)
