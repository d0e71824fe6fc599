"""Which orders have an answer with some words: by the keyed digests of words and of their beginnings."""

from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Select, and_, exists, false, func, literal, select

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.store.people.vault import Vault
from pipeline.store.people.word_index import LONGEST_PREFIX, SHORTEST_PREFIX, words_in
from pipeline.store.schema.answers import answers
from pipeline.store.schema.journal import journal
from pipeline.store.schema.people import answer_words

MOST_WORDS = 10  # of one search


def orders_with(
    connection: Connection, principal: Principal, vault: Vault, text: str, most: int
) -> frozenset[str] | None:
    """The orders with an answer that has the rarest of these words; None: more than `most` answers have it.

    Nobody finds anything without the permission to read words.
    """
    digests = digests_of(vault, text)
    if not digests or not principal.may(Permission.WORDS):
        return frozenset()
    sizes = [
        select(func.count()).select_from(
            select(literal(1)).where(answer_words.c.digest == digest).limit(most + 1).subquery()
        )
        for digest in digests
    ]
    counted = connection.execute(select(*(size.scalar_subquery() for size in sizes))).one()
    rarest = min(range(len(digests)), key=counted.__getitem__)
    if counted[rarest] > most:
        return None
    query = _answers().join(answer_words, answer_words.c.seq == journal.c.seq)
    return frozenset(row[0] for row in connection.execute(query.where(answer_words.c.digest == digests[rarest])))


def condition(vault: Vault, text: str, order_id: Column[str]) -> ColumnElement[bool]:
    """The condition that one answer to the order has all these words, each as a word or as the beginning of one."""
    digests = digests_of(vault, text)
    if not digests:
        return false()
    has = [exists().where(answer_words.c.digest == digest, answer_words.c.seq == journal.c.seq) for digest in digests]
    return _answers().where(answers.c.order_id == order_id, and_(*has)).exists()


def _answers() -> Select[Any]:
    same = and_(journal.c.source == answers.c.source, journal.c.id == answers.c.event_id)
    return select(answers.c.order_id).select_from(answers).join(journal, same)


def digests_of(vault: Vault, text: str) -> list[bytes]:
    """The digests of the words of a search: a word of fewer than `SHORTEST_PREFIX` letters has to be there as it is."""
    wanted = words_in(text)[:MOST_WORDS]
    return [
        vault.word_digest("word" if len(word) < SHORTEST_PREFIX else "prefix", word[:LONGEST_PREFIX]) for word in wanted
    ]
