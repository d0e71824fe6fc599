"""What answers state as corrected: kept as corrections come, and filled by the migration for those before it."""

from importlib import import_module
from typing import Any

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import select

from pipeline.consumers import corrections
from pipeline.consumers.corrections import Wish
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.permissions import Role
from pipeline.domain.access.principal import LOCAL, user_principal
from pipeline.domain.access.scopes import EVERYTHING
from pipeline.domain.events.contract import Reading, Score
from pipeline.store.people import personal_data
from pipeline.store.people.persons import PersonKey
from pipeline.store.schema.answers import readings
from pipeline.web.internal.persons.history import histories_of
from tests.support.builders import answered, asked, at, completed, contact, scanned
from tests.support.invariants import violated_invariants
from tests.support.requests.users import add_user
from tests.support.running.embedded import ingest

MIA = user_principal("mia", Role.MANAGEMENT, EVERYTHING)
SAID: tuple[dict[str, Any], ...] = (
    {"comment": "well"},
    {"arrival": "late", "condition": ["damaged"], "score": {"value": 3, "scale": 5}},
    {"arrival": "on_time", "complete": True},
    {"arrival": "late"},
)
READ = (
    Reading("late", None, [], Score(2)),
    Reading("not_received"),
    Reading(None, False, ["incomplete"], None),
    Reading("on_time", None, ["wrong", "damaged"], Score(9)),
)


def corrected(runtime: EmbeddedRunner, number: int, reading: Reading, days: float) -> None:
    with runtime.engine.begin() as connection:
        wish = Wish(f"SO-{number}", "ana", reading)
        made = corrections.propose(connection, runtime.store, MIA, wish, "", at(days=days))
    assert made.outcome == "counts"
    runtime.process_pending()


def stored(runtime: EmbeddedRunner) -> list[tuple[Any, ...]]:
    with runtime.engine.connect() as connection:
        return sorted(tuple(row) for row in connection.execute(select(readings)))


def test_the_newest_correction_is_kept_and_the_migration_finds_the_same(runtime: EmbeddedRunner) -> None:
    add_user(runtime.engine, "mia", Role.MANAGEMENT)
    for number, said in enumerate(SAID):
        who = [contact("ana", phone=f"+4477009001{number:02d}")]
        order_id, when = f"SO-{number}", at(hours=number)
        known = completed(order_id, when, contacts=who), scanned(order_id, when), asked(order_id, at(hours=number + 1))
        ingest(runtime, *known, answered(order_id, at(hours=number + 2), **said))
    assert stored(runtime) == []
    for number, reading in enumerate(READ):
        corrected(runtime, number, Reading("late"), 1)
        corrected(runtime, number, reading, 2)
    before = stored(runtime)
    assert [row[2:] for row in before] == [
        ("late", None, "", 2, 10),
        ("not_received", None, "", 3, 5),
        ("on_time", False, "incomplete", None, None),
        ("on_time", None, "wrong,damaged", 9, 10),
    ]
    assert violated_invariants(runtime.engine, runtime.setup) == []
    exported = personal_data.export(runtime.store, LOCAL, PersonKey("A-1", "ana"), "command line", at(days=3))
    read = {answer["order_id"]: answer["read_as"] for answer in exported.answers}
    assert (read["SO-1"]["arrival"], read["SO-2"]["condition"]) == ("not_received", "incomplete")
    told = [step.details for history in histories_of(exported) for step in history.steps]
    assert any("a person reads it as: never arrived" in one for details in told for one in details)
    migration = import_module("pipeline.store.schema.migrations.versions.0034_readings")
    with runtime.engine.begin() as connection, Operations.context(MigrationContext.configure(connection)):
        migration.downgrade()
        migration.upgrade()
    assert stored(runtime) == before
