"""Talks with accounts: planned and called off on the page, each an act; a past one is the beginning of what is new."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from litestar.testing import TestClient

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.permissions import Role
from pipeline.store.schema.orders import talks
from pipeline.store.schema.users import acts
from tests.support.builders import at, completed
from tests.support.requests.installation import Clock
from tests.support.requests.users import HTML, add_user, app_of, listener, token_of
from tests.support.running.embedded import ingest
from tests.support.stored import rows


class Site(NamedTuple):
    client: TestClient[Any]
    runtime: EmbeddedRunner


@pytest.fixture
def site(runtime: EmbeddedRunner) -> Iterator[Site]:
    ingest(runtime, completed("SO-1", at(1), account={"id": "A-1", "name": "Atelier Roux"}))
    ingest(runtime, completed("SO-2", at(1), account={"id": "A-2", "name": "Other Firm"}))
    add_user(runtime.engine, "mia", Role.MANAGEMENT)
    add_user(runtime.engine, "ann", Role.ACCOUNT_MANAGER, "account=A-1")
    add_user(runtime.engine, "audit", Role.AUDITOR)
    with listener(app_of(runtime, Clock(at(2)))) as client:
        yield Site(client, runtime)


def post(site: Site, name: str, address: str, **fields: str) -> tuple[int, str]:
    headers = token_of(site.runtime.engine, name) | HTML
    answer = site.client.post(address, data=fields, headers=headers, follow_redirects=False)
    return answer.status_code, answer.text


def section(site: Site, name: str = "mia") -> str:
    """The part of the page about talks."""
    headers = token_of(site.runtime.engine, name) | HTML
    page = site.client.get("/accounts/one?account=A-1", headers=headers).text
    return page.partition('<section id="talks"')[2].partition("</section>")[0]


def test_a_talk_is_planned_once_shown_called_off_and_recorded(site: Site) -> None:
    assert "None is planned." in section(site)
    for _ in range(2):
        assert post(site, "ann", "/accounts/talks", account="A-1", day="2026-03-20")[0] == 303
    assert "20 March 2026, planned by <bdi>ann</bdi>" in section(site)
    assert post(site, "mia", "/accounts/talks", account="A-1", day="2026-03-10")[0] == 303
    assert "10 March 2026, planned by <bdi>mia</bdi>" in section(site), "the next one"
    for _ in range(2):
        assert post(site, "mia", "/accounts/talks/off", account="A-1", day="2026-03-10")[0] == 303
    assert "20 March 2026, planned by <bdi>ann</bdi>" in section(site)
    recorded = [(row["who"], row["what"], row["details"]) for row in rows(site.runtime, acts) if "talk" in row["what"]]
    assert recorded == [
        ("ann", "talk_planned", '{"day":"2026-03-20"}'),
        ("mia", "talk_planned", '{"day":"2026-03-10"}'),
        ("mia", "talk_called_off", '{"day":"2026-03-10"}'),
    ]


def test_what_came_since_the_last_talk_is_a_link(site: Site) -> None:
    assert post(site, "mia", "/accounts/talks", account="A-1", day="2026-03-04")[0] == 303
    ingest(site.runtime, completed("SO-3", at(7), account={"id": "A-1", "name": "Atelier Roux"}))
    shown = section(site)
    assert "None is planned." in shown
    assert "The last one was on 4 March 2026" in shown
    assert "from=2026-03-04" in shown


@pytest.mark.parametrize("day", ["", "tomorrow", "2026-03-01", "2029-01-01"])
def test_a_wrong_day_is_named(site: Site, day: str) -> None:
    status, text = post(site, "mia", "/accounts/talks", account="A-1", day=day)
    assert status == 400
    assert "day:" in text
    assert rows(site.runtime, talks) == []


@pytest.mark.parametrize(
    ("name", "account", "status"), [("ann", "A-2", 404), ("mia", "A-3", 404), ("audit", "A-1", 403)]
)
def test_nobody_plans_talks_with_an_account_out_of_sight(site: Site, name: str, account: str, status: int) -> None:
    assert post(site, name, "/accounts/talks", account=account, day="2026-03-20")[0] == status
    assert rows(site.runtime, talks) == []
