"""What earlier versions stored with a time that has not come does not win for ever after the upgrade."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, MetaData, Table, insert, select

from pipeline.store.db.engine import connect, reading
from pipeline.store.journal import receipt_mark, state
from pipeline.store.people.people import save_people
from pipeline.store.schema import upgrade
from pipeline.store.schema.journal import journal
from pipeline.store.schema.people import people
from tests.support.builders import completed
from tests.support.servers.postgres import PostgresServer

NOW = datetime.now(UTC)
PERSON = {"account_id": "A-1", "contact_id": "ana", "name": b"of a wrong clock"}
NONE = {"phone": None, "email": None, "phone_digest": None, "email_digest": None}


@pytest.fixture(params=["sqlite", "postgresql"])
def before(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database with the schema before this migration."""
    server: PostgresServer | None = None
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/old.db"
    else:
        server = request.getfixturevalue("postgres_server")
        made = server.create_database()
        url = made.render_as_string(hide_password=False)
    engine = connect(url)
    config = Config()
    config.set_main_option("script_location", str(upgrade._MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0011")
    yield engine
    engine.dispose()
    if server is not None:
        server.drop_database(made)


def migrated(engine: Engine) -> None:
    upgrade.migrate(engine.url.render_as_string(hide_password=False), sealing=True)


def store_event(engine: Engine, received_at: datetime, **envelope: object) -> None:
    payload = completed(time=received_at, _=envelope).decode()
    row = {"seq": 1, "source": "erp", "id": "1", "type": "order.completed", "outgoing": False}
    with engine.begin() as connection:
        connection.execute(insert(journal).values(row | {"received_at": received_at, "payload": payload}))


def store_person(engine: Engine, said_at: datetime) -> None:
    with engine.begin() as connection:
        earlier = Table("people", MetaData(), autoload_with=connection)
        earlier.c.said_at.type = people.c.said_at.type
        connection.execute(insert(earlier).values(PERSON | NONE | {"said_at": said_at, "wrapped_key": b"key"}))


def correct(engine: Engine) -> bytes:
    with engine.begin() as connection:
        save_people(connection, [PERSON | NONE | {"said_at": datetime.now(UTC), "name": b"corrected", "key_id": "k"}])
    with reading(engine) as connection:
        name: bytes = connection.execute(select(people.c.name)).scalar_one()
    return name


def newest(engine: Engine) -> datetime | None:
    with reading(engine) as connection:
        return receipt_mark.newest(connection, NOW)


@pytest.mark.parametrize("ahead", [timedelta(days=45_000), timedelta(hours=1)], ids=str)
def test_a_contact_of_a_source_whose_clock_ran_ahead_can_be_corrected(before: Engine, ahead: timedelta) -> None:
    store_event(before, NOW - timedelta(minutes=5))
    store_person(before, NOW + ahead)
    migrated(before)
    assert correct(before) == b"corrected"


def test_other_contacts_keep_their_time(before: Engine) -> None:
    said_at = NOW - timedelta(days=400)
    store_event(before, NOW - timedelta(days=1))
    store_person(before, said_at)
    migrated(before)
    with reading(before) as connection:
        assert connection.execute(select(people.c.said_at)).scalar_one() == said_at


def test_the_newest_live_event_or_tick_is_the_newest_receipt(before: Engine) -> None:
    store_event(before, NOW - timedelta(days=9))
    with before.begin() as connection:
        state.put(connection, state.CLOCK, state.as_text(NOW - timedelta(days=1)))
    migrated(before)
    assert newest(before) == NOW - timedelta(days=1)


def test_a_history_is_no_receipt(before: Engine) -> None:
    store_event(before, NOW - timedelta(days=3_000), historic=True)
    migrated(before)
    assert newest(before) is None
