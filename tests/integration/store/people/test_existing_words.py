"""The words that an earlier version stored readable are sealed once, in steps, and everything else stays."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from pipeline.app.installation import open_installation
from pipeline.app.maintenance import migrate_database
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.errors import UserError
from pipeline.settings import ConfigurationError, Settings
from pipeline.store.asks import phone_messages
from pipeline.store.asks.phone_messages import Recipient
from pipeline.store.db.engine import connect, reading
from pipeline.store.journal import state
from pipeline.store.people import existing_words, word_index
from pipeline.store.schema.upgrade import WordsNotSealed
from tests.support.builders import answered, at, cancelled, completed, contact, repromised, scanned, tracked
from tests.support.dump import dump, raw_dump
from tests.support.paths import ROOT
from tests.support.requests import installation
from tests.support.requests.conversations import receive_text
from tests.support.requests.installation import PHONE
from tests.support.running.earlier import downgrade
from tests.support.running.embedded import VAULT, ingest

MASTER = bytes(range(32)).hex()
pytestmark = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
APPEND_ONLY = ("journal", "answers", "inbound_messages", "claims", "asks", "nulls", "refusals", "provider_callbacks")


def fill(runtime: EmbeddedRunner) -> None:
    """An installation with words in every table that can hold some."""
    installation.sent(runtime, name="Ana Canary", phone=PHONE)
    ingest(
        runtime,
        completed("SO-2", contacts=[contact(name="Ana Canary", extra="Canary 2")], memo={"Canary": 1}),
        repromised("SO-2", at(hours=1), at(hours=6), reason="Canary is ill", by="Ben Canary"),
        scanned("SO-2", at(hours=2), note="left with Canary", signed_by="Canary", status="attempted"),
        tracked("NX 77", at(hours=3), note="Canary, third floor"),
        answered("SO-2", at(hours=4), arrival="late", comment="Canary: box 3 was wet"),
        answered("SO-9", at(hours=4), arrival="late", comment="Canary, before its order"),
        cancelled("SO-2", at(hours=5), reason="Canary changed her mind"),
        completed("SO-3").replace(b'"receiver"', b'"Canary"'),
    )
    receive_text(runtime, "2 Canary came late")
    receive_text(runtime, "who is Canary?", phone="+447700900999")
    with runtime.engine.begin() as connection:
        phone_messages.store_message(connection, VAULT, PHONE, "Canary?", at(hours=1), Recipient("A-1", "ana", "SO-1"))


# Tables that the earlier version did not have, or whose rows a migration makes in another way.
LATER = ("inbox", "segment_days", "spreads", "fleet_factors", "cases", "case_acts", "sources", "source_slots")
UNKNOWN = {"asks": {"role"}}  # what the earlier version did not keep


@pytest.fixture
def earlier(
    request: pytest.FixtureRequest, database_url: str, start: Callable[..., EmbeddedRunner], tmp_path: Path
) -> Iterator[tuple[Settings, list[str]]]:
    """The settings of an installation as the earlier version left it, and what it contains."""
    runtime = start()
    fill(runtime)
    contents = dump(runtime.engine, LATER, UNKNOWN)
    if database_url.startswith("sqlite"):
        url, drop = f"sqlite:///{tmp_path}/earlier.db", None
    else:
        server = request.getfixturevalue("postgres_server")
        drop = server.create_database()
        url = drop.render_as_string(hide_password=False)
    downgrade(VAULT, database_url, url)
    runtime.engine.dispose()
    yield Settings(database_url=url, master_key=MASTER, data_dir=tmp_path / "data"), contents
    if drop is not None:
        server.drop_database(drop)


def opened(settings: Settings) -> Engine:
    return connect(settings.url)


def migrate(settings: Settings) -> list[tuple[int, int]]:
    reported: list[tuple[int, int]] = []
    migrate_database(settings, lambda done, total: reported.append((done, total)))
    return reported


def test_no_readable_word_is_left_and_everything_else_is_as_before(earlier: tuple[Settings, list[str]]) -> None:
    settings, contents = earlier
    engine = opened(settings)
    assert "Canary" in everything_of(engine), "the earlier version stored them readable"
    sample(engine)
    engine.dispose()
    reported = migrate(settings)
    assert reported[-1][0] == reported[-1][1] > 0
    assert [done for done, _ in reported] == sorted(done for done, _ in reported)
    assert "Canary" not in everything_of(engine)
    assert "Canary" not in raw_dump(engine)
    assert dump(engine, LATER, UNKNOWN) == contents, "the same, opened"
    with reading(engine) as connection:
        assert len(word_index.answers_with(connection, VAULT, ["box"])) == 1
    engine.dispose()
    if engine.dialect.name == "sqlite":
        for file in Path(settings.url.removeprefix("sqlite:///")).parent.glob("earlier.db*"):
            assert b"Canary" not in file.read_bytes(), file
    assert migrate(settings) == [], "once"


def sample(engine: Engine) -> None:
    """PostgreSQL samples values of columns for its planner, as it does by itself now and then."""
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            connection.execute(text("ANALYZE"))
            samples = connection.execute(text("SELECT * FROM pg_stats")).all()
        assert "Canary" in repr(samples)


def everything_of(engine: Engine) -> str:
    """All rows of all tables, whatever the schema is, and PostgreSQL's samples of columns."""
    with reading(engine) as connection:
        if engine.dialect.name == "sqlite":
            names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        else:
            names = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        tables = [*connection.execute(text(names)).scalars(), *(["pg_stats"] if "pg_" in names else [])]
        return "\n".join(
            repr(tuple(row)) for name in tables for row in connection.execute(text(f"SELECT * FROM {name}"))
        )


def test_an_interrupted_migration_goes_on_where_it_stopped(
    earlier: tuple[Settings, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, contents = earlier
    monkeypatch.setattr(existing_words, "_ROWS", 2)
    starts = 0
    while True:
        starts += 1
        left = 3 * starts

        def _stop_soon(done: int, total: int) -> None:
            nonlocal left
            left -= 1
            if not left:
                raise KeyboardInterrupt

        try:
            migrate_database(settings, _stop_soon)
        except KeyboardInterrupt:
            with pytest.raises(
                WordsNotSealed, match="stop every process of Unvarnished, then run `unvarnished migrate`"
            ):
                open_installation(settings)
            continue
        break
    assert starts > 2
    engine = opened(settings)
    assert "Canary" not in raw_dump(engine)
    assert dump(engine, LATER, UNKNOWN) == contents
    engine.dispose()
    open_installation(settings).store.engine.dispose()


def test_no_process_starts_before_the_words_are_sealed_and_none_may_run_meanwhile(
    earlier: tuple[Settings, list[str]],
) -> None:
    settings, _ = earlier
    with pytest.raises(WordsNotSealed, match="holds words that an earlier version stored readable"):
        open_installation(settings)
    engine = opened(settings)
    with reading(engine) as connection:
        connection.execute(text("SELECT 1")).all()
        with pytest.raises(UserError, match="another process is connected"):
            migrate(settings)
    engine.dispose()
    migrate(settings)
    open_installation(settings).store.engine.dispose()


def test_another_master_key_seals_nothing(earlier: tuple[Settings, list[str]]) -> None:
    settings, contents = earlier
    with pytest.raises(ConfigurationError, match="UNVARNISHED_MASTER_KEY"):
        migrate(settings.model_copy(update={"master_key": Settings(master_key="00" * 32).master_key}))
    migrate(settings)
    engine = opened(settings)
    assert dump(engine, LATER, UNKNOWN) == contents
    engine.dispose()


def test_the_triggers_are_the_same_after_the_migration(
    earlier: tuple[Settings, list[str]], runtime: EmbeddedRunner
) -> None:
    settings, _ = earlier
    migrate(settings)
    engine = opened(settings)
    assert triggers(engine) == triggers(runtime.engine)
    with pytest.raises(Exception, match="append-only"), engine.begin() as connection:
        connection.execute(text("UPDATE journal SET payload = '{}'"))
    engine.dispose()


def triggers(engine: Engine) -> set[tuple[str, str]]:
    query = "SELECT tbl_name, sql FROM sqlite_master WHERE type = 'trigger'"
    if engine.dialect.name == "postgresql":
        query = "SELECT tgrelid::regclass::text, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal"
    with reading(engine) as connection:
        return {(table, definition) for table, definition in connection.execute(text(query))}


def test_a_failed_step_leaves_the_triggers_where_they_are(
    earlier: tuple[Settings, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, _ = earlier
    monkeypatch.setattr(existing_words._Work, "update", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        migrate(settings)
    engine = opened(settings)
    with pytest.raises(Exception, match="append-only"), engine.begin() as connection:
        connection.execute(text("UPDATE journal SET payload = '{}'"))
    with reading(engine) as connection:
        assert state.get(connection, state.SEALING) is not None
    engine.dispose()


def test_nothing_but_this_migration_lifts_triggers(database_url: str) -> None:
    """Statements that drop or disable triggers, in the code that a process can run."""
    words = ("DROP TRIGGER", "DISABLE TRIGGER", "session_replication_role", "recursive_triggers")
    found = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "pipeline").rglob("*.py")
        if path.parent.name != "bench"  # it makes databases of its own
        and any(word.casefold() in path.read_text().casefold() for word in words)
    }
    migrations = {name for name in found if name.startswith("pipeline/store/schema/migrations/versions/")}
    assert found - migrations == {"pipeline/store/schema/triggers.py"}
    users = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "pipeline").rglob("*.py")
        if "schema.triggers import" in path.read_text()
    }
    assert users == {"pipeline/store/people/existing_words.py"}
