"""The inbox: replies that a person has to read, on its pages, by the read API and on the command line."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from typer.testing import CliRunner

from pipeline.cli import app as command
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.permissions import Role
from pipeline.store.people import erasure
from pipeline.store.people.persons import PersonKey
from pipeline.store.schema.inbox import inbox
from pipeline.store.schema.journal import journal
from pipeline.store.schema.users import corrections
from pipeline.web.http.server import internal_app
from tests.support.builders import answered, at
from tests.support.requests import installation
from tests.support.requests.installation import Clock, services
from tests.support.requests.users import add_user, app_of, listener, post, sign_in, token_of
from tests.support.running.embedded import LEVELS, ingest
from tests.support.stored import counters, published, rows

TOKEN = "a sign-in token of tests"


@pytest.fixture
def api(runtime: EmbeddedRunner) -> Iterator[TestClient[Litestar]]:
    with TestClient(
        internal_app(services(runtime, Clock(at(days=1))), TOKEN), base_url="http://proxy.internal:9999"
    ) as made:
        made.headers["authorization"] = f"Bearer {TOKEN}"
        yield made


def unread(runtime: EmbeddedRunner, words: str = "Well, it was like last time", n: int = 1) -> None:
    """An answer by a form that states nothing codable."""
    installation.sent(runtime, f"SO-{n}", f"{n}" * 22)
    ingest(runtime, answered(f"SO-{n}", at(hours=3 + n), comment=words, channel="form"))


def erase(runtime: EmbeddedRunner, person: PersonKey) -> None:
    with runtime.engine.begin() as connection:
        asked = erasure.request(connection, person, "otto", None, at(days=1))
        erasure.carry_out(connection, runtime.store, LEVELS, asked, "mia", at(days=1))


def waiting(api: TestClient[Litestar]) -> list[dict[str, Any]]:
    found = api.get("/v1/inbox").json()
    assert found["waiting"] == len(found["entries"])
    entries: list[dict[str, Any]] = found["entries"]
    return entries


def test_an_answer_that_states_nothing_codable_is_not_comparable_and_waits(
    runtime: EmbeddedRunner, api: TestClient[Litestar]
) -> None:
    unread(runtime)
    assert [pair["verdict"] for pair in published(runtime, "fulfilment.compared")] == ["not_comparable"]
    counts = counters(runtime)
    assert (counts["answered"], counts["unread"]) == (1, 1)
    assert not counts.keys() & {"delivered:answered", "on_time:answered", "answered:on_time"}, "in no denominator"
    [entry] = waiting(api)
    [question, answer] = api.get(f"/v1/inbox/{entry['id']}").json()["conversation"]
    assert (question["voice"], question["question"], answer["words"]) == ("us", "delivery", entry["words"])
    assert (entry["reason"], entry["order_id"], entry["contact_id"]) == ("uncoded", "SO-1", "ana")
    assert (entry["words"], entry["claim"]) == ("Well, it was like last time", "on time, in full")
    assert (entry["suggested"], entry["language"], entry["channel"]) == ({}, "en", "form")


def test_what_the_same_person_makes_clear_need_not_be_read(runtime: EmbeddedRunner, api: TestClient[Litestar]) -> None:
    unread(runtime)
    ingest(runtime, answered("SO-1", at(hours=5), arrival="late"))
    assert waiting(api) == []
    assert [row["closed_as"] for row in rows(runtime, inbox)] == ["clarified"]
    assert "unread" not in counters(runtime)


def test_what_another_person_states_leaves_it_waiting(runtime: EmbeddedRunner, api: TestClient[Litestar]) -> None:
    unread(runtime)
    ingest(runtime, answered("SO-1", at(hours=5), contact_id="ben", arrival="late"))
    assert len(waiting(api)) == 1
    assert "unread" not in counters(runtime), "the order has an answer"


def test_an_opt_out_alone_is_nothing_to_read(runtime: EmbeddedRunner, api: TestClient[Litestar]) -> None:
    installation.sent(runtime)
    ingest(runtime, answered("SO-1", at(hours=3), opt_out=True))
    assert waiting(api) == []
    assert "unread" not in counters(runtime)


def test_a_confirmed_reading_without_codes_ends_the_waiting(runtime: EmbeddedRunner, api: TestClient[Litestar]) -> None:
    unread(runtime)
    [entry] = waiting(api)
    assert api.post(f"/v1/inbox/{entry['id']}", json={"decision": "confirm"}).json() == {"outcome": "counts"}
    assert waiting(api) == []
    [row] = rows(runtime, inbox)
    assert (row["closed_as"], row["closed_by"]) == ("confirmed", "sign-in token")
    again = api.post(f"/v1/inbox/{entry['id']}", json={"decision": "confirm"})
    assert again.status_code == 409


def test_what_a_person_read_as_nothing_to_code_leaves_not_yet_read(
    runtime: EmbeddedRunner, api: TestClient[Litestar]
) -> None:
    """Not before everything that the customer wrote is read; a newer answer is unread again."""
    unread(runtime)
    ingest(runtime, answered("SO-1", at(hours=6), comment="As always", channel="form"))
    pairs = len(published(runtime, "fulfilment.compared"))
    for n, entry in enumerate(reversed(waiting(api))):
        assert (counters(runtime)["unread"], counters(runtime).get("nothing_to_code")) == (1, None), n
        assert api.post(f"/v1/inbox/{entry['id']}", json={"decision": "confirm"}).json() == {"outcome": "counts"}
        runtime.process_pending()
    counts = counters(runtime)
    assert (counts["answered"], counts["nothing_to_code"], counts.get("unread")) == (1, 1, None)
    assert not counts.keys() & {"delivered:answered", "on_time:answered", "answered:on_time"}, "in no denominator"
    assert len(published(runtime, "fulfilment.compared")) == pairs, "the pair stays as it was"
    [payload] = [row["payload"] for row in rows(runtime, journal) if row["type"] == "feedback.corrected"]
    event = json.loads(payload)["data"]
    assert event["by"] == "sign-in token"
    assert not any(event["reading"].values())
    ingest(runtime, answered("SO-1", at(days=2), comment="And the ramp", channel="form"))
    assert (counters(runtime)["unread"], counters(runtime).get("nothing_to_code")) == (1, None)
    ingest(runtime, answered("SO-1", at(days=3), arrival="late"))
    assert not counters(runtime).keys() & {"unread", "nothing_to_code"}


def test_a_correction_waits_for_a_second_person(runtime: EmbeddedRunner, api: TestClient[Litestar]) -> None:
    unread(runtime)
    [entry] = waiting(api)
    reading = {"arrival": "late", "score": {"value": 3}}
    made = api.post(f"/v1/inbox/{entry['id']}", json={"decision": "correct", "reading": reading})
    assert made.json() == {"outcome": "waits_seven_days"}, "no user could be the second"
    [entry] = waiting(api)
    assert (entry["proposed"]["arrival"], entry["proposed"]["score"]) == ("late", {"value": 3, "scale": 10})
    assert entry["proposed_by"] == "sign-in token"
    assert api.post(f"/v1/inbox/{entry['id']}", json={"decision": "confirm"}).status_code == 409, "not by the same"
    assert "on_time:10" not in counters(runtime), "it counts for nothing yet"


def test_a_reading_by_a_user_without_a_stake_counts_at_once(runtime: EmbeddedRunner, api: TestClient[Litestar]) -> None:
    unread(runtime)
    add_user(runtime.engine, "mia", Role.MANAGEMENT)
    [entry] = waiting(api)
    decision = {"decision": "correct", "reading": {"arrival": "late"}}
    made = api.post(f"/v1/inbox/{entry['id']}", json=decision, headers=token_of(runtime.engine, "mia"))
    assert made.json() == {"outcome": "counts"}
    runtime.process_pending()
    [row] = rows(runtime, inbox)
    assert (row["closed_as"], row["closed_by"]) == ("corrected", "mia")
    assert published(runtime, "fulfilment.compared")[-1]["verdict"] == "embellished"
    assert "unread" not in counters(runtime)


def test_a_confirmed_proposal_ends_the_waiting_and_what_was_said_before_it(
    runtime: EmbeddedRunner, api: TestClient[Litestar]
) -> None:
    unread(runtime)
    ingest(runtime, answered("SO-1", at(hours=6), comment="As always", channel="form"))
    add_user(runtime.engine, "mia", Role.MANAGEMENT)
    older, newer = waiting(api)
    decision = {"decision": "correct", "reading": {"arrival": "late"}}
    refused = api.post(f"/v1/inbox/{older['id']}", json=decision)
    assert (refused.status_code, refused.json()["field"]) == (409, "answer")
    assert "was replaced by a later answer" in refused.json()["detail"]
    assert api.post(f"/v1/inbox/{newer['id']}", json=decision).json() == {"outcome": "waits_for_second"}
    second = token_of(runtime.engine, "mia")
    [proposed] = api.get("/v1/corrections", headers=second).json()
    assert api.post(f"/v1/corrections/{proposed['id']}/confirm", headers=second).status_code == 204
    runtime.process_pending()
    assert waiting(api) == []
    closed = {row["item_id"]: (row["closed_as"], row["closed_by"]) for row in rows(runtime, inbox)}
    assert closed == {older["id"]: ("clarified", None), newer["id"]: ("corrected", "sign-in token")}


def test_a_later_answer_drops_a_proposal(runtime: EmbeddedRunner, api: TestClient[Litestar]) -> None:
    unread(runtime)
    [entry] = waiting(api)
    api.post(f"/v1/inbox/{entry['id']}", json={"decision": "correct", "reading": {"arrival": "late"}})
    assert len(api.get("/v1/corrections").json()) == 1
    ingest(runtime, answered("SO-1", at(hours=6), comment="As always", channel="form"))
    assert api.get("/v1/corrections").json() == [], "it could never count"
    assert [(one["proposed"], one["proposed_by"]) for one in waiting(api)] == [(None, None), (None, None)]


def test_an_erased_person_leaves_nothing_that_waits(runtime: EmbeddedRunner, api: TestClient[Litestar]) -> None:
    unread(runtime)
    unread(runtime, n=2)
    first, second = waiting(api)
    api.post(f"/v1/inbox/{first['id']}", json={"decision": "confirm"})
    erase(runtime, PersonKey("A-1", "ana"))
    assert waiting(api) == []
    [row] = rows(runtime, inbox)
    assert (row["item_id"], row["closed_as"], row["sender"]) == (first["id"], "confirmed", None)
    assert api.get(f"/v1/inbox/{first['id']}").json()["entry"]["words"] == ""
    assert api.get(f"/v1/inbox/{second['id']}").status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"decision": "correct"}, "reading"),
        ({"decision": "confirm", "reading": {"arrival": "late"}}, "reading"),
        ({"decision": "correct", "reading": {"arrival": "soon"}}, None),
        ({"decision": "correct", "reading": {"score": {"value": 11}}}, None),
        ({"decision": "forget"}, None),
    ],
)
def test_a_bad_decision_is_refused_and_changes_nothing(
    runtime: EmbeddedRunner, api: TestClient[Litestar], body: Any, field: str | None
) -> None:
    unread(runtime)
    [entry] = waiting(api)
    refused = api.post(f"/v1/inbox/{entry['id']}", json=body)
    assert refused.status_code == 400
    assert refused.headers["content-type"] == "application/problem+json"
    assert field is None or refused.json()["field"] == field
    assert waiting(api) == [entry]


def test_the_list_is_read_in_pages_oldest_first(runtime: EmbeddedRunner, api: TestClient[Litestar]) -> None:
    for n in range(3):
        unread(runtime, f"words {n}", n)
    first = api.get("/v1/inbox?limit=2").json()
    rest = api.get(f"/v1/inbox?limit=2&after={first['next']}").json()
    assert [entry["order_id"] for entry in first["entries"] + rest["entries"]] == ["SO-0", "SO-1", "SO-2"]
    assert (first["waiting"], rest["next"]) == (3, None)
    assert api.get("/v1/inbox?limit=0").json()["field"] == "limit"
    assert api.get("/v1/inbox?after=none").json()["field"] == "after"
    assert api.get("/v1/inbox/none").status_code == 404


def test_the_pages_show_words_claim_and_suggestion_and_take_a_decision(
    runtime: EmbeddedRunner, api: TestClient[Litestar]
) -> None:
    unread(runtime, "<b>Hm</b>, like last time")
    page = api.get("/inbox").text
    assert "1 reply waits" in page
    assert "&lt;b&gt;Hm&lt;/b&gt;, like last time" in page
    [entry] = waiting(api)
    reply = api.get(f"/inbox/{entry['id']}").text
    assert "on time, in full" in reply
    assert "nothing that could be counted" in reply
    form = {"decision": "correct", "arrival": "late", "complete": "false", "condition": "damaged", "score": "2"}
    assert api.post(f"/inbox/{entry['id']}", data=form, follow_redirects=False).headers["location"] == "/inbox"
    [row] = rows(runtime, inbox)
    assert json.loads(row["reading"]) == {
        "arrival": "late",
        "complete": False,
        "condition": ["damaged"],
        "score": {"value": 2, "scale": 10},
    }
    assert "Confirmed by itself on" in api.get(f"/inbox/{entry['id']}").text
    assert api.post(f"/inbox/{entry['id']}", data={"decision": "correct", "score": "11"}).status_code == 400
    assert api.get("/inbox/none").status_code == 404


def test_a_decision_in_a_browser_needs_the_token_of_its_page(runtime: EmbeddedRunner) -> None:
    unread(runtime)
    add_user(runtime.engine, "mia", Role.MANAGEMENT)
    [row] = rows(runtime, inbox)
    page = f"/inbox/{row['item_id']}"
    with listener(app_of(runtime)) as browser:
        assert sign_in(browser, "mia").status_code == 303
        assert browser.post(page, data={"decision": "correct", "arrival": "late"}).status_code == 403
        assert post(browser, page, page, decision="correct", arrival="late").headers["location"] == "/inbox"
    runtime.process_pending()
    assert [row["closed_by"] for row in rows(runtime, inbox)] == ["mia"]


@contextmanager
def browser_of(runtime: EmbeddedRunner, name: str) -> Iterator[TestClient[Any]]:
    with listener(app_of(runtime, Clock(at(days=1)))) as browser:
        assert sign_in(browser, name).status_code == 303
        yield browser


def test_a_correction_is_confirmed_on_the_inbox_by_a_user_without_a_stake(runtime: EmbeddedRunner) -> None:
    unread(runtime, "<b>Hm</b>, like last time")
    add_user(runtime.engine, "rolf", Role.OPERATIONS, "depot=Lyon")
    add_user(runtime.engine, "olga", Role.OPERATIONS)
    add_user(runtime.engine, "mia", Role.MANAGEMENT)
    [row] = rows(runtime, inbox)
    reply = f"/inbox/{row['item_id']}"
    with browser_of(runtime, "rolf") as rolf:
        assert post(rolf, reply, reply, decision="correct", arrival="late").status_code == 303
        for page in ("/inbox", reply):
            assert "You proposed it. Another user, who has no stake in this order" in rolf.get(page).text
            assert "/corrections/" not in rolf.get(page).text, "no button"
    with browser_of(runtime, "olga") as olga:
        assert "Another user, who has no stake in this order, has to confirm it." in olga.get("/inbox").text
        [proposed] = olga.get("/v1/corrections").json()
        path = f"/corrections/{proposed['id']}/confirm"
        assert (proposed["may_confirm"], proposed["counts_at"]) == (False, None)
        refused = post(olga, path)
        assert (refused.status_code, "is to be confirmed by another user" in refused.text) == (409, True)
    with browser_of(runtime, "mia") as mia:
        page = mia.get("/inbox").text
        assert "1 correction is not counted yet" in page
        assert "&lt;b&gt;Hm&lt;/b&gt;, like last time" in page
        assert "Counts now: nothing." in page
        assert f'action="{path}"' in page
        assert f'action="{path}"' in mia.get(reply).text
        assert mia.post(path).status_code == 403, "without the token of the page"
        assert post(mia, path, "/inbox").headers["location"] == "/inbox"
        assert "Corrections that wait" not in mia.get("/inbox").text
        assert post(mia, path).status_code == 409, "counts already"
        assert post(mia, "/corrections/none/confirm").status_code == 404
    runtime.process_pending()
    [row] = rows(runtime, inbox)
    assert (row["closed_as"], row["closed_by"]) == ("corrected", "rolf")
    assert [one["confirmed_by"] for one in rows(runtime, corrections)] == ["mia"]


def test_a_correction_that_nobody_can_confirm_shows_the_day_on_which_it_counts(runtime: EmbeddedRunner) -> None:
    unread(runtime)
    add_user(runtime.engine, "rolf", Role.OPERATIONS, "depot=Lyon")
    [row] = rows(runtime, inbox)
    with browser_of(runtime, "rolf") as rolf:
        reply = f"/inbox/{row['item_id']}"
        post(rolf, reply, reply, decision="correct", arrival="late")
        [proposed] = rolf.get("/v1/corrections").json()
        assert proposed["counts_at"] == at(days=8).isoformat().replace("+00:00", "Z")
        for page in ("/inbox", reply):
            assert f'Confirmed by itself on <time datetime="{at(days=8).isoformat()}">' in rolf.get(page).text


def test_the_command_lists_shows_and_decides(
    runtime: EmbeddedRunner, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    unread(runtime)
    monkeypatch.setenv("UNVARNISHED_DATABASE_URL", database_url)
    monkeypatch.setenv("UNVARNISHED_MASTER_KEY", bytes(range(32)).hex())

    def run(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(command, ["inbox", *arguments])
        assert done.exit_code == code, done.output
        return done.output

    [entry] = json.loads(run("--format", "json"))
    assert entry["words"] == "Well, it was like last time"
    assert "SO-1" in run()
    assert "Suggested reading: nothing that could be counted" in run("show", entry["id"])
    run("show", "none", code=2)
    assert "counts after seven days" in run("correct", entry["id"], "--arrival", "late")
    run("confirm", entry["id"], code=2)
    run("correct", entry["id"], "--arrival", "soon", code=2)
