"""The migration to the present rules: a database keeps what it has concluded, and a new one has no other rules."""

from datetime import UTC, datetime
from importlib import util
from pathlib import Path
from types import ModuleType

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, Engine, select

from pipeline.app.installation import FrozenConfig, frozen_config, open_installation
from pipeline.settings import Settings
from pipeline.store.db.bulk import insert
from pipeline.store.db.engine import connect, reading
from pipeline.store.schema.evidence import pairs, segment_days
from tests.support.builders import at
from tests.support.paths import ROOT

VERSION = ROOT / "pipeline" / "store" / "schema" / "migrations" / "versions" / "0018_honest_spread.py"


def migration() -> ModuleType:
    """The migration, as Alembic loads it."""
    spec = util.spec_from_file_location("honest_spread", VERSION)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def keep_earlier_rules(engine: Engine) -> None:
    with engine.begin() as connection, Operations.context(MigrationContext.configure(connection)):
        migration()._keep_earlier_rules()


def opened(url: str, folder: Path) -> int:
    """First day of the present rules in this database, once it is opened."""
    installation = open_installation(Settings(data_dir=folder, database_url=url))
    installation.store.engine.dispose()
    return installation.setup.rules_since


def pair(n: int, day: int, x: float, signal: str = "experience") -> dict[str, object]:
    return {
        "dimension": "depot",
        "value": "Lyon",
        "signal": signal,
        "n": n,
        "day": day,
        "received_at": at(),
        "account_id": "A-1",
        "order_id": f"SO-{n}",
        "x": x,
        "delta": 0.1,
    }


def test_a_new_database_is_judged_by_the_present_rules_from_its_first_day(database_url: str, tmp_path: Path) -> None:
    assert opened(database_url, tmp_path) == 0
    assert opened(database_url, tmp_path) == 0


def test_a_database_that_was_in_use_is_judged_by_them_from_the_second_day_after(
    database_url: str, tmp_path: Path
) -> None:
    opened(database_url, tmp_path)
    engine = connect(database_url)
    try:
        with engine.begin() as connection:
            insert(connection, pairs, [pair(1, 7, 1.0), pair(2, 7, 0.5), pair(3, 8, 0.0), pair(1, 7, 1.0, "on_time")])
        before = datetime.now(UTC).date()
        keep_earlier_rules(engine)
        with reading(engine) as connection:
            since = since_of(connection)
            sums = [tuple(row) for row in connection.execute(select(segment_days).order_by(segment_days.c.day))]
        assert before.toordinal() + 2 <= since <= datetime.now(UTC).date().toordinal() + 2
        assert sums == [("experience", "depot", "Lyon", 7, 2, 1.5), ("experience", "depot", "Lyon", 8, 1, 0.0)]
    finally:
        engine.dispose()
    assert opened(database_url, tmp_path) == since


def since_of(connection: Connection) -> int:
    frozen = frozen_config(connection)
    assert isinstance(frozen, FrozenConfig)
    return frozen.rules_since
