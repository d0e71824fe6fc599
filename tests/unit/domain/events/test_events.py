"""Malformed events are refused, and the refusal names the field."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.domain.events.contract import MAX_EVENT_BYTES, BadEvent
from pipeline.domain.events.decoding import decode
from pipeline.domain.events.times import deadline
from tests.support.builders import MONDAY, completed, event
from tests.support.inputs.malformed import MALFORMED


def _order(**changes: Any) -> bytes:
    return completed(**changes)


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_event_is_refused_and_the_field_is_named(name: str) -> None:
    raw, field = MALFORMED[name]
    with pytest.raises(BadEvent) as refused:
        decode(raw)
    assert refused.value.field == field
    assert refused.value.reason


def test_an_event_on_the_wrong_topic_is_refused() -> None:
    with pytest.raises(BadEvent, match="belongs on topic 'orders', not 'deliveries'") as refused:
        decode(completed(), "deliveries")
    assert refused.value.field == "type"


def test_the_limit_on_bytes_is_exact() -> None:
    padding = MAX_EVENT_BYTES - len(completed(memo=""))
    assert event(completed(memo="x" * padding)).id == "SO-1:completed"
    with pytest.raises(BadEvent, match="more than"):
        event(completed(memo="x" * (padding + 1)))


def test_unknown_fields_are_ignored() -> None:
    known = event(completed(colour="red", _={"traceparent": "00-1"}))
    assert known.data.order_id == "SO-1"
    assert known.time == MONDAY
    assert known.received_at == MONDAY


def test_escaped_text_is_decoded() -> None:
    assert event(completed(account={"id": "A", "name": "Caf\u00e9 \U0001f600"})).data.account.name == "Café 😀"
    raw = json.dumps(json.loads(completed(account={"id": "A", "name": "Café 😀"}))).encode()  # \u escapes
    assert event(raw).data.account.name == "Café 😀"


@pytest.mark.parametrize(
    ("stated", "zone", "expected"),
    [
        ("2026-11-20T12:00:00+01:00", None, datetime(2026, 11, 20, 11, 0, tzinfo=UTC)),
        ("2026-11-20", "Europe/Paris", datetime(2026, 11, 20, 22, 59, 59, 999999, tzinfo=UTC)),
        ("2026-11-20", "America/Sao_Paulo", datetime(2026, 11, 21, 2, 59, 59, 999999, tzinfo=UTC)),
        # The day on which the clocks go back has 25 hours, so it ends one hour later in UTC.
        ("2026-10-25", "Europe/Paris", datetime(2026, 10, 25, 22, 59, 59, 999999, tzinfo=UTC)),
    ],
)
def test_a_promised_date_ends_with_the_local_day_of_the_delivery(
    stated: str, zone: str | None, expected: datetime
) -> None:
    assert deadline(stated, zone) == expected
