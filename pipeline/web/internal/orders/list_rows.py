"""The rows of a list of orders, as pages, files and the read API show them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from msgspec import Struct
from sqlalchemy import Connection

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.domain.orders.order import Order
from pipeline.store.people.vault import Vault
from pipeline.store.reads.answers import comments_to
from pipeline.store.reads.listing.order_list import ListedRow
from pipeline.store.reads.order_record import read_orders
from pipeline.web.internal.words import claim_in_words, statement_in_words


class OrderRow(Struct, frozen=True, kw_only=True):
    """One order of a list. `answer`: what its customers state now; `words`: their comments, None for those who may not
    read words. `reason`: why nobody was asked.
    """

    order_id: str
    last_event_at: datetime
    account_id: str | None
    account: str | None
    dimensions: dict[str, str]
    timezone: str
    first_promise: datetime | None
    promise: datetime | None
    delivered_at: datetime | None
    on_time: bool | None
    in_full: bool | None
    claim: str
    answer: str | None
    verdict: str | None
    reason: str | None
    words: list[str] | None


def rows_of(connection: Connection, viewer: Principal, vault: Vault, found: Sequence[ListedRow]) -> list[OrderRow]:
    """The rows of these orders, in their order. Two queries, and one for words if the viewer may read them."""
    ids = [row.order_id for row in found]
    orders = read_orders(connection, viewer, ids)
    words: Mapping[str, list[str]] | None = None
    if viewer.may(Permission.WORDS):
        words = comments_to(connection, viewer, vault, ids)
    return list(_rows(found, orders, words))


def _rows(
    found: Iterable[ListedRow], orders: Mapping[str, Order], words: Mapping[str, list[str]] | None
) -> Iterator[OrderRow]:
    for row in found:
        order = orders.get(row.order_id)
        if order is not None:
            yield _row(row, order, None if words is None else words.get(row.order_id, []))


def _row(row: ListedRow, order: Order, words: list[str] | None) -> OrderRow:
    facts, dialogue = order.facts, order.dialogue
    account = facts.latest.account if facts.known else None
    claim = dialogue.claim_when_asked() or dialogue.claim
    stated = [statement_in_words(answer.statement) for answer in dialogue.current_answers()]
    return OrderRow(
        order_id=row.order_id,
        last_event_at=row.last_event_at.astimezone(UTC),
        account_id=None if account is None else account.id,
        account=None if account is None else account.name or account.id,
        dimensions=facts.dimensions if facts.known else {},
        timezone=(facts.latest.timezone if facts.known else None) or "UTC",
        first_promise=facts.first_promise,
        promise=facts.latest_promise,
        delivered_at=dialogue.claim.delivered_at,
        on_time=claim.on_time,
        in_full=claim.in_full,
        claim=claim_in_words(claim) if facts.known else "not completed yet",
        answer="; ".join(filter(None, stated)) or ("no details" if stated else None),
        verdict=row.verdict,
        reason=row.reason,
        words=words,
    )
