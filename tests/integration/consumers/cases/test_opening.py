"""A complaint opens a case: one for an order and a contact, exactly once, on the topic `cases` without words."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.store.schema.alerting.cases import case_acts, cases
from pipeline.store.schema.orders import timers
from tests.support.builders import answered, asked, at, completed, contact, scanned
from tests.support.examples import examples
from tests.support.modes import EVERYWHERE
from tests.support.running.embedded import ingest
from tests.support.stored import HISTORIC, published, rows

everywhere = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)


@pytest.fixture
def runtime(start: Callable[..., EmbeddedRunner]) -> EmbeddedRunner:
    return start()


def delivered(runtime: EmbeddedRunner, order_id: str = "SO-1", **data: Any) -> None:
    ingest(
        runtime,
        completed(order_id, at(), **data),
        scanned(order_id, at(hours=1)),
        asked(order_id, at(hours=2)),
    )


def events(runtime: EmbeddedRunner) -> list[tuple[str, dict[str, Any]]]:
    """The published acts of all cases: kind or change, and the data."""
    found = [
        (data["change"] or kind, data)
        for kind in ("opened", "changed", "closed")
        for data in published(runtime, f"case.{kind}")
    ]
    return sorted(found, key=lambda one: (one[1]["case_id"], one[1]["act"]))


@everywhere
def test_a_complaint_opens_a_case_and_a_further_one_joins_it(runtime: EmbeddedRunner) -> None:
    delivered(runtime)
    first = answered("SO-1", at(hours=3), arrival="late", comment="the driver was rude")
    second = answered("SO-1", at(hours=4), arrival="late", condition=["damaged"])
    ingest(runtime, first, first, second, first, second)

    (case,) = rows(runtime, cases)
    assert (case["order_id"], case["contact_id"], case["account_id"], case["role"]) == (
        "SO-1",
        "ana",
        "A-1",
        "receiver",
    )
    assert (case["reasons"], case["severity"], case["overdue"]) == ('["damaged","late"]', "major", False)
    assert (case["opened_at"], case["due_at"]) == (at(hours=3), at(hours=28))
    assert [(what, data["reasons"]) for what, data in events(runtime)] == [
        ("opened", ["late"]),
        ("joined", ["damaged", "late"]),
    ]
    assert "rude" not in str(events(runtime))
    assert [timer["due_at"] for timer in rows(runtime, timers) if timer["kind"] == "case_due"] == [at(hours=28)]


@everywhere
def test_satisfied_answers_and_replayed_ones_open_nothing(runtime: EmbeddedRunner) -> None:
    delivered(runtime)
    ingest(runtime, answered("SO-1", at(hours=3), arrival="on_time", complete=True, score={"value": 9}))
    past = answered("SO-1", at(hours=4), arrival="not_received", event_id="past")
    ingest(runtime, past.replace(b'"data":', b'"historic":true,"data":'))
    assert rows(runtime, cases) == []
    assert events(runtime) == []


@everywhere
def test_an_answer_before_its_order_opens_a_case_that_learns_its_account(runtime: EmbeddedRunner) -> None:
    ingest(runtime, answered("SO-1", at(), arrival="late"))
    assert [one["account_id"] for one in rows(runtime, cases)] == [None]
    delivered(runtime)
    ingest(runtime, answered("SO-1", at(hours=5), arrival="late", condition=["wrong"]))
    assert [one["account_id"] for one in rows(runtime, cases)] == ["A-1"]


@everywhere
def test_each_contact_has_a_case_of_its_own(runtime: EmbeddedRunner) -> None:
    delivered(runtime, contacts=[contact("ana"), contact("ben", role="decision_maker", phone="+447700900124")])
    ingest(
        runtime,
        answered("SO-1", at(hours=3), "ana", arrival="late"),
        answered("SO-1", at(hours=3), "ben", arrival="late"),
    )
    due = {one["contact_id"]: one["due_at"] for one in rows(runtime, cases)}
    assert due == {"ana": at(days=3, hours=3), "ben": at(hours=11)}


@everywhere
def test_a_case_that_is_not_closed_in_time_is_escalated_once(runtime: EmbeddedRunner) -> None:
    delivered(runtime)
    ingest(runtime, answered("SO-1", at(hours=3), arrival="not_received"))
    runtime.tick(at(hours=6.9))
    assert [what for what, _ in events(runtime)] == ["opened"]
    runtime.tick(at(hours=7))
    runtime.tick(at(days=9))
    assert [(what, data["overdue"], data["by"]) for what, data in events(runtime)] == [
        ("opened", False, "customer"),
        ("overdue", True, "system"),
    ]
    assert [one["overdue"] for one in rows(runtime, cases)] == [True]


def test_acts_cannot_be_edited(runtime: EmbeddedRunner) -> None:
    delivered(runtime)
    ingest(runtime, answered("SO-1", at(hours=3), arrival="late"))
    for change in (case_acts.update().values(by="eve"), case_acts.delete()):
        with pytest.raises(DBAPIError, match="append-only"), runtime.engine.begin() as connection:
            connection.execute(change)


def test_an_answer_about_a_historic_order_that_is_given_today_opens_a_case(runtime: EmbeddedRunner) -> None:
    delivered(runtime, **HISTORIC)
    ingest(runtime, answered("SO-1", at(hours=3), arrival="late"))
    assert len(rows(runtime, cases)) == 1


_SAID: list[dict[str, Any]] = [
    {"arrival": "late"},
    {"arrival": "not_received"},
    {"arrival": "on_time", "condition": ["damaged", "incomplete"]},
    {"arrival": "on_time", "complete": True, "score": {"value": 2}},
    {"arrival": "on_time", "complete": True},
    {"comment": "please call me", "request": "call"},
]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@settings(max_examples=examples(10), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_state_of_a_case_is_that_of_the_sorted_unique_complaints(
    start: Callable[..., EmbeddedRunner], data: st.DataObject
) -> None:
    """Each example has an order of its own. What is received when is fixed; what is processed when is not."""
    drawn = data.draw(
        st.lists(st.tuples(st.sampled_from(range(len(_SAID))), st.integers(1, 60)), min_size=1, max_size=5)
    )
    said = {f"{kind}:{hour}": (kind, hour) for kind, hour in drawn}
    shuffled = data.draw(st.permutations([*said, *list(said)[:2]]))
    runtime = start()
    states = []
    for run, names in enumerate((sorted(said), shuffled)):
        order_id = f"SO-{id(data)}-{run}"
        ingest(runtime, completed(order_id, at()), scanned(order_id, at(hours=0.5)))
        for name in names:
            kind, hour = said[name]
            ingest(runtime, answered(order_id, at(hours=hour), event_id=f"{order_id}:{name}", **_SAID[kind]))
        columns = ("reasons", "opened_at")
        found = [one for one in rows(runtime, cases) if one["order_id"] == order_id]
        states.append([{name: one[name] for name in columns} for one in found])
        assert len(found) == any(kind != 4 for kind, _ in said.values())
    assert states[0] == states[1]
