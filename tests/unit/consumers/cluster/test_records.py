"""The records of an event of the journal: the keys that keep an order's events together, and late dead letters."""

import json
from typing import Any

import pytest

from pipeline.consumers.cluster.kafka.records import records_of, unnamed_numbers
from pipeline.domain.events.decoding import decode
from pipeline.store.journal.outbox import PendingEvent
from tests.support.builders import at, completed, retracted, scanned, tracked
from tests.support.running.embedded import LEVELS

ORDERS = {"1Z999": "SO-7"}


def pending(raw: bytes, **more: Any) -> PendingEvent:
    return PendingEvent(5, "id", decode(raw).type, False, at(), raw.decode(), **more)


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        (completed("SO-1"), b"SO-1"),
        (scanned("SO-1"), b"SO-1"),
        (scanned("SO-1", tracking_number="1Z999"), b"SO-1"),
        (tracked("1Z999"), b"SO-7"),
        (tracked("1z 999 "), b"SO-7"),
        (tracked("1z-998"), b"1Z998"),
        (retracted(tracked("1Z999"), order_id=None, tracking_number="1z-999"), b"SO-7"),
    ],
)
def test_a_carriers_event_has_the_key_of_the_order_with_its_number(raw: bytes, key: bytes) -> None:
    [record] = records_of(pending(raw), LEVELS, "p-", ORDERS)
    assert (record.topic, record.key) == ("p-unvarnished-events", key)


def test_only_numbers_of_events_without_an_order_are_looked_up() -> None:
    named = [
        completed(shipments=[{"tracking_number": "1Z997"}]),
        scanned("SO-1", tracking_number="1Z998"),
        scanned("SO-2", note='about "tracking_number"'),
    ]
    unnamed = [tracked("1z 999"), retracted(tracked("1Z-996"), order_id=None, tracking_number="1Z-996")]
    assert unnamed_numbers(map(pending, [*named, *unnamed])) == {"1Z999", "1Z996"}


def test_an_event_that_no_order_claimed_is_published_as_a_dead_letter_only() -> None:
    [record] = records_of(pending(tracked("1z999"), dead=True), LEVELS, "p-")
    assert (record.topic, record.key) == ("p-dead-letters", b"1Z999")
    headers = dict(record.headers)
    assert headers.keys() == {"topic", "seq", "reason", "field"}
    assert (headers["topic"], headers["seq"], headers["field"]) == (b"p-deliveries", b"5", b"data.tracking_number")
    assert json.loads(record.value)["data"]["tracking_number"] == "1z999"
