"""What is wrong with an installation, and what to do about it: looked at from outside, with nothing changed."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, func, make_url, select
from sqlalchemy.exc import SQLAlchemyError

from pipeline.app.installation import frozen_in
from pipeline.consumers.cluster.kafka import client, topics
from pipeline.consumers.cluster.kafka.client import BrokerTrouble
from pipeline.notifiers import registry
from pipeline.settings import Settings, Unusable
from pipeline.store.db.engine import connect, reading, revisions
from pipeline.store.people import api_keys
from pipeline.store.people.vault import Sealed, Vault
from pipeline.store.reads.demo_phone import Shelf
from pipeline.store.schema.tables import people

_CLOCKS = 2.0  # seconds that two clocks may differ: leases and quiet hours bear more, people who compare logs do not
_OLDEST = (2, 1)  # Kafka's own clients speak to nothing older
_OF_CLUSTER = "of a cluster"
_HERE = ("://127.", "://localhost", "://[::1]")


class Check(NamedTuple):
    """One thing that was looked at: well as `found`, or `wrong` and then what to do about it."""

    name: str
    found: str
    wrong: bool = False
    advice: str = ""


class _Wrong(Exception):
    def __init__(self, found: str, advice: str) -> None:
        super().__init__(found)
        self.found = found
        self.advice = advice


def examine(settings: Settings) -> list[Check]:
    """Look at everything there is to look at."""
    engine = connect(settings.url) if _is_there(settings) else None
    looks: list[tuple[str, Callable[[], str]]] = [("master key", partial(_master_key, settings))]
    if settings.database_url is None or settings.master_key is None:  # which is then kept there
        looks.insert(0, ("data folder", partial(_folder, settings)))
    if engine is None:
        looks.append(("database", _no_database))
    else:
        looks += [
            ("database", partial(_schema, engine)),
            ("mode", partial(_in_database, engine, partial(_mode, settings))),
            ("clock", partial(_in_database, engine, _clock)),
            ("sealed data", partial(_in_database, engine, partial(_sealed, settings))),
            ("API keys", partial(_in_database, engine, _api_keys)),
            ("notifier", partial(_notifier, settings, engine)),
        ]
    if settings.clustered:
        looks += [
            ("sign-in token", partial(_token, settings)),
            ("broker", partial(_broker, settings)),
            ("topics", partial(_topics, settings)),
        ]
    try:
        return [_check(name, look) for name, look in looks]
    finally:
        if engine is not None:
            engine.dispose()


def _check(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, look())
    except _Wrong as error:
        return Check(name, error.found, True, error.advice)
    except Unusable as error:
        return Check(name, str(error), True, "correct that setting")
    except BrokerTrouble as error:
        return Check(name, str(error), True, "start it, or correct UNVARNISHED_KAFKA_BOOTSTRAP_SERVERS")
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).splitlines()[0]
        return Check(
            name, f"the database says: {cause}", True, "see whether it runs and UNVARNISHED_DATABASE_URL is right"
        )


def _is_there(settings: Settings) -> bool:
    """To connect to a SQLite file would make it."""
    url = make_url(settings.url)
    return url.get_backend_name() != "sqlite" or (url.database is not None and os.path.exists(url.database))


def _no_database() -> str:
    raise _Wrong("there is none yet", "run `unvarnished migrate`")


def _in_database(engine: Engine, look: Callable[[Connection], str]) -> str:
    with reading(engine) as connection:
        return look(connection)


def _folder(settings: Settings) -> str:
    """Asked of what is there of it: to make it would change something."""
    folder = settings.data_dir.absolute()
    there = next(path for path in (folder, *folder.parents) if os.path.exists(path))
    if not there.is_dir() or not os.access(there, os.R_OK | os.W_OK | os.X_OK):
        raise _Wrong(f"{there} is no folder that this user may write to", "correct that, or UNVARNISHED_DATA_DIR")
    return str(folder)


def _master_key(settings: Settings) -> str:
    if settings.master_key is None and settings.clustered:
        raise _Wrong("only this machine has it", "set UNVARNISHED_MASTER_KEY, the same for every process")
    if settings.master_key is None and not os.path.exists(settings.key_file):  # False where we may not look
        raise _Wrong("there is none yet", "it is made with the first start; keep a copy of it")
    settings.master()
    return "UNVARNISHED_MASTER_KEY" if settings.master_key is not None else str(settings.key_file)


def _schema(engine: Engine) -> str:
    current, newest = revisions(engine)
    if current != newest:
        raise _Wrong(f"its schema is {current or 'empty'}, this version's is {newest}", "run `unvarnished migrate`")
    return f"{engine.dialect.name}, schema {current}"


def _mode(settings: Settings, connection: Connection) -> str:
    frozen = frozen_in(connection)
    wanted = _OF_CLUSTER if settings.clustered else "of one process"
    if frozen is None:
        return f"not begun; it will be {wanted}"
    if frozen.cluster != settings.clustered:
        raise _Wrong(
            f"the database is {'of one process' if settings.clustered else _OF_CLUSTER}, the settings are {wanted}",
            "set or unset UNVARNISHED_KAFKA_BOOTSTRAP_SERVERS, or use another database",
        )
    return wanted


def _clock(connection: Connection) -> str:
    if connection.dialect.name == "sqlite":
        return "the database has no clock of its own"
    there = connection.execute(select(func.clock_timestamp())).scalar_one()
    apart = abs((datetime.now(UTC) - there).total_seconds())
    if apart > _CLOCKS:
        raise _Wrong(f"{apart:.1f} seconds from the database's", "let both machines take the time from the network")
    return "as the database's"


def _sealed(settings: Settings, connection: Connection) -> str:
    row = connection.execute(select(people.c.wrapped_key, people.c.phone).where(people.c.phone.is_not(None))).first()
    if row is None:
        return "nobody's yet"
    if settings.master_key is None and not os.path.exists(settings.key_file):  # False where we may not look
        raise _Wrong("there is no key for it", "restore the master key that this database was begun with")
    try:
        Vault(settings.master()).open(row.wrapped_key, row.phone)
    except Sealed:
        raise _Wrong("this key does not open it", "set the master key that this database was begun with") from None
    return "opens with the master key"


def _api_keys(connection: Connection) -> str:
    n = len(api_keys.working(connection))
    if not n:
        raise _Wrong("none works: nobody can send events by HTTP", "run `unvarnished keys create NAME`")
    return f"{n} of them work"


def _notifier(settings: Settings, engine: Engine) -> str:
    registry.notifiers(settings, Shelf(engine))
    if settings.notifier == "twilio_sms":
        if any(here in settings.public_url for here in _HERE):
            raise _Wrong(
                "the links in messages lead to this machine", "set UNVARNISHED_PUBLIC_URL as the world sees it"
            )
        if not settings.public_url.startswith("https://"):
            raise _Wrong("the links in messages are not encrypted", "give UNVARNISHED_PUBLIC_URL an https:// address")
    return settings.notifier


def _token(settings: Settings) -> str:
    if settings.sign_in_token is None:
        raise _Wrong("each process makes its own", "set UNVARNISHED_SIGN_IN_TOKEN, the same for all")
    return "set"


def _broker(settings: Settings) -> str:
    with client.admin(settings) as admin:
        brokers = admin.describe_cluster()["brokers"]
        version = _version_of(admin, brokers[0]["broker_id"])
    named = ".".join(map(str, version))
    if version < _OLDEST:
        raise _Wrong(f"Kafka {named}", f"update it to {'.'.join(map(str, _OLDEST))} or newer")
    return f"speaks as Kafka {named}, {len(brokers)} in all"


def _version_of(client: Any, broker: int) -> tuple[int, ...]:
    version: tuple[int, ...] = client.get_broker_version_data(broker).broker_version
    return version


def _topics(settings: Settings) -> str:
    missing, different = topics.compare(settings)
    if missing:
        raise _Wrong(f"missing: {', '.join(missing)}", "run `unvarnished topics create`")
    if different:
        raise _Wrong(
            f"not as they are set: {', '.join(different)}", "`unvarnished topics create` tells in what they differ"
        )
    return "all there, as they are set"
