"""The form of the question whether a case is settled: it records a yes or a no, and amends no answer."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.principal import LOCAL
from pipeline.domain.asking.ask_states import hashed
from pipeline.domain.cases.case import case_id_of
from pipeline.store.schema.alerting.cases import case_acts, cases
from pipeline.store.schema.answers import answers
from pipeline.store.schema.asks import asks
from pipeline.web.internal.cases import acts
from pipeline.web.public.form import form
from tests.support.builders import answered, at
from tests.support.modes import EVERYWHERE
from tests.support.requests import installation
from tests.support.requests.installation import Clock
from tests.support.running.embedded import ingest
from tests.support.stored import published, rows

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)
LINK = "s" * 22
CASE = case_id_of("SO-1", "ana")


@pytest.fixture
def client(runtime: EmbeddedRunner) -> Iterator[TestClient[Litestar]]:
    """A closed case whose customer was asked whether it is settled."""
    known = installation.services(runtime, Clock(at(days=9)))
    installation.sent(runtime, language="en")
    ingest(runtime, answered(time=at(hours=3), arrival="late"))
    acts.perform(known, LOCAL, CASE, "close", {"outcome": "explained", "words": "we called"})
    runtime.tick(at(days=9))
    with runtime.engine.begin() as connection:
        asked = {"form_token_hash": hashed(LINK), "sent_at": at(days=9), "state": "sent"}
        connection.execute(asks.update().where(asks.c.purpose == "settled").values(asked))
    with installation.client(*form.routes(known)) as made:
        yield made


def follow_up(runtime: EmbeddedRunner) -> Any:
    [case] = rows(runtime, cases)
    return case["follow_up"]


def test_opening_the_link_records_nothing_and_a_no_reopens_the_case(
    runtime: EmbeddedRunner, client: TestClient[Litestar]
) -> None:
    assert follow_up(runtime) == "asked"
    pairs, given = published(runtime, "fulfilment.compared"), rows(runtime, answers)
    for _ in range(3):
        page = client.get(f"/f/{LINK}?a=yes").text
    assert "Is it settled?" in page
    assert 'value="yes" checked' in page
    assert "we called" not in page
    assert follow_up(runtime) == "asked"

    sent = {"settled": "no", "comment": "The box <i>never</i> came", "submission": "one"}
    send = partial(client.post, f"/f/{LINK}", data=sent)
    assert "Somebody will look into it again" in send().text
    send()
    [case] = rows(runtime, cases)
    assert (case["follow_up"], case["closed_at"]) == ("no", None)
    last = rows(runtime, case_acts)[-1]
    assert (last["change"], last["by"], last["words"]) == ("reopened", "customer", "The box <i>never</i> came")
    assert published(runtime, "fulfilment.compared") == pairs
    assert rows(runtime, answers) == given


def test_a_yes_confirms_in_the_customers_language(runtime: EmbeddedRunner, client: TestClient[Litestar]) -> None:
    assert "Ist es behoben?" in client.get(f"/f/{LINK}?lang=de").text
    page = client.post(f"/f/{LINK}", data={"settled": "yes", "lang": "de", "submission": "one"})
    assert "Wir freuen uns" in page.text
    assert follow_up(runtime) == "yes"


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        ({"settled": "maybe", "comment": "x <b>"}, "Please tell us whether it is settled."),
        ({"comment": "x"}, "Please tell us whether it is settled."),
        ({"settled": "no", "comment": "x" * 1_601}, "at most 1600 characters"),
    ],
)
def test_a_bad_form_says_what_is_missing(
    runtime: EmbeddedRunner, client: TestClient[Litestar], sent: dict[str, str], problem: str
) -> None:
    page = client.post(f"/f/{LINK}", data=sent)
    assert page.status_code == 422
    assert problem in page.text
    assert "<b>" not in page.text
    assert follow_up(runtime) == "asked"
