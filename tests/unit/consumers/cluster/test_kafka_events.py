"""Records of Kafka as events, in both modes of CloudEvents, and events as records."""

from collections.abc import Mapping
from string import ascii_lowercase, digits
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.consumers.cluster.kafka.events import KafkaRecord, incoming, outgoing
from pipeline.consumers.intake import Incoming
from pipeline.domain.events import received
from pipeline.domain.events.contract import MAX_EVENT_BYTES, BadEvent, Event
from pipeline.domain.events.decoding import decode
from pipeline.domain.events.published import for_publication
from tests.support.builders import answered, asked, at, cloud, completed, repromised, scanned

STRUCTURED = ("content-type", b"application/cloudevents+json; charset=UTF-8")
JSON = ("content-type", b"application/json")
EVENTS = (completed(), repromised("SO-1", at(1), at(2)), scanned(), asked("SO-1", at(1)), answered(comment="Où ça ?"))
ALERT = {
    "alert_id": "on_time/depot/Lyon/1",
    "signal": "on_time",
    "dimension": "depot",
    "value": "Lyon",
    "kind": "divergence",
    "state": "open",
    "severity": "critical",
    "evidence": {},
}


INCIDENT = {
    "incident_id": "I-3f7a2c9d10b4",
    "act": 2,
    "at": at().isoformat(),
    "by": "local",
    "state": "acknowledged",
    "severity": "major",
    "cause": {"signal": "on_time", "dimension": "depot", "value": "Lyon"},
    "signals": ["on_time"],
    "alerts": ["on_time/depot/Lyon/1"],
    "explains": ["on_time/region/ARA/1"],
    "opened_at": at().isoformat(),
    "then": {"at": at().isoformat(), "since": "2026-11-01", "rate": None, "null": 0.05},
    "now": None,
}


def record(value: bytes | None, *headers: tuple[str, bytes | None], topic: str = "orders") -> KafkaRecord:
    return KafkaRecord(topic, 3, 17, value, headers)


def binary(raw: bytes, **other: bytes) -> KafkaRecord:
    """The same event in binary mode, with the given attributes replaced."""
    event = msgspec.json.decode(raw)
    data = msgspec.json.encode(event.pop("data"))
    attributes = {name: value.encode() for name, value in event.items()} | other
    return record(data, JSON, *((f"ce_{name}", value) for name, value in attributes.items()))


def read(found: Incoming) -> Event:
    assert found.fault is None, found.fault
    return decode(found.raw)


def fault(found: Incoming) -> BadEvent:
    """The fault of a record, as the intake finds it."""
    with pytest.raises(BadEvent) as caught:
        raise found.fault or _decoding(found)
    return caught.value


def _decoding(found: Incoming) -> BadEvent:
    try:
        decode(found.raw, found.topic)
    except BadEvent as bad:
        return bad
    raise AssertionError("nothing is wrong with it")


@pytest.mark.parametrize("raw", EVENTS)
def test_an_event_is_the_same_in_both_modes(raw: bytes) -> None:
    assert read(incoming(record(raw, STRUCTURED))) == read(incoming(binary(raw))) == decode(raw)


@pytest.mark.parametrize("headers", [(), (JSON,), (("content-type", None),), (("traceparent", b"\xff"),)])
def test_a_structured_event_needs_no_header(headers: tuple[tuple[str, bytes | None], ...]) -> None:
    assert read(incoming(record(completed(), *headers))) == decode(completed())


def test_a_binary_event_needs_no_content_type() -> None:
    record = binary(completed())

    assert read(incoming(record._replace(headers=record.headers[1:]))) == decode(completed())


def test_a_structured_event_outranks_its_headers() -> None:
    headers = (("ce_specversion", b"1.0"), ("ce_id", b"other"))

    assert read(incoming(record(completed(), STRUCTURED, *headers))) == decode(completed())


def test_an_attribute_is_utf8_and_not_percent_encoded() -> None:
    assert read(incoming(binary(completed(), id="SO-Ä%41".encode()))).id == "SO-Ä%41"


def test_any_json_and_a_byte_order_mark_are_read_in_both_modes() -> None:
    bom = b"\xef\xbb\xbf"
    plain = read(incoming(record(completed())))
    assert received.read(incoming(record(bom + completed(), STRUCTURED)).raw).event == plain
    for media in (b"application/vnd.acme+json", b"text/json; charset=utf-8", b""):
        sent = binary(completed())
        headers = [("content-type", media), *(header for header in sent.headers if header[0] != "content-type")]
        found = incoming(sent._replace(value=bom + (sent.value or b""), headers=headers))
        assert read(found) == plain


def test_history_can_be_sent_in_binary_mode() -> None:
    assert read(incoming(binary(completed(), historic=b"true"))).historic
    assert not read(incoming(binary(completed(), historic=b"false"))).historic
    assert fault(incoming(binary(completed(), historic=b"perhaps"))).field == "historic"


def test_an_unknown_attribute_is_kept() -> None:
    assert msgspec.json.decode(incoming(binary(completed(), traceparent=b"00-1")).raw)["traceparent"] == "00-1"


def test_a_position_names_the_topic_of_the_cluster_and_checks_use_that_of_the_contract() -> None:
    found = incoming(record(completed(), topic="eu.orders"), prefix="eu.", received_at=at(1))

    assert (found.topic, found.position, found.received_at) == ("orders", "kafka:eu.orders:3:17", at(1))


@pytest.mark.parametrize(
    ("broken", "field", "reason"),
    [
        (record(None, STRUCTURED), "", "no value"),
        (record(b"{}", ("content-type", b"application/cloudevents+avro")), "content-type", "avro"),
        (record(b"[]", ("content-type", b"application/cloudevents-batch+json")), "content-type", "batch"),
        (record(b"{}", ("content-type", b"application/\xff")), "content-type", "not UTF-8 at byte 12"),
        (record(b"{}", ("content-type", b"text/csv"), ("ce_specversion", b"1.0")), "content-type", "text/csv"),
        (record(b"not JSON", JSON, ("ce_specversion", b"1.0")), "data", "not JSON"),
        (record(b"[" * 100_000, JSON, ("ce_specversion", b"1.0")), "data", "nested too deep"),
        (record(b"{}", JSON, ("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_id", b"2")), "id", "there twice"),
        (binary(completed(), id=b"\xc3"), "id", "not UTF-8"),
        (binary(completed(), id=b"\x00"), "id", "NUL"),
        (binary(completed(), time=b"yesterday"), "time", ""),
        (binary(completed(), specversion=b"0.3"), "specversion", ""),
        (record(b"not JSON"), "", "malformed"),
        (record(completed(), topic="deliveries"), "type", "belongs on topic"),
    ],
)
def test_a_broken_record_names_the_field_and_the_reason(broken: KafkaRecord, field: str, reason: str) -> None:
    bad = fault(incoming(broken))

    assert bad.field == field
    assert reason in bad.explanation


def test_a_broken_record_keeps_its_bytes() -> None:
    assert incoming(record(b"\xff\x00", JSON, ("ce_specversion", b"1.0"))).raw == b"\xff\x00"
    assert incoming(record(None)).raw == b""


names = st.one_of(
    st.sampled_from(["content-type", "ce_specversion", "ce_id", "ce_data", "ce_historic", "ce_Id", "ce_"]),
    st.text(st.characters(), max_size=20),
)
attributes = st.text(ascii_lowercase + digits, min_size=1, max_size=20)
values = st.one_of(st.none(), st.binary(max_size=50), st.sampled_from([STRUCTURED[1], JSON[1], b"1.0", b"true"]))
bodies = st.one_of(st.none(), st.binary(max_size=200), st.sampled_from([*EVENTS, b"{}", b"[]", b"null", b'"\\ud800"']))


@given(bodies, st.lists(st.tuples(names, values), max_size=8))
@example(b"{" * (MAX_EVENT_BYTES + 1), [("ce_specversion", b"1.0")])
@example(b'{"a":' * 10_000, [("ce_specversion", b"1.0"), ("ce_\ud800", b"1")])
def test_no_content_of_a_record_raises(value: bytes | None, headers: list[tuple[str, bytes | None]]) -> None:
    found = incoming(KafkaRecord("orders", 0, 0, value, headers))

    assert found.position == "kafka:orders:0:0"
    if found.fault is not None:
        assert found.raw == (value or b"")
        return
    try:
        decode(found.raw, found.topic)
    except BadEvent:
        return
    found.raw.decode()


@given(st.text(max_size=20), st.dictionaries(attributes, st.text(max_size=20), max_size=5))
def test_attributes_arrive_as_they_were_sent(event_id: str, others: Mapping[str, str]) -> None:
    known = msgspec.json.decode(completed())
    del known["data"]
    sent = known | {name: text for name, text in others.items() if name not in {*known, "data", "historic"}}
    sent |= {"id": event_id, "datacontenttype": "application/json"}
    headers = [(f"ce_{name}", text.encode()) for name, text in sent.items()]

    arrived = msgspec.json.decode(incoming(record(b"{}", *headers)).raw)

    assert arrived == sent | {"data": {}}


def compared() -> bytes:
    data: dict[str, Any] = {
        "order_id": "SO-1",
        "account_id": "A-1",
        "dimensions": {},
        "claim": {},
        "experience": {},
        "verdict": "agrees",
        "observations": {},
    }
    return cloud("fulfilment.compared", "SO-1:1", at(), data)


@pytest.mark.parametrize(
    ("raw", "topic", "key"),
    [
        (asked("SO-1", at()), "feedback", "SO-1"),
        (answered("SO-Ä"), "feedback", "SO-Ä"),
        (compared(), "truth", "SO-1"),
        (cloud("alert.opened", "1", at(), ALERT), "alerts", "depot=Lyon"),
        (cloud("alert.resolved", "2", at(), ALERT), "alerts", "depot=Lyon"),
        (cloud("incident.acknowledged", "3", at(), INCIDENT), "alerts", "I-3f7a2c9d10b4"),
    ],
)
def test_published_events_have_as_key_their_order_or_what_they_are_about(raw: bytes, topic: str, key: str) -> None:
    kind = msgspec.json.decode(raw)["type"]

    record = outgoing(kind, raw.decode(), prefix="eu.")

    published = for_publication(kind, raw)  # without words
    assert (record.topic, record.key.decode(), record.value) == (f"eu.{topic}", key, published)
    back = incoming(KafkaRecord(record.topic, 0, 0, record.value, record.headers), prefix="eu.")
    assert decode(back.raw, back.topic) == decode(published)
