"""The report: what changed, what to improve, whom to call, drawn words; by scope and permission, at a flat cost."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import event

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.permissions import Role
from pipeline.domain.access.principal import LOCAL
from pipeline.store.db.engine import reading
from pipeline.store.reads.management.period import drawn_words
from pipeline.web.internal.report import pages
from tests.support.builders import at
from tests.support.inputs.polyglot import POLYGLOT
from tests.support.requests.installation import Clock, client, services
from tests.support.requests.users import HTML, add_user, app_of, listener, token_of
from tests.support.running.embedded import VAULT
from tests.support.statistics.alert_rows import raise_alert
from tests.support.statistics.answered_days import add_orders

SECOND = 7  # days: the second week begins


@pytest.fixture
def company(runtime: EmbeddedRunner) -> EmbeddedRunner:
    add_orders(runtime, "Lyon", 60, 2, day=1)
    add_orders(runtime, "Lyon", 60, 40, day=SECOND + 1)
    add_orders(runtime, "Lille", 12, 0, day=SECOND + 1)
    add_orders(runtime, "Nice", 1, 0, day=2 * SECOND)  # the second week is over
    return runtime


@pytest.fixture
def web(runtime: EmbeddedRunner) -> Iterator[TestClient[Litestar]]:
    with client(*pages.routes(services(runtime, Clock(at(days=15))))) as made:
        yield made


def row_of(page: str, name: str) -> str:
    """The text of a row of a table."""
    row = next(part for part in page.split("<tr ") if name in part.partition("</th>")[0])
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", row))


def test_the_newest_week_that_is_over_is_compared_with_the_one_before(
    company: EmbeddedRunner, web: TestClient[Litestar]
) -> None:
    page = web.get("/report").text
    assert "9 March 2026 to 15 March 2026" in page
    assert "change, worse" in row_of(page, "Experienced on time")
    assert "no proven change" in row_of(page, "Claimed on time")
    assert "change, worse" in row_of(page, "Scenario NPS")
    assert page == web.get("/report?of=2026-03-11").text
    earlier = web.get("/report?of=2026-03-02").text
    assert "not enough answers" in row_of(earlier, "Experienced on time")


def test_the_cost_of_a_cause_has_its_orders_and_a_verdict(company: EmbeddedRunner, web: TestClient[Litestar]) -> None:
    page = web.get("/report").text
    lyon = row_of(page, "depot Lyon</bdi>: late or not received")
    assert "proven" in lyon
    assert "not proven" not in lyon
    assert "35.0% of 120" in lyon
    assert "code=late&amp;code=not_received" in page


def test_a_fault_of_few_answers_says_so(runtime: EmbeddedRunner, web: TestClient[Litestar]) -> None:
    add_orders(runtime, "Lyon", 30, 3, day=1)
    page = web.get("/report?of=2026-03-03").text
    assert "not enough answers" in row_of(page, "depot Lyon</bdi>: late or not received")


def test_a_month_and_another_level(company: EmbeddedRunner, web: TestClient[Litestar]) -> None:
    page = web.get("/report?unit=month&of=2026-03-20&by=carrier").text
    assert "1 March 2026 to 31 March 2026" in page
    assert "not over yet" in page


@pytest.mark.parametrize("query", ["unit=year", "of=soon", "by=planet", "of=0001-01-01", "of=9999-12-31"])
def test_a_parameter_that_cannot_be_read_is_named(web: TestClient[Litestar], query: str) -> None:
    answer = web.get(f"/report?{query}")
    assert answer.status_code == 400
    assert f"{query.partition('=')[0]}:" in answer.text


def test_an_empty_database_has_a_report(web: TestClient[Litestar]) -> None:
    page = web.get("/report").text
    assert "No order was completed in these two periods" in page
    assert "No comment was received" in page


def test_ten_comments_are_drawn_and_nobody_can_choose_them(company: EmbeddedRunner, web: TestClient[Litestar]) -> None:
    page = web.get("/report").text
    shown = re.findall(r'<q dir="auto">(.*?)</q>', page)
    assert len(shown) == 10
    assert "of all 72 comments" in page
    assert web.get("/report").text == page, "always the same ones"
    assert shown != sorted(shown)
    with reading(company.engine) as connection:
        week = at(days=SECOND).date(), at(days=SECOND + 6).date()
        everything = drawn_words(connection, LOCAL, VAULT, *week, 100)
        other = drawn_words(connection, LOCAL, VAULT, week[0] - timedelta(days=1), week[1], 10)
    assert [answer.comment for answer in everything.answers[:10]] == shown, "the first of one order of all"
    assert [answer.comment for answer in other.answers] != shown, "another period draws others"


def test_open_alerts_and_ended_incidents_are_in_it(company: EmbeddedRunner, web: TestClient[Litestar]) -> None:
    with company.engine.begin() as connection:
        raise_alert(connection, "now/1", value="Lyon", opened_at=at(days=9))
        raise_alert(connection, "old/1", value="Nice", state="resolved", opened_at=at(), resolved_at=at(days=9))
    page = web.get("/report").text
    assert "By depot, one segment reports better deliveries" in page, "the alert of Lyon is open"
    assert "Depot Lyon makes claims that its customers do not confirm" in page
    assert "Depot Nice" not in page, "it was over when the week ended"


def test_each_reader_gets_what_they_may_see(company: EmbeddedRunner) -> None:
    add_user(company.engine, "olga", Role.OPERATIONS, "depot=Lille")
    add_user(company.engine, "aude", Role.AUDITOR)
    with listener(app_of(company, Clock(at(days=15)))) as site:
        everything = site.get("/report", headers=HTML | token_of(company.engine, "aude")).text
        scoped = site.get("/report", headers=HTML | token_of(company.engine, "olga")).text
    assert "Lyon" in everything
    assert "says" not in everything, "an auditor reads no words"
    assert "/orders?" not in everything, "nor orders"
    assert "Lyon" not in scoped
    assert "of all 12 comments" in scoped
    assert set(re.findall(r'<q dir="auto">(\w+) ', scoped)) == {"Lille"}


def test_hostile_words_stay_words(runtime: EmbeddedRunner, web: TestClient[Litestar]) -> None:
    add_orders(runtime, "Lyon", 2, 0, day=1, words=POLYGLOT)
    page = web.get("/report?of=2026-03-03").text
    assert "<script>" not in page
    assert "&lt;" in page, "they are shown as they were written"


def test_the_cost_does_not_grow_with_the_history(runtime: EmbeddedRunner, web: TestClient[Litestar]) -> None:
    def _statements() -> list[str]:
        seen: list[str] = []

        def _note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            seen.append(statement)

        event.listen(runtime.engine, "before_cursor_execute", _note)
        web.get("/report?of=2026-03-10")
        event.remove(runtime.engine, "before_cursor_execute", _note)
        return seen

    add_orders(runtime, "Lyon", 12, 4, day=SECOND + 1)
    before = len(_statements())
    for day in range(1, 6):
        add_orders(runtime, "Lyon", 12, 4, day=SECOND - day)
    after = _statements()
    assert len(after) == before
    assert len(after) <= 20
    assert not any("FROM orders ORDER" in statement for statement in after)
