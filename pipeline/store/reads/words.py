"""The words of one order, opened for whoever may read them: comments, notes and reasons.

What was sealed for a person who was erased, or in an order whose words were destroyed, is missing.
"""

from collections.abc import Mapping
from typing import TypeVar

from msgspec import Struct, structs
from sqlalchemy import Connection

from pipeline.domain.orders.facts import Facts
from pipeline.store.people.keys import open_words
from pipeline.store.people.vault import Vault
from pipeline.store.reads.answers import opened
from pipeline.store.reads.order_record import OrderRecord

_Fact = TypeVar("_Fact", bound=Struct)


def open_record(connection: Connection, vault: Vault, record: OrderRecord) -> OrderRecord:
    """A record with its words opened."""
    facts = record.order.facts
    texts = open_words(connection, vault, _sealed(facts))
    facts.promises = [_open(promise, texts, "by", "reason") for promise in facts.promises]
    facts.scans = [_open(scan, texts, "note") for scan in facts.scans]
    facts.cancellations = [_open(cancellation, texts, "reason") for cancellation in facts.cancellations]
    words = open_words(connection, vault, [text.words for text in record.texts])
    shown = [text._replace(words=words.get(text.words or "") or None) for text in record.texts]
    return record._replace(answers=opened(connection, vault, record.answers), texts=shown)


def _sealed(facts: Facts) -> list[str | None]:
    found = [words for promise in facts.promises for words in (promise.by, promise.reason)]
    found += [scan.note for scan in facts.scans]
    return found + [cancellation.reason for cancellation in facts.cancellations]


def _open(fact: _Fact, texts: Mapping[str, str], *fields: str) -> _Fact:
    return structs.replace(fact, **{name: texts.get(getattr(fact, name) or "") for name in fields})
