"""Tables as files: complete, without formulas, with the filters and within the scope of the viewer, each an act."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zipfile import ZipFile

import pytest
from litestar.testing import TestClient
from pyarrow import parquet
from sqlalchemy import select

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.permissions import Role
from pipeline.store.schema.users import acts
from pipeline.web.internal.exports import csv_file, excel_file, parquet_file, tables
from pipeline.web.internal.exports.sheet import Column, Sheet
from tests.support.builders import answered, at, completed, contact, scanned
from tests.support.requests.users import add_user, app_of, listener, token_of
from tests.support.running.embedded import ingest
from tests.support.statistics.alert_rows import raise_alert

FORMULAS = ["=1+1", "+1", "-1+2", "@SUM(A1)", "\tx", "\rx"]


@pytest.fixture
def site(runtime: EmbeddedRunner) -> Iterator[tuple[TestClient[Any], EmbeddedRunner]]:
    for number in range(9):
        order_id, when, depot = f"SO-{number}", at(hours=number), "Lyon" if number % 2 else "Paris"
        people = [contact(f"c-{number}", phone=f"+4477009{number:05d}")]
        account = {"id": f"A-{number}", "name": "=cmd|' /C calc'!A0"}
        said = {"arrival": "late" if number % 3 == 0 else "on_time", "comment": f"=HYPERLINK({number})"}
        ingest(
            runtime,
            completed(order_id, when, account=account, contacts=people, dimensions={"depot": depot}),
            scanned(order_id, when),
            answered(order_id, at(hours=number + 1), f"c-{number}", **said),
        )
    with runtime.engine.begin() as connection:
        raise_alert(connection, "on_time/depot/Lyon/1", proof={"since": "2026-03-01"})
    add_user(runtime.engine, "mia")
    add_user(runtime.engine, "rolf", Role.OPERATIONS, "depot=Lyon")
    add_user(runtime.engine, "audit", Role.AUDITOR)
    add_user(runtime.engine, "addy", Role.ADMIN)
    with listener(app_of(runtime)) as made:
        yield made, runtime


def rows_of(client: TestClient[Any], address: str, headers: dict[str, str]) -> list[dict[str, str]]:
    answer = client.get(address, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.content.startswith(b"\xef\xbb\xbf"), "with the mark of UTF-8"
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))


def test_a_file_has_the_orders_of_the_filter_and_of_the_scope(
    site: tuple[TestClient[Any], EmbeddedRunner], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, runtime = site
    monkeypatch.setattr(tables, "BATCH", 2)
    mia, rolf = token_of(runtime.engine, "mia"), token_of(runtime.engine, "rolf")
    assert [row["order_id"] for row in rows_of(client, "/export/orders", mia)] == [f"SO-{n}" for n in range(8, -1, -1)]
    late = rows_of(client, "/export/orders?code=late&format=csv", mia)
    assert [row["order_id"] for row in late] == ["SO-6", "SO-3", "SO-0"]
    assert {row["order_id"] for row in rows_of(client, "/export/orders", rolf)} == {"SO-1", "SO-3", "SO-5", "SO-7"}
    assert late[0]["delivered_at"] == "2026-03-02T15:00:00Z"
    assert late[0]["claimed_on_time"] == "true"


def test_all_formats_have_the_same_rows(site: tuple[TestClient[Any], EmbeddedRunner]) -> None:
    client, runtime = site
    mia = token_of(runtime.engine, "mia")
    in_csv = [row["order_id"] for row in rows_of(client, "/export/orders", mia)]
    table = parquet.read_table(io.BytesIO(client.get("/export/orders?format=parquet", headers=mia).content))
    assert table.column("order_id").to_pylist() == in_csv
    assert table.column("words").to_pylist()[0] == "=HYPERLINK(8)", "nothing runs Parquet"
    assert table.column("last_event_at").to_pylist()[0].tzinfo is not None
    book = client.get("/export/orders?format=xlsx", headers=mia)
    assert 'filename="orders.xlsx"' in book.headers["content-disposition"]
    with ZipFile(io.BytesIO(book.content)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
    assert all(f">{order_id}<" in sheet for order_id in in_csv)
    assert "<f>" not in sheet, "no formula"
    assert "=HYPERLINK(8)" in sheet


def test_no_text_is_a_formula_in_csv_and_numbers_stay_numbers() -> None:
    rows = [[text, -1.5] for text in FORMULAS] + [["a=b", None]]
    sheet = Sheet("x", [Column("text"), Column("number", "number")], iter(rows))
    text = b"".join(csv_file.pieces(sheet)).decode("utf-8-sig")
    found = list(csv.reader(io.StringIO(text, newline="")))[1:]
    assert [row[0] for row in found] == [f"'{text}" for text in FORMULAS] + ["a=b"]
    assert {row[1] for row in found} == {"-1.5", ""}


def test_files_of_many_rows_are_written_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel_file, "_MOST_ROWS", 100)
    columns = [Column("n", "whole"), Column("at", "moment"), Column("yes", "yes_no"), Column("text")]
    day = datetime(2026, 3, 2, tzinfo=UTC)

    def sheet(read: list[int]) -> Sheet:
        def _rows() -> Iterator[list[object]]:
            for number in range(12_000):
                read.append(number)
                yield [number, day, number % 2 == 0, "x" * 40_000 if number == 3 else None]

        return Sheet("rows", columns, _rows())

    for write in (csv_file.pieces, parquet_file.pieces):
        read: list[int] = []
        first = next(write(sheet(read)))
        assert first
        assert len(read) < 6_000, "the first piece does not wait for the last row"
    data = b"".join(parquet_file.pieces(sheet([])))
    assert parquet.read_table(io.BytesIO(data)).num_rows == 12_000
    with ZipFile(io.BytesIO(b"".join(excel_file.pieces(sheet([]))))) as archive:
        names = [name for name in archive.namelist() if name.startswith("xl/worksheets/")]
        assert len(names) == 120, "more rows than a sheet has go to further sheets"


def test_each_file_is_recorded_with_its_filters_and_without_the_words_of_a_search(
    site: tuple[TestClient[Any], EmbeddedRunner],
) -> None:
    client, runtime = site
    mia = token_of(runtime.engine, "mia")
    rows_of(client, "/export/orders?segment=depot%3ALyon&words=hyperlink", mia)
    rows_of(client, "/export/alerts", mia)
    with runtime.engine.connect() as connection:
        recorded = connection.execute(select(acts).where(acts.c.what == "exported").order_by(acts.c.seq)).all()
    assert [(row.who, row.subject) for row in recorded] == [("mia", "orders"), ("mia", "alerts")]
    details = json.loads(recorded[0].details)
    assert details["format"] == "csv"
    assert "Lyon" in details["filters"]
    assert "hyperlink" not in details["filters"]


TABLES = ("segments", "accounts", "alerts", "incidents", "cases", "inbox", "users", "verbatims", "acts")


@pytest.mark.parametrize("form", ["csv", "xlsx", "parquet"])
def test_every_table_is_there_in_every_format(site: tuple[TestClient[Any], EmbeddedRunner], form: str) -> None:
    client, runtime = site
    for table in TABLES:
        who = token_of(runtime.engine, {"acts": "audit", "users": "addy"}.get(table, "mia"))
        answer = client.get(f"/export/{table}?format={form}", headers=who)
        assert answer.status_code == 200, table
        assert len(answer.content) > 100, table


def test_a_file_of_figures_has_the_rows_of_its_page(site: tuple[TestClient[Any], EmbeddedRunner]) -> None:
    client, runtime = site
    mia = token_of(runtime.engine, "mia")
    found = rows_of(client, "/export/segments?by=depot", mia)
    assert [row["segment"] for row in found] == ["", "Lyon", "Paris"]
    assert found[0]["delivered"] == "9"
    assert rows_of(client, "/export/alerts", mia)[0]["value"] == "Lyon"


def test_the_users_are_a_file_without_anything_secret(site: tuple[TestClient[Any], EmbeddedRunner]) -> None:
    client, runtime = site
    found = rows_of(client, "/export/users", token_of(runtime.engine, "addy"))
    assert [(row["name"], row["role"], row["scope"]) for row in found] == [
        ("addy", "admin", ""),
        ("audit", "auditor", ""),
        ("mia", "management", ""),
        ("rolf", "operations", "depot=Lyon"),
    ]
    assert {row["second_factor"] for row in found} == {"false"}
    assert not any("hash" in name or "totp" in name for name in found[0])


def test_the_replies_that_wait_are_a_file_of_the_scope(site: tuple[TestClient[Any], EmbeddedRunner]) -> None:
    client, runtime = site
    for day, order_id, depot in ((1, "SO-20", "Lyon"), (2, "SO-21", "Paris")):
        ingest(
            runtime,
            completed(order_id, at(), contacts=[contact(order_id)], dimensions={"depot": depot}),
            scanned(order_id, at(hours=1)),
            answered(order_id, at(days=day), order_id, comment="Well, it was like last time", channel="form"),
        )
    found = rows_of(client, "/export/inbox", token_of(runtime.engine, "mia"))
    assert [row["order_id"] for row in found] == ["SO-20", "SO-21"]
    assert {row["words"] for row in found} == {"Well, it was like last time"}
    assert {row["why"] for row in found} == {"its words state nothing that could be counted"}
    assert [row["order_id"] for row in rows_of(client, "/export/inbox", token_of(runtime.engine, "rolf"))] == ["SO-20"]


def test_an_unknown_format_or_filter_is_refused_by_name(site: tuple[TestClient[Any], EmbeddedRunner]) -> None:
    client, runtime = site
    mia = token_of(runtime.engine, "mia")
    for query, field in (("format=pdf", "format"), ("verdict=great", "verdict"), ("from=yesterday", "from")):
        answer = client.get(f"/export/orders?{query}", headers=mia)
        assert answer.status_code == 400
        assert answer.json()["field"] == field


def test_cases_of_the_scope_are_a_file(site: tuple[TestClient[Any], EmbeddedRunner]) -> None:
    client, runtime = site
    everything = rows_of(client, "/export/cases", token_of(runtime.engine, "mia"))
    assert {row["order_id"] for row in everything} == {"SO-0", "SO-3", "SO-6"}
    assert all(row["due_at"] > row["opened_at"] and row["reasons"] == "late" for row in everything)
    assert {row["order_id"] for row in rows_of(client, "/export/cases", token_of(runtime.engine, "rolf"))} == {"SO-3"}
