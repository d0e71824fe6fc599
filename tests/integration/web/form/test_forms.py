"""The customer's form: what it shows, records, and never reveals."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import event

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.asking.ask_states import hashed
from pipeline.store.schema.answers import answers
from pipeline.store.schema.asks import asks
from pipeline.store.schema.conversations import form_answers
from pipeline.store.schema.journal import journal
from pipeline.web.public.form import form, links
from tests.support.builders import answered, at
from tests.support.dump import dump
from tests.support.modes import EVERYWHERE
from tests.support.requests import installation
from tests.support.requests.installation import TOKEN, Clock
from tests.support.running.embedded import ingest
from tests.support.stored import published, rows

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)

ANSWER = {"arrival": "late", "goods": ["damaged", "papers_missing"], "score": "4", "comment": "Box 3 was wet."}
HEADERS = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def clock() -> Clock:
    return Clock(at(hours=3))


@pytest.fixture
def client(runtime: EmbeddedRunner, clock: Clock) -> Iterator[TestClient[Litestar]]:
    with installation.client(*form.routes(installation.services(runtime, clock))) as made:
        yield made


def submission(page: str) -> str:
    found = re.search(r'name="submission" value="([^"]+)"', page)
    assert found
    return found[1]


def post(client: TestClient[Litestar], fields: dict[str, Any], token: str = TOKEN) -> Any:
    return client.post(f"/f/{token}", content=urlencode(fields, doseq=True), headers=HEADERS)


def stored_answers(runtime: EmbeddedRunner) -> list[dict[str, Any]]:
    return sorted(rows(runtime, answers), key=lambda row: row["answered_at"])


def test_an_answer_is_recorded_compared_and_shown(runtime: EmbeddedRunner, client: TestClient[Litestar]) -> None:
    installation.sent(runtime)
    page = client.get(f"/f/{TOKEN}")
    assert (page.status_code, page.headers["content-language"]) == (200, "en")
    answer = post(client, ANSWER | {"submission": submission(page.text)})
    assert answer.status_code == 200
    for shown in ("Thank you", "Yes, but late", "Something is damaged", "Papers are missing", "4 of 10", "Box 3 was"):
        assert shown in answer.text
    (row,) = rows(runtime, answers)
    assert (row["channel"], row["arrival"], row["complete"], row["score"]) == ("form", "late", False, 4)
    assert (row["condition"], row["comment"]) == ("damaged,papers_missing", "Box 3 was wet.")
    assert rows(runtime, asks)[0]["state"] == "answered"
    assert published(runtime, "fulfilment.compared")[0]["verdict"] == "embellished"


def test_a_hundred_prefetches_leave_it_unanswered(runtime: EmbeddedRunner, client: TestClient[Litestar]) -> None:
    installation.sent(runtime)
    before = dump(runtime.engine)
    for n in range(100):
        assert client.get(f"/f/{TOKEN}", params={"amend": "1"} if n % 2 else {}).status_code == 200
    assert client.head(f"/f/{TOKEN}").status_code in (200, 405)
    assert dump(runtime.engine) == before
    assert rows(runtime, asks)[0]["state"] == "sent"


def test_the_content_of_the_database_opens_no_form(runtime: EmbeddedRunner, clock: Clock) -> None:
    installation.sent(runtime)
    everything = "\n".join(dump(runtime.engine))
    assert TOKEN not in everything
    candidates = set(re.findall(r"[A-Za-z0-9_-]{16,}", everything)) | {hashed(TOKEN), hashed(TOKEN)[:22]}
    with installation.client(
        *form.routes(installation.services(runtime, clock, max_wrong_links_per_minute=10_000))
    ) as client:
        for candidate in candidates:
            assert client.get(f"/f/{candidate}").status_code == 404


def test_failed_attempts_at_links_are_limited_and_valid_links_are_not(
    runtime: EmbeddedRunner, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.sent(runtime)
    french = {"accept-language": "fr"}
    with installation.client(
        *form.routes(installation.services(runtime, clock, max_wrong_links_per_minute=3))
    ) as client:
        for _ in range(5):
            assert client.get(f"/f/{TOKEN}").status_code == 200, "valid links are not counted"
        attempts = [client.get("/f/" + f"{n:022}", headers=french) for n in range(5)]
        assert [attempt.status_code for attempt in attempts] == [404, 404, 404, 429, 429]
        assert 1 <= int(attempts[-1].headers["retry-after"]) <= 60
        assert (attempts[-1].headers["content-language"], "patienter" in attempts[-1].text) == ("fr", True)
        assert post(client, ANSWER, "A" * 22).status_code == 429
        assert client.get(f"/f/{TOKEN}").status_code == 200
        assert post(client, ANSWER).status_code == 200
        clock.moment += timedelta(days=15)
        assert client.get(f"/f/{TOKEN}").status_code == 404, "nor is a link that was valid before"
        # All clients beyond the limit share one query; a malformed token needs none.
        monkeypatch.setattr(links, "_SHARED_SECONDS", 3)
        with queries(runtime) as asked, ThreadPoolExecutor(8) as pool:
            assert set(pool.map(lambda n: client.get(f"/f/{n:022}").status_code, range(8))) == {429}
            assert client.get("/f/short").status_code == 429
        assert len(asked) <= 2, "one query for all, and perhaps one for a late client"


@contextmanager
def queries(runtime: EmbeddedRunner) -> Iterator[list[str]]:
    """Records the statements executed in the block."""
    seen: list[str] = []

    def _note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(runtime.engine, "before_cursor_execute", _note)
    yield seen
    event.remove(runtime.engine, "before_cursor_execute", _note)


def test_unknown_used_and_expired_links_look_alike_except_for_one_sentence(
    runtime: EmbeddedRunner, client: TestClient[Litestar], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.sent(runtime)
    for wrong in ("A" * 22, "A" * 21, "A" * 200, "%00" * 22, "../../etc/passwd", "'; DROP TABLE asks; --"):
        assert client.get(f"/f/{wrong}").status_code == 404
    unknown, unknown_post = client.get("/f/" + "A" * 22), post(client, ANSWER, "A" * 22)
    monkeypatch.setattr(links, "MAX_ANSWERS", 1)
    assert post(client, ANSWER).status_code == 200
    used, used_post = client.get(f"/f/{TOKEN}"), post(client, ANSWER | {"score": "9"})
    for other in (unknown_post, used, used_post):
        assert (other.status_code, other.text) == (404, unknown.text)
        assert {k: v for k, v in other.headers.items() if k != "date"} == dict(unknown.headers)
    clock.moment = at(hours=2) + timedelta(days=14, seconds=1)
    expired = client.get(f"/f/{TOKEN}")
    assert expired.status_code == 404
    kind = re.search(r'<p class="kind">.*?</p>\n', expired.text, re.DOTALL)
    assert kind
    assert expired.text.replace(kind[0], "") == unknown.text
    assert post(client, ANSWER).status_code == 404
    assert len(rows(runtime, answers)) == 1


def test_a_link_is_open_for_fourteen_days_from_sending(
    runtime: EmbeddedRunner, client: TestClient[Litestar], clock: Clock
) -> None:
    installation.sent(runtime)
    clock.moment = at(hours=2) + timedelta(days=14)
    assert client.get(f"/f/{TOKEN}").status_code == 200


def test_an_amended_answer_counts_and_the_earlier_one_is_stored(
    runtime: EmbeddedRunner, client: TestClient[Litestar], clock: Clock
) -> None:
    installation.sent(runtime)
    post(client, ANSWER | {"submission": "one"})
    shown = client.get(f"/f/{TOKEN}")
    assert "Your answer is recorded" in shown.text
    assert "Box 3" not in shown.text, "links are forwarded: a comment is shown to its author only"
    again = client.get(f"/f/{TOKEN}", params={"amend": "1"})
    for name in ("arrival-late", "goods-damaged", "goods-papers_missing", "score-4"):
        assert re.search(rf'id="{name}"[^>]* checked', again.text), name
    clock.moment = at(hours=4)
    amended = post(client, {"submission": submission(again.text), "arrival": "late", "goods": "complete", "score": "8"})
    assert "You have answered 2 times" in amended.text
    first, second = stored_answers(runtime)
    assert (first["score"], first["condition"], first["comment"]) == (4, "damaged,papers_missing", "Box 3 was wet.")
    assert (second["score"], second["complete"], second["condition"]) == (8, True, "")
    assert second["comment"] == "Box 3 was wet.", "an empty comment keeps the earlier one"
    assert [pair["observations"]["experience"]["x"] for pair in published(runtime, "fulfilment.compared")] == [1.0, 0.0]


def test_the_form_shows_the_current_answer_by_the_rule_of_the_evidence(
    runtime: EmbeddedRunner, client: TestClient[Litestar], clock: Clock
) -> None:
    installation.sent(runtime)
    post(client, {"arrival": "on_time", "goods": "complete", "score": "9"})
    clock.moment = at(hours=4)
    amended = post(client, {"arrival": "not_received"}).text
    assert "No, not received" in amended
    assert "All complete and in order" not in amended
    assert "9 of 10" in amended, "values that the amendment does not mention stay"


def test_the_same_submission_twice_counts_once(
    runtime: EmbeddedRunner, client: TestClient[Litestar], clock: Clock
) -> None:
    installation.sent(runtime)
    fields = ANSWER | {"submission": submission(client.get(f"/f/{TOKEN}").text)}
    with ThreadPoolExecutor(4) as pool:
        pages = list(pool.map(lambda _: post(client, fields), range(4)))
    clock.moment = at(hours=4)
    pages.append(post(client, fields))
    assert [page.status_code for page in pages] == [200] * 5
    assert len(rows(runtime, answers)) == 1
    assert len([row for row in rows(runtime, journal) if row["type"] == "feedback.received"]) == 1
    # Back in the browser, changed and sent again: this is another answer.
    assert post(client, fields | {"score": "9"}).status_code == 200
    assert [row["score"] for row in stored_answers(runtime)] == [4, 9]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"arrival": ""}, "arrival"),
        ({"arrival": "yesterday"}, "arrival"),
        ({"goods": ["complete", "damaged"]}, "goods"),
        ({"goods": "<script>"}, "goods"),
        ({"score": "11"}, "score"),
        ({"score": "٤"}, "score"),
        ({"score": "-1"}, "score"),
        ({"comment": "x" * 1_601}, "comment"),
    ],
)
def test_bad_input_shows_the_form_again_with_the_field_named(
    runtime: EmbeddedRunner, client: TestClient[Litestar], change: dict[str, Any], field: str
) -> None:
    installation.sent(runtime)
    page = post(client, ANSWER | change)
    assert page.status_code == 422
    assert page.text.count("<li><a href=") == 1
    assert f'id="{field}-error"' in page.text
    assert re.search(rf'aria-describedby="[^"]*{field}-error', page.text)
    assert re.search(rf'<(?:input|textarea)[^>]* name="{field}"[^>]* aria-invalid="true"', page.text)
    assert "Please check: Your delivery</title>" in page.text
    assert rows(runtime, answers) == []


def test_an_error_keeps_everything_that_was_entered(runtime: EmbeddedRunner, client: TestClient[Litestar]) -> None:
    installation.sent(runtime)
    page = post(client, ANSWER | {"arrival": "", "comment": "</textarea><script>alert(1)</script>\n{{ 7*7 }}"}).text
    assert re.search(r'id="score-4"[^>]* checked', page)
    assert "&lt;/textarea&gt;&lt;script&gt;alert(1)&lt;/script&gt;\n{{ 7*7 }}</textarea>" in page
    assert "<script" not in page


def test_goods_that_never_arrived_have_no_condition(runtime: EmbeddedRunner, client: TestClient[Litestar]) -> None:
    installation.sent(runtime)
    assert post(client, {"arrival": "not_received", "goods": ["complete", "damaged"]}).status_code == 200
    (row,) = rows(runtime, answers)
    assert (row["arrival"], row["complete"], row["condition"], row["score"]) == ("not_received", None, "", None)


def test_a_line_break_counts_as_one_character_and_control_characters_as_none(
    runtime: EmbeddedRunner, client: TestClient[Litestar]
) -> None:
    installation.sent(runtime)
    assert post(client, {"arrival": "on_time", "comment": "a\r\n" * 800}).status_code == 200
    assert post(client, {"arrival": "on_time", "comment": "wet\x00 \x1b[31mbox"}).status_code == 200
    comments = [row["comment"] for row in rows(runtime, answers)]
    assert ("a\n" * 800).strip() in comments
    assert "wet [31mbox" in comments


@pytest.mark.parametrize(
    "body", [b"\xff\xfe", b"arrival=%ff%fe&comment=%00%ed%a0%80", b"&".join([b"a=1"] * 100), b"{}", b"", b"%" * 60_000]
)
def test_malformed_bodies_are_rejected(runtime: EmbeddedRunner, client: TestClient[Litestar], body: bytes) -> None:
    installation.sent(runtime)
    assert client.post(f"/f/{TOKEN}", content=body, headers=HEADERS).status_code in (400, 422)
    assert rows(runtime, answers) == []


def test_a_body_over_64_kib_is_refused(runtime: EmbeddedRunner, client: TestClient[Litestar]) -> None:
    installation.sent(runtime)
    assert client.post(f"/f/{TOKEN}", content=b"arrival=late&comment=" + b"x" * 65_536).status_code == 413
    assert rows(runtime, answers) == []


def test_the_form_is_in_the_contacts_language_unless_another_is_chosen(
    runtime: EmbeddedRunner, client: TestClient[Litestar]
) -> None:
    installation.sent(runtime, language="fr-CA", timezone="Europe/Paris")
    page = client.get(f"/f/{TOKEN}", headers={"accept-language": "en"})
    assert '<html lang="fr">' in page.text
    assert "Comment s’est passée votre livraison" in page.text
    assert '<html lang="en">' in client.get(f"/f/{TOKEN}", params={"lang": "en"}).text
    assert '<html lang="fr">' in client.get(f"/f/{TOKEN}", params={"lang": "xx"}).text
    answer = post(client, {"arrival": "on_time", "goods": "complete", "score": "9", "lang": "fr"})
    assert "9 sur 10" in answer.text
    assert "2 mars 2026" in answer.text
    assert "13:00 (Europe/Paris)" in answer.text, "twelve in London: the contact's own clock"


@pytest.mark.parametrize(
    ("header", "language"),
    [("fr;q=0.4, en;q=0.9", "en"), ("nl, fr-BE;q=0.8", "fr"), ("", "en"), ("fr;q=0", "en"), (",;q=,fr;q=x", "en")],
)
def test_an_invalid_link_is_answered_in_the_browsers_language(
    client: TestClient[Litestar], header: str, language: str
) -> None:
    page = client.get("/f/" + "A" * 22, headers={"accept-language": header})
    assert f'<html lang="{language}">' in page.text


def test_the_page_contains_no_name_and_no_script(runtime: EmbeddedRunner, client: TestClient[Litestar]) -> None:
    installation.sent(runtime, name="Ana Canary", email="ana.canary@example.com")
    pages = [client.get(f"/f/{TOKEN}"), post(client, ANSWER), client.get(f"/f/{TOKEN}", params={"amend": "1"})]
    for page in pages:
        for secret in ("Canary", "7700900123", "ana", "A-1", "<script", "style=", "onclick"):
            assert secret not in page.text.replace("language", ""), secret
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"


def test_sixty_submissions_at_once_leave_no_more_answers_than_the_limit(
    runtime: EmbeddedRunner, client: TestClient[Litestar]
) -> None:
    installation.sent(runtime)

    def _submit(n: int) -> int:
        fields = {"arrival": "late", "comment": f"the {n}th", "submission": f"s{n}"}
        return int(post(client, fields).status_code)

    with ThreadPoolExecutor(60) as pool:
        statuses = list(pool.map(_submit, range(60)))
    assert sorted(statuses) == [200] * links.MAX_ANSWERS + [404] * (60 - links.MAX_ANSWERS)
    assert len(rows(runtime, answers)) == links.MAX_ANSWERS
    admitted = statuses.index(200)
    assert client.get(f"/f/{TOKEN}").status_code == 404
    assert _submit(admitted) == 404, "and none is added by sending again"
    assert len(rows(runtime, answers)) == links.MAX_ANSWERS


def test_what_an_earlier_version_stored_counts_towards_the_limit(
    runtime: EmbeddedRunner, client: TestClient[Litestar], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "MAX_ANSWERS", 3)
    installation.sent(runtime)
    assert [post(client, ANSWER | {"score": str(n)}).status_code for n in range(2)] == [200, 200]
    with runtime.engine.begin() as connection:
        connection.execute(form_answers.delete())
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda n: post(client, ANSWER | {"score": str(n)}).status_code, range(2, 10)))
    assert sorted(statuses) == [200] + [404] * 7


def test_an_answer_by_another_system_can_be_amended_by_the_form(
    runtime: EmbeddedRunner, client: TestClient[Litestar]
) -> None:
    installation.sent(runtime)
    ingest(runtime, answered(time=at(hours=2.5), arrival="on_time", score={"value": 5, "scale": 5}, complete=True))
    shown = client.get(f"/f/{TOKEN}")
    assert "5 of 5" in shown.text
    assert post(client, {"arrival": "on_time", "goods": "complete"}).status_code == 200
    assert stored_answers(runtime)[-1]["score"] is None
