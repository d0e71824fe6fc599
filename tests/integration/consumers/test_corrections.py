"""Corrections of answers: who may make one count, and what it does to pairs, evidence and figures, in both modes."""

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import func, select

from pipeline.consumers import corrections
from pipeline.consumers.corrections import Proposed, Refused, Unknown, Wish
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.permissions import Role
from pipeline.domain.access.principal import LOCAL, Principal
from pipeline.domain.events.contract import Reading, Score
from pipeline.domain.reports.figures import figures_of
from pipeline.store.acts import acts
from pipeline.store.acts.corrections import waiting
from pipeline.store.reads import reports
from pipeline.store.reads.order_record import read_record
from pipeline.store.schema.evidence import pairs
from pipeline.store.schema.journal import journal
from pipeline.store.users import users
from tests.support.builders import answered, asked, at, completed, scanned
from tests.support.modes import EVERYWHERE
from tests.support.requests.users import add_user
from tests.support.running.embedded import ingest

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)

AGREES = Reading(arrival="on_time")


def denied(runtime: EmbeddedRunner, order_id: str = "SO-1", **answer: Any) -> None:
    """An order claimed on time whose customer says it was late."""
    said = {"arrival": "late"} | answer
    ingest(runtime, completed(order_id), scanned(order_id, at(hours=1)), asked(order_id, at(hours=2)))
    ingest(runtime, answered(order_id, at(hours=3), **said))


def person(runtime: EmbeddedRunner, name: str) -> Principal:
    with runtime.engine.begin() as connection:
        return users.get(connection, name).principal


def propose(
    runtime: EmbeddedRunner,
    author: Principal,
    reading: Reading = AGREES,
    order_id: str = "SO-1",
    when: datetime | None = None,
) -> Proposed:
    with runtime.engine.begin() as connection:
        wish = Wish(order_id, "ana", reading)
        proposed = corrections.propose(connection, runtime.store, author, wish, "198.51.100.1", when or at(days=1))
    runtime.process_pending()
    return proposed


def confirm(runtime: EmbeddedRunner, second: Principal, proposed: Proposed) -> None:
    with runtime.engine.begin() as connection:
        corrections.confirm(connection, runtime.store, second, proposed.correction_id, "", at(days=2))
    runtime.process_pending()


def verdicts(runtime: EmbeddedRunner, order_id: str = "SO-1") -> list[str]:
    with runtime.engine.begin() as connection:
        record = read_record(connection, LOCAL, order_id)
    assert record is not None
    return [pair.verdict for pair in record.pairs]


def total(runtime: EmbeddedRunner) -> dict[str, int]:
    with runtime.engine.begin() as connection:
        return reports.total(connection, LOCAL)


def events(runtime: EmbeddedRunner) -> int:
    with runtime.engine.begin() as connection:
        query = select(func.count()).select_from(journal).where(journal.c.type == "feedback.corrected")
        return connection.execute(query).scalar_one()


@pytest.fixture
def people(runtime: EmbeddedRunner) -> None:
    add_user(runtime.engine, "mia", Role.MANAGEMENT)
    add_user(runtime.engine, "rolf", Role.OPERATIONS, "depot=Lyon")
    add_user(runtime.engine, "oda", Role.OPERATIONS, "depot=Lille")
    add_user(runtime.engine, "ann", Role.ACCOUNT_MANAGER, "account=A-1")


@pytest.mark.usefixtures("people")
def test_a_correction_of_somebody_without_a_stake_counts_at_once(runtime: EmbeddedRunner) -> None:
    denied(runtime)
    assert verdicts(runtime) == ["embellished"]
    assert propose(runtime, person(runtime, "mia")).outcome == "counts"
    assert verdicts(runtime) == ["embellished", "agrees"]
    counts = total(runtime)
    assert counts["on_time:11"] == 1
    assert "on_time:10" not in counts
    assert figures_of(counts).signs.corrected_on_time == 1.0, "kept with the figures of every segment"
    assert events(runtime) == 1


@pytest.mark.usefixtures("people")
def test_a_correction_of_somebody_with_a_stake_waits_for_somebody_without(runtime: EmbeddedRunner) -> None:
    denied(runtime)
    rolf, mia, oda = person(runtime, "rolf"), person(runtime, "mia"), person(runtime, "oda")
    proposed = propose(runtime, rolf)
    assert proposed.outcome == "waits_for_second"
    assert verdicts(runtime) == ["embellished"], "nothing counts yet"
    assert events(runtime) == 0, "a proposal is an act and no event"
    for who in (rolf, person(runtime, "ann"), LOCAL):
        with pytest.raises(Refused, match="no stake"):
            confirm(runtime, who, proposed)
    with pytest.raises(Unknown):
        confirm(runtime, oda, proposed)
    with runtime.engine.begin() as connection:
        assert [one.order_id for one in waiting(connection, rolf)] == ["SO-1"]
        assert waiting(connection, oda) == []
    confirm(runtime, mia, proposed)
    assert verdicts(runtime) == ["embellished", "agrees"]
    with pytest.raises(Refused, match="counts already"):
        confirm(runtime, mia, proposed)
    with runtime.engine.begin() as connection:
        found = [(stored.act.who, stored.act.what.value) for stored in acts.newest(connection, LOCAL, 5)]
        assert found == [("mia", "correction_confirmed"), ("rolf", "correction_proposed")]
        assert waiting(connection, LOCAL) == []


def test_without_anybody_who_could_confirm_it_counts_after_seven_days(runtime: EmbeddedRunner) -> None:
    denied(runtime)
    assert propose(runtime, LOCAL).outcome == "waits_seven_days"
    assert corrections.count_waited(runtime.store, at(days=7.9)) == 0
    ingest(runtime, completed("SO-2", at(days=9)))  # the installation's clock goes by what it receives
    assert corrections.count_waited(runtime.store, at(days=9)) == 1
    runtime.process_pending()
    assert verdicts(runtime) == ["embellished", "agrees"]
    assert corrections.count_waited(runtime.store, at(days=20)) == 0


@pytest.mark.usefixtures("people")
def test_it_waits_as_long_as_somebody_could_confirm_it(runtime: EmbeddedRunner) -> None:
    denied(runtime)
    propose(runtime, person(runtime, "rolf"))
    ingest(runtime, completed("SO-2", at(days=30)))
    assert corrections.count_waited(runtime.store, at(days=30)) == 0
    with runtime.engine.begin() as connection:
        users.disable(connection, "mia", at(days=30))
    assert corrections.count_waited(runtime.store, at(days=30)) == 1


@pytest.mark.usefixtures("people")
def test_a_later_word_of_the_customer_supersedes_it(runtime: EmbeddedRunner) -> None:
    denied(runtime)
    proposed = propose(runtime, person(runtime, "rolf"))
    propose(runtime, person(runtime, "mia"))
    ingest(runtime, answered("SO-1", at(days=3), arrival="late"))
    assert verdicts(runtime) == ["embellished", "agrees", "embellished"]
    with pytest.raises(Refused, match="replaced by a later answer"):
        confirm(runtime, person(runtime, "mia"), proposed)
    with runtime.engine.begin() as connection:
        assert waiting(connection, LOCAL) == []
    assert corrections.count_waited(runtime.store, at(days=30)) == 0


@pytest.mark.usefixtures("people")
def test_a_newly_read_answer_enters_the_evidence_on_the_day_of_the_correction(runtime: EmbeddedRunner) -> None:
    denied(runtime, arrival=None, comment="it came two days after")
    propose(runtime, person(runtime, "mia"), Reading(arrival="late", score=Score(2)), when=at(days=5))
    with runtime.engine.begin() as connection:
        record = read_record(connection, LOCAL, "SO-1")
        assert record is not None
        assert record.order.dialogue.pairs["on_time"].day == at(days=5).toordinal()
        assert [answer.as_corrected().arrival for answer in record.answers] == ["late"]
        days = connection.execute(select(pairs.c.day).distinct()).scalars().all()
        assert set(days) <= {at(days=5).toordinal()}
    assert "on_time:corrected" not in total(runtime)


@pytest.mark.usefixtures("people")
def test_the_later_of_two_corrections_counts(runtime: EmbeddedRunner) -> None:
    denied(runtime)
    mia = person(runtime, "mia")
    propose(runtime, mia, when=at(days=1))
    propose(runtime, mia, Reading(arrival="not_received"), when=at(days=2))
    assert verdicts(runtime) == ["embellished", "agrees", "embellished"]
    assert figures_of(total(runtime)).signs.corrected_on_time == 0.0


@pytest.mark.usefixtures("people")
def test_what_cannot_be_corrected_is_refused_with_the_field(runtime: EmbeddedRunner) -> None:
    denied(runtime)
    ingest(runtime, completed("SO-3", at(hours=4)))
    mia = person(runtime, "mia")
    for order_id, reading, error, field in (
        ("SO-9", AGREES, Unknown, "SO-9"),
        ("SO-3", AGREES, Refused, "contact_id"),
        ("SO-1", Reading(), Refused, "reading"),
        ("SO-1", Reading(score=Score(9, 5)), Refused, "reading.score"),
    ):
        with pytest.raises(error, match=field):
            propose(runtime, mia, reading, order_id)
    with pytest.raises(Unknown):
        propose(runtime, person(runtime, "oda"))
