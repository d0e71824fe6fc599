"""What is refused at the door, and that the refusal names the field."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.domain.events.contract import MAX_EVENT_BYTES, BadEvent
from pipeline.domain.events.decoding import decode
from pipeline.domain.events.times import deadline
from tests.builders import MONDAY, answered, asked, cloud, completed, event, repromised, scanned


def _order(**changes: Any) -> bytes:
    return completed(**changes)


def _without(field: str) -> bytes:
    parsed = json.loads(completed())
    del parsed["data"][field]
    return json.dumps(parsed).encode()


def _data(path: str, value: object) -> bytes:
    """The order with one value deep inside replaced, by a path like "lines.0.ordered"."""
    parsed = json.loads(completed())
    *parents, last = ["data", *path.split(".")]
    place: Any = parsed
    for step in parents:
        place = place[int(step)] if step.isdigit() else place[step]
    place[last] = value
    return json.dumps(parsed).encode()


MALFORMED = {
    "no order id": (_without("order_id"), "data.order_id"),
    "no account": (_without("account"), "data.account"),
    "empty order id": (_data("order_id", ""), "data.order_id"),
    "wrong type": (_data("order_id", 17), "data.order_id"),
    "a list where a mapping belongs": (_data("dimensions", ["Lyon"]), "data.dimensions"),
    "an empty dimension": (_data("dimensions.depot", ""), "data.dimensions[...]"),
    "time without offset": (_data("completed_at", "2026-03-02T09:00:00"), "data.completed_at"),
    "promise without offset": (_data("promised_at", "2026-03-02T09:00:00"), "data.promised_at"),
    "promise that is no date": (_data("promised_at", "2026-02-30"), "data.promised_at"),
    "date without a time zone": (_data("promised_at", "2026-03-02"), "data.timezone"),
    "unknown time zone": (_data("timezone", "Europe/Lyon"), "data.timezone"),
    "time zone that is a path": (_data("timezone", "../../etc/passwd"), "data.timezone"),
    "year out of range": (_data("completed_at", "9999-12-31T23:59:59-23:00"), "data.completed_at"),
    "unknown role": (_data("contacts.0.role", "boss"), "data.contacts[0].role"),
    "unknown zone of a contact": (_data("contacts.0.timezone", "Mars/Olympus"), "data.contacts[0].timezone"),
    "10,000 contacts": (_data("contacts", [{"id": str(n), "role": "user"} for n in range(10_000)]), "data.contacts"),
    "negative quantity": (_data("lines.0.ordered", -1), "data.lines[0].ordered"),
    "no shipments": (_data("shipments", 0), "data.shipments"),
    "NUL": (_data("account.name", "Atelier\x00Roux"), "data.account.name"),
    "NUL in what nobody reads": (_data("memo", {"deep": ["\x00"]}), "data.memo.deep[0]"),
    "lone surrogate": (completed().replace(b'"Lyon"', b'"\\ud800"'), "data.dimensions.depot"),
    "unknown status": (scanned(status="teleported"), "data.status"),
    "unknown purpose": (asked("SO-1", MONDAY, purpose="curiosity"), "data.purpose"),
    "score off the scale": (answered(score={"value": 0, "scale": 5}), "data.score.value"),
    "score above ten": (answered(score={"value": 11}), "data.score.value"),
    "unknown condition": (answered(condition=["soggy"]), "data.condition[0]"),
    "repromise by date without a zone": (repromised("SO-1", MONDAY, "2026-03-09"), "data.timezone"),
    "unknown type": (cloud("order.dreamt", "1", MONDAY, {}), "type"),
    "no id": (json.dumps({k: v for k, v in json.loads(completed()).items() if k != "id"}).encode(), "id"),
    "wrong specversion": (completed(_={"specversion": "0.3"}), "specversion"),
    "event time without offset": (completed().replace(b'09:00:00Z","data"', b'09:00:00","data"'), "time"),
    "broken JSON": (completed()[:-2], ""),
    "not an object": (b"[1, 2]", ""),
    "nothing": (b"", ""),
    "not UTF-8": (completed().replace(b"Lyon", b"Ly\xff\xfe"), ""),
    "2 MB": (_data("memo", "x" * (2 << 20)), ""),
    "a hundred thousand brackets": (completed().replace(b'"GLV-9"', b"[" * 100_000 + b"]" * 100_000), ""),
}  # fmt: skip


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


def test_what_nobody_knows_is_kept_out_of_the_way() -> None:
    known = event(completed(colour="red", _={"traceparent": "00-1"}))
    assert known.data.order_id == "SO-1"
    assert known.time == MONDAY
    assert known.received_at == MONDAY


def test_escaped_text_is_as_good_as_any() -> None:
    assert event(completed(account={"id": "A", "name": "Caf\u00e9 \U0001f600"})).data.account.name == "Café 😀"
    raw = json.dumps(json.loads(completed(account={"id": "A", "name": "Café 😀"}))).encode()  # \u escapes
    assert event(raw).data.account.name == "Café 😀"


@pytest.mark.parametrize(
    ("stated", "zone", "expected"),
    [
        ("2026-11-20T12:00:00+01:00", None, datetime(2026, 11, 20, 11, 0, tzinfo=UTC)),
        ("2026-11-20", "Europe/Paris", datetime(2026, 11, 20, 22, 59, 59, 999999, tzinfo=UTC)),
        ("2026-11-20", "America/Sao_Paulo", datetime(2026, 11, 21, 2, 59, 59, 999999, tzinfo=UTC)),
        # The day the clocks go back has 25 hours, and its end is an hour later by the sun.
        ("2026-10-25", "Europe/Paris", datetime(2026, 10, 25, 22, 59, 59, 999999, tzinfo=UTC)),
    ],
)
def test_a_date_is_kept_until_its_day_ends_where_it_is_delivered(
    stated: str, zone: str | None, expected: datetime
) -> None:
    assert deadline(stated, zone) == expected
