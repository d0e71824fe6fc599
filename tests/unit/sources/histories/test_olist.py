"""The historic source: its tables become ordered events, and a broken row does not affect others."""

import gzip
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.domain.events.contract import Event
from pipeline.domain.events.decoding import decode
from pipeline.sources import Incoming
from pipeline.sources.histories.csv_table import UnreadableSource
from pipeline.sources.histories.olist.history import CUSTOMERS, ITEMS, ORDERS, REVIEWS, SELLERS, OlistHistory
from tests.support.paths import SHARED

HEADERS = {
    ORDERS: "order_id,customer_id,order_status,order_purchase_timestamp,order_approved_at,"
    "order_delivered_carrier_date,order_delivered_customer_date,order_estimated_delivery_date",
    ITEMS: "order_id,order_item_id,product_id,seller_id,shipping_limit_date,price,freight_value",
    REVIEWS: "review_id,order_id,review_score,review_comment_title,review_comment_message,"
    "review_creation_date,review_answer_timestamp",
    CUSTOMERS: "customer_id,customer_unique_id,customer_zip_code_prefix,customer_city,customer_state",
    SELLERS: "seller_id,seller_zip_code_prefix,seller_city,seller_state",
}
ORDER = (
    "o1,c1,delivered,2017-03-01 10:00:00,2017-03-01 11:00:00,"
    "2017-03-02 09:00:00,2017-03-07 15:00:00,2017-03-20 00:00:00"
)
REVIEW = "r1,o1,4,Bom,Chegou bem,2017-03-08 00:00:00,2017-03-09 12:30:00"
REAL = SHARED / "data" / "olist"


def write(folder: Path, **rows: list[str] | bytes) -> Path:
    """Write five tables: two customers and sellers, an order, its item and review, unless `rows` differ."""
    tables: dict[str, list[str] | bytes] = {
        "customers": ["c1,u1,01000,sao paulo,SP", "c2,u2,40000,salvador,BA"],
        "sellers": ["s1,13000,campinas,PR", "s2,20000,rio,RJ"],
        "orders": [ORDER],
        "items": ["o1,1,p1,s1,2017-03-05 00:00:00,10.00,2.00"],
        "reviews": [REVIEW],
        **rows,
    }
    names = dict(zip(tables, (CUSTOMERS, SELLERS, ORDERS, ITEMS, REVIEWS), strict=True))
    for key, content in tables.items():
        body = content if isinstance(content, bytes) else "".join(f"{row}\n" for row in content).encode()
        (folder / names[key]).write_bytes(HEADERS[names[key]].encode() + b"\n" + body)
    return folder


def events_of(folder: Path) -> list[Event]:
    """Every event of the history, decoded. Fails if a row is broken."""
    incomings = list(OlistHistory(folder))
    assert [incoming.fault for incoming in incomings if incoming.fault] == []
    return [decode(incoming.raw, incoming.topic) for incoming in incomings]


def event(folder: Path, kind: str, number: int = 0) -> Event:
    return [event for event in events_of(folder) if event.id.endswith(f":{kind}")][number]


def faults(folder: Path) -> list[Incoming]:
    """The dead letters of the history. Fails if another event is invalid."""
    incomings = list(OlistHistory(folder))
    for incoming in incomings:
        if incoming.fault is None:
            decode(incoming.raw, incoming.topic)
    return [incoming for incoming in incomings if incoming.fault is not None]


def position_and_field(incoming: Incoming) -> tuple[str, str]:
    assert incoming.fault is not None
    return incoming.position, incoming.fault.field


def test_an_order_becomes_events_from_its_completion_to_its_answer(tmp_path: Path) -> None:
    events = events_of(write(tmp_path))
    assert [(e.id, e.time.isoformat()) for e in events] == [
        ("o1:completed", "2017-03-02T12:00:00+00:00"),
        ("o1:dispatched", "2017-03-02T12:00:00+00:00"),
        ("o1:delivered", "2017-03-07T18:00:00+00:00"),
        ("r1:o1:requested", "2017-03-09T02:59:59.999999+00:00"),
        ("r1:o1:received", "2017-03-09T15:30:00+00:00"),
    ]
    assert {e.source for e in events} == {"olist"}
    assert all(e.historic for e in events)


def test_the_order_carries_the_dimensions_people_and_promise_of_its_tables(tmp_path: Path) -> None:
    items = ["o1,2,p2,s2,,1,1", "o1,1,p1,s1,,1,1", "o1,3,p1,s1,,1,1"]
    data = event(write(tmp_path, items=items), "completed").data
    assert data.account.id == "u1"
    assert [(c.id, c.role, c.language, c.timezone) for c in data.contacts] == [
        ("u1", "receiver", "pt", "America/Sao_Paulo")
    ]
    assert data.dimensions == {"region": "SP", "origin": "PR", "consolidation": "several_sellers"}
    assert [(line.sku, line.ordered, line.delivered) for line in data.lines] == [
        ("p1", 2, None),
        ("p2", 1, None),
    ]
    assert data.shipments == 2
    assert (data.promised_at, data.timezone) == ("2017-03-20", "America/Sao_Paulo")
    assert data.ordered_at == datetime(2017, 3, 1, 13, tzinfo=UTC)


def test_an_order_without_items_has_neither_origin_nor_consolidation(tmp_path: Path) -> None:
    data = event(write(tmp_path, items=[]), "completed").data
    assert data.dimensions == {"region": "SP"}
    assert (data.lines, data.shipments) == ([], 1)


@pytest.mark.parametrize(
    ("approved", "carrier", "expected"),
    [
        ("2017-03-01 11:00:00", "2017-03-02 09:00:00", "2017-03-02T12:00:00+00:00"),
        ("2017-03-01 11:00:00", "", "2017-03-01T14:00:00+00:00"),
        ("", "", "2017-03-01T13:00:00+00:00"),
    ],
)
def test_an_order_is_completed_at_its_last_record_before_shipping(
    tmp_path: Path, approved: str, carrier: str, expected: str
) -> None:
    row = f"o1,c1,shipped,2017-03-01 10:00:00,{approved},{carrier},,2017-03-20 00:00:00"
    completed = event(write(tmp_path, orders=[row], reviews=[]), "completed")
    assert completed.time.isoformat() == expected
    assert completed.data.completed_at == completed.time


def test_a_canceled_order_with_a_delivery_time_was_returned(tmp_path: Path) -> None:
    events = events_of(write(tmp_path, orders=[ORDER.replace("delivered", "canceled", 1)], reviews=[]))
    assert [e.data.status for e in events[1:]] == ["dispatched", "delivered", "returned"]
    assert events[3].time == events[2].time
    assert events[3].id > events[2].id, "the later one, where time and source are the same"
    assert all(e.data.shipment_id is None for e in events[1:])


def test_an_answer_contains_score_and_comment(tmp_path: Path) -> None:
    answer = event(write(tmp_path), "received").data
    assert (answer.score.value, answer.score.scale, answer.channel) == (4, 5, "email")
    assert answer.comment == "Bom\nChegou bem"
    assert answer.answered_at == datetime(2017, 3, 9, 15, 30, tzinfo=UTC)
    request = event(write(tmp_path), "requested").data
    assert (request.contact_id, request.purpose, request.channel) == ("u1", "delivery", "email")


@pytest.mark.parametrize(
    ("created", "delivered", "estimate", "day"),
    [
        ("2017-03-08 00:00:00", "2017-03-07 15:00:00", "2017-03-20 00:00:00", "2017-03-08"),
        ("", "2017-03-07 15:00:00", "2017-03-20 00:00:00", "2017-03-07"),
        ("", "", "2017-03-20 00:00:00", "2017-03-20"),
        ("", "", "", "2017-03-01"),
    ],
)
def test_an_answer_without_a_time_counts_at_the_end_of_its_day(
    tmp_path: Path, created: str, delivered: str, estimate: str, day: str
) -> None:
    order = f"o1,c1,delivered,2017-03-01 10:00:00,,,{delivered},{estimate}"
    folder = write(tmp_path, orders=[order], reviews=[f"r1,o1,2,,,{created},"])
    end = datetime.fromisoformat(f"{day}T23:59:59.999999-03:00")
    assert event(folder, "requested").time == end
    assert event(folder, "received").time == end
    assert event(folder, "received").data.answered_at is None
    assert event(folder, "received").data.comment is None


def test_a_review_without_creation_date_was_asked_for_when_it_was_answered(tmp_path: Path) -> None:
    events = events_of(write(tmp_path, reviews=["r1,o1,2,,,,2017-03-09 12:30:00"]))
    assert [e.id for e in events[-2:]] == ["r1:o1:requested", "r1:o1:received"]
    assert events[-1].time == events[-2].time == datetime(2017, 3, 9, 15, 30, tzinfo=UTC)


def test_an_answer_on_the_day_of_its_question_may_precede_the_question(
    tmp_path: Path,
) -> None:
    events = events_of(write(tmp_path, reviews=["r1,o1,2,,,2017-03-09 00:00:00,2017-03-09 12:30:00"]))
    assert [e.id for e in events[-2:]] == ["r1:o1:received", "r1:o1:requested"]


def test_every_review_of_an_order_is_an_event_and_a_review_of_two_orders_is_two(tmp_path: Path) -> None:
    rows = [REVIEW, REVIEW.replace("r1", "r2"), REVIEW.replace("o1", "o2")]
    folder = write(tmp_path, orders=[ORDER, ORDER.replace("o1,c1", "o2,c2")], reviews=rows)
    names = [e.id for e in events_of(folder) if e.type == "feedback.received"]
    assert sorted(names) == ["r1:o1:received", "r1:o2:received", "r2:o1:received"]
    assert len(OlistHistory(folder)) == 12


def test_events_of_one_instant_follow_kind_and_then_order(tmp_path: Path) -> None:
    stamp = "2017-03-02 09:00:00"
    orders = [f"{name},c1,canceled,{stamp},,{stamp},{stamp},2017-03-20 00:00:00" for name in ("o2", "o1")]
    events = events_of(write(tmp_path, orders=orders, items=[], reviews=[]))
    kinds = ("completed", "dispatched", "delivered", "returned")
    assert [e.id for e in events] == [f"{order}:{kind}" for kind in kinds for order in ("o1", "o2")]


@pytest.mark.parametrize(
    ("local", "instant"),
    [
        ("2017-10-14 23:59:59", "2017-10-15T02:59:59"),
        (
            "2017-10-15 00:30:00",
            "2017-10-15T03:30:00",
        ),  # this time was skipped: the clocks went from midnight to one
        ("2017-10-15 01:00:00", "2017-10-15T03:00:00"),
        ("2017-02-18 23:30:00", "2017-02-19T01:30:00"),  # this time occurred twice: the first one is meant
        ("2017-02-19 00:00:00", "2017-02-19T03:00:00"),
    ],
)
def test_local_times_get_the_offset_of_their_day(tmp_path: Path, local: str, instant: str) -> None:
    order = f"o1,c1,shipped,{local},,,,2017-12-20 00:00:00"
    completed = event(write(tmp_path, orders=[order], reviews=[]), "completed")
    assert completed.time == datetime.fromisoformat(instant + "+00:00")


def test_events_are_in_order_across_a_change_of_the_clocks(tmp_path: Path) -> None:
    orders = [
        f"{name},c1,shipped,{local},,,,"
        for name, local in (("o1", "2017-10-15 00:45:00"), ("o2", "2017-10-15 01:15:00"))
    ]
    times = [e.time for e in events_of(write(tmp_path, orders=orders, items=[], reviews=[]))]
    assert times == sorted(times)


def test_gzipped_tables_give_the_same_events(tmp_path: Path) -> None:
    plain = list(OlistHistory(write(tmp_path)))
    for path in list(tmp_path.iterdir()):
        (tmp_path / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert list(OlistHistory(tmp_path)) == plain
    assert plain[0].position == f"{ORDERS}:2"


def test_a_byte_order_mark_crlf_and_blank_lines_change_nothing(tmp_path: Path) -> None:
    plain = [incoming.raw for incoming in OlistHistory(write(tmp_path))]
    for path in tmp_path.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert [incoming.raw for incoming in OlistHistory(tmp_path)] == plain


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (write(tmp_path) / SELLERS).unlink()
    with pytest.raises(UnreadableSource, match=SELLERS):
        OlistHistory(tmp_path)


def test_a_missing_column_is_named_with_its_file(tmp_path: Path) -> None:
    path = write(tmp_path) / REVIEWS
    path.write_text(path.read_text().replace("review_score", "score"))
    with pytest.raises(UnreadableSource, match=f"{REVIEWS}.*'review_score'"):
        OlistHistory(tmp_path)


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    path = write(tmp_path) / ORDERS
    (tmp_path / f"{ORDERS}.gz").write_bytes(gzip.compress(path.read_bytes())[:-9])
    path.unlink()
    with pytest.raises(UnreadableSource, match=ORDERS):
        OlistHistory(tmp_path)


@pytest.mark.parametrize(
    ("table", "row", "field"),
    [
        ("orders", "o2,c2,delivered", ""),
        ("orders", "o2,c2,delivered,2017-13-01 10:00:00,,,,", "order_purchase_timestamp"),
        ("orders", "o2,c2,delivered,2017-03-01 10:00:00,yesterday,,,", "order_approved_at"),
        (
            "orders",
            "o2,c2,delivered,2017-03-01 10:00:00,,2017-03-01T10:00:00Z,,",
            "order_delivered_carrier_date",
        ),
        (
            "orders",
            "o2,c2,delivered,2017-03-01 10:00:00,,,0001-01-01 00:00:00,",
            "order_delivered_customer_date",
        ),
        ("orders", "o2,c2,delivered,2017-03-01 10:00:00,,,,20.03.2017", "order_estimated_delivery_date"),
        ("orders", "o2,c2,delivered,,,,,2017-03-20 00:00:00", "order_purchase_timestamp"),
        ("orders", "o2,c9,delivered,2017-03-01 10:00:00,,,,", "customer_id"),
        ("orders", "o2,,delivered,2017-03-01 10:00:00,,,,", "customer_id"),
        ("orders", ",c2,delivered,2017-03-01 10:00:00,,,,", "order_id"),
        ("orders", "o1,c2,delivered,2017-03-01 10:00:00,,,,", "order_id"),
        ("orders", "o" * 91 + ",c2,delivered,2017-03-01 10:00:00,,,,", "order_id"),
        ("items", "o9,1,p1,s1,,1,1", "order_id"),
        ("items", ",1,p1,s1,,1,1", "order_id"),
        ("items", "o1,one,p1,s1,,1,1", "order_item_id"),
        ("items", "o1,1,p1,s1,,1,1", "order_item_id"),
        ("items", "o1,2,,s1,,1,1", "product_id"),
        ("items", "o1,2,p1,,,1,1", "seller_id"),
        ("reviews", "r2,o9,5,,,2017-03-08 00:00:00,", "order_id"),
        ("reviews", ",o1,5,,,2017-03-08 00:00:00,", "review_id"),
        ("reviews", "r2,o1,6,,,2017-03-08 00:00:00,", "review_score"),
        ("reviews", "r2,o1,0,,,2017-03-08 00:00:00,", "review_score"),
        ("reviews", "r2,o1,five,,,2017-03-08 00:00:00,", "review_score"),
        ("reviews", "r2,o1,5,,,soon,", "review_creation_date"),
        ("reviews", "r2,o1,5,,,2017-03-08 00:00:00,2017-03-08 25:00:00", "review_answer_timestamp"),
        ("reviews", "r2,o1,5,," + "x" * 8001 + ",2017-03-08 00:00:00,", "review_comment_message"),
        ("reviews", REVIEW, "review_id"),
        ("reviews", 'r2,o1,5,,"a "quoted" word",2017-03-08 00:00:00,', ""),
        ("reviews", "r2,o1,5,,a\x00b,2017-03-08 00:00:00,", "review_comment_message"),
        ("customers", "c1,u1,01000,sao paulo,SP", "customer_id"),
        ("customers", "c3,,01000,sao paulo,SP", "customer_unique_id"),
        ("customers", "c3,u3,01000,sao paulo," + "X" * 91, "customer_state"),
        ("sellers", "s1,13000,campinas,PR", "seller_id"),
        ("sellers", ",13000,campinas,PR", "seller_id"),
    ],
)
def test_a_broken_row_is_a_dead_letter_with_file_line_and_column(
    tmp_path: Path, table: str, row: str, field: str
) -> None:
    names = {"orders": ORDERS, "items": ITEMS, "reviews": REVIEWS, "customers": CUSTOMERS, "sellers": SELLERS}
    path = write(tmp_path) / names[table]
    before = [incoming.raw for incoming in OlistHistory(tmp_path)]
    line = path.read_text().count("\n") + 1
    path.write_bytes(path.read_bytes() + row.encode() + b"\n")
    [fault] = faults(tmp_path)
    assert position_and_field(fault) == (f"{path.name}:{line}", field)
    assert fault.raw == row.encode()
    assert fault.topic == ("feedback" if table == "reviews" else "orders")
    assert [incoming.raw for incoming in OlistHistory(tmp_path) if incoming.fault is None] == before


def test_rows_that_refer_to_a_broken_order_are_reported_separately(tmp_path: Path) -> None:
    found = faults(write(tmp_path, orders=[ORDER.replace("2017-03-20", "2017-02-30")]))
    assert [position_and_field(fault) for fault in found] == [
        (f"{ORDERS}:2", "order_estimated_delivery_date"),
        (f"{ITEMS}:2", "order_id"),
        (f"{REVIEWS}:2", "order_id"),
    ]


def test_lines_are_counted_through_comments_of_several_lines(tmp_path: Path) -> None:
    rows = ['r1,o1,4,,"one\ntwo, ""three""\n\nfour",2017-03-08 00:00:00,', "", "r2,o1,9,,,,", "r3,o1,5,,,,"]
    folder = write(tmp_path, reviews=rows)
    assert [position_and_field(fault) for fault in faults(folder)] == [(f"{REVIEWS}:7", "review_score")]
    words = {
        json.loads(incoming.raw or b"{}")["data"].get("comment")
        for incoming in OlistHistory(folder)
        if incoming.fault is None and b'"comment"' in incoming.raw
    }
    assert words == {'one\ntwo, "three"\n\nfour'}
    assert {i.position for i in OlistHistory(folder) if i.topic == "feedback"} == {
        f"{REVIEWS}:2",
        f"{REVIEWS}:7",
        f"{REVIEWS}:8",
    }


@pytest.mark.parametrize("quoted_later", [True, False])
def test_an_unclosed_quote_breaks_only_its_own_row(tmp_path: Path, quoted_later: bool) -> None:
    comment = '"fine"' if quoted_later else "fine"
    good = [f"r{n},o1,5,,{comment},2017-03-08 00:00:00," for n in range(3, 3_000)]
    folder = write(tmp_path, reviews=['r2,o1,5,,"never closed,2017-03-08 00:00:00,', *good])
    found = faults(folder)
    assert [position_and_field(fault) for fault in found] == [(f"{REVIEWS}:2", "")]
    assert found[0].raw == b'r2,o1,5,,"never closed,2017-03-08 00:00:00,'
    assert len(OlistHistory(folder)) == 1 + 3 + 2 * len(good)


def test_bytes_that_are_not_utf8_are_kept_unchanged(tmp_path: Path) -> None:
    broken = b"r2,o1,5,,\xe9 bom,2017-03-08 00:00:00,"
    [fault] = faults(write(tmp_path, reviews=REVIEW.encode() + b"\n" + broken + b"\n"))
    assert position_and_field(fault) == (f"{REVIEWS}:3", "review_comment_message")
    assert fault.raw == broken


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason=f"the real history is not at {REAL}")
def test_the_whole_real_history_is_read() -> None:
    history = OlistHistory(REAL)
    kinds: Counter[str] = Counter()
    for incoming in history:
        assert incoming.fault is None
        event = decode(incoming.raw, incoming.topic)
        kinds[getattr(event.data, "status", event.type)] += 1
    assert kinds == {
        "order.completed": 45_428,
        "dispatched": 44_237,
        "delivered": 43_698,
        "returned": 5,
        "feedback.requested": 45_368,
        "feedback.received": 45_368,
    }
    assert len(history) == sum(kinds.values())
