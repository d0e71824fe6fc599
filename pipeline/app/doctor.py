"""Checks an installation from outside, and advises what to do about each problem. Changes nothing."""

import os
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, make_url
from sqlalchemy.exc import SQLAlchemyError

from pipeline.app.errors import database_cause
from pipeline.app.installation import default_country, frozen_config, history_of, now
from pipeline.consumers.runtime.receipt_clock import is_accepted
from pipeline.domain.detection.segments import format_levels
from pipeline.domain.events.receipt_time import step_doubt
from pipeline.domain.events.spelling import look_alikes
from pipeline.errors import UserError
from pipeline.notifiers import registry
from pipeline.notifiers.countries import calendar
from pipeline.notifiers.receivers import registry as receiver_registry
from pipeline.notifiers.wording.preview import preview, why_long
from pipeline.notifiers.wording.questions import most_segments
from pipeline.settings import ConfigurationError, Settings
from pipeline.store.asks.phone_messages import PhoneStore
from pipeline.store.db.engine import connect, reading
from pipeline.store.journal import receipt_mark
from pipeline.store.notices.deliveries import backlogs
from pipeline.store.people import api_keys, erasure
from pipeline.store.people.vault import KEY_BYTES, UnsealError, Vault
from pipeline.store.reads import checks
from pipeline.store.reads.levels import level_uses
from pipeline.store.schema.upgrade import SchemaTooNew, WordsNotSealed, holds_words, revisions
from pipeline.store.users import users

_MAX_CLOCK_DIFFERENCE = 2.0  # seconds; leases and quiet hours tolerate more, comparing logs does not
_NOTICE_OVERDUE = timedelta(minutes=10)
_MOST_LISTED = 20  # of the values that look alike
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_OLDEST_KAFKA = (2, 1)  # Kafka's own clients support nothing older


class Check(NamedTuple):
    """The result of one check. `advice` says what to do if something is `wrong`, or works at a price (`warning`)."""

    name: str
    found: str
    wrong: bool = False
    advice: str = ""
    warning: bool = False


class _Problem(Exception):
    def __init__(self, found: str, advice: str) -> None:
        super().__init__(found)
        self.found = found
        self.advice = advice


class _Warning(_Problem):
    """Something that works, at a price that the operator should know."""


_Examine = Callable[[], str]  # returns what it found if that is right; raises _Problem or an error of the service


def examine(settings: Settings) -> list[Check]:
    """Run every check that applies to these settings."""
    engine = connect(settings.url) if _database_exists(settings) else None
    try:
        return [_run(name, examine) for name, examine in _checks(settings, engine)]
    finally:
        if engine is not None:
            engine.dispose()


def _checks(settings: Settings, engine: Engine | None) -> list[tuple[str, _Examine]]:
    selected: list[tuple[str, _Examine]] = [("master key", partial(_master_key, settings))]
    if settings.default_country is not None:
        selected.append(("default country", partial(_default_country, settings)))
    selected += [
        ("messages", partial(_messages, settings)),
        ("closed days", partial(_closed_days, settings)),
        ("retention", partial(_retention, settings)),
    ]
    if settings.database_url is None or settings.master_key is None:  # one of them is stored in the data folder
        selected.insert(0, ("data folder", partial(_data_folder, settings)))
    if engine is None:
        selected.append(("database", _no_database))
    else:
        selected += [
            ("database", partial(_schema, engine)),
            ("mode", partial(_in_database, engine, partial(_mode, settings))),
            ("clock", partial(_in_database, engine, _clock)),
            ("sealed data", partial(_in_database, engine, partial(_sealed_data, settings))),
            ("erasures", partial(_in_database, engine, _erasures)),
            ("API keys", partial(_in_database, engine, _api_keys)),
            ("levels", partial(_in_database, engine, _levels)),
            ("users", partial(_in_database, engine, partial(_users, settings))),
            ("internal URL", partial(_internal_url, settings)),
            ("dimension values", partial(_in_database, engine, _dimension_values)),
            ("notifier", partial(_notifier, settings, engine)),
            ("receivers", partial(_in_database, engine, partial(_receivers, settings))),
        ]
    if settings.uses_kafka:
        selected += [
            ("sign-in token", partial(_sign_in_token, settings)),
            ("broker", partial(_broker, settings)),
            ("topics", partial(_topics, settings)),
        ]
    return selected


def _run(name: str, examine: _Examine) -> Check:
    try:
        return Check(name, examine())
    except _Problem as problem:
        is_warning = isinstance(problem, _Warning)
        return Check(name, problem.found, not is_warning, problem.advice, is_warning)
    except ConfigurationError as error:
        return Check(name, str(error), True, "correct that setting")
    except UserError as error:
        return Check(name, str(error), True, "start the broker, or correct UNVARNISHED_KAFKA_BOOTSTRAP_SERVERS")
    except SQLAlchemyError as error:
        advice = "start the database, or correct UNVARNISHED_DATABASE_URL"
        return Check(name, f"database error: {database_cause(error)}", True, advice)


def _database_exists(settings: Settings) -> bool:
    """Whether a connection would not create the database: connecting to a missing SQLite file creates it."""
    url = make_url(settings.url)
    return url.get_backend_name() != "sqlite" or (url.database is not None and os.path.exists(url.database))


def _no_database() -> str:
    raise _Problem("it does not exist yet", "run `unvarnished migrate`")


def _in_database(engine: Engine, examine: Callable[[Connection], str]) -> str:
    with reading(engine) as connection:
        return examine(connection)


def _data_folder(settings: Settings) -> str:
    """Examines the nearest existing parent of a missing folder, because creating it would change something."""
    folder = settings.data_dir.absolute()
    existing = next(path for path in (folder, *folder.parents) if os.path.exists(path))
    if not existing.is_dir() or not os.access(existing, os.R_OK | os.W_OK | os.X_OK):
        raise _Problem(
            f"{existing} is not a folder that this user may write to", "correct that, or set UNVARNISHED_DATA_DIR"
        )
    return str(folder)


def _master_key(settings: Settings) -> str:
    if settings.master_key is None and settings.uses_kafka:
        raise _Problem(
            "it is stored on this machine only", "set UNVARNISHED_MASTER_KEY, to the same value for every process"
        )
    if settings.master_key is None and not _exists(settings.key_file):
        raise _Problem("it does not exist yet", "the first start creates it; keep a copy of it")
    settings.master()
    return "UNVARNISHED_MASTER_KEY" if settings.master_key is not None else str(settings.key_file)


def _exists(path: Path) -> bool:
    """Whether the file exists; False also in a folder that this user may not read, where `Path.exists` raises."""
    return os.path.exists(path)


def _schema(engine: Engine) -> str:
    try:
        current, newest = revisions(engine)
    except SchemaTooNew as error:
        raise _Problem(error.found, "update Unvarnished") from None
    if current is not None and holds_words(engine):
        raise _Problem(WordsNotSealed.found, WordsNotSealed.advice)
    if current != newest:
        raise _Problem(
            f"its schema is {current or 'empty'}, this version needs {newest}",
            "run `unvarnished migrate`",
        )
    return f"{engine.dialect.name}, schema {current}"


def _mode(settings: Settings, connection: Connection) -> str:
    frozen = frozen_config(connection)
    configured = _mode_name(settings.uses_kafka)
    if frozen is None:
        return f"not started yet; it will be in {configured}"
    if frozen.cluster != settings.uses_kafka:
        raise _Problem(
            f"the database was first started in {_mode_name(frozen.cluster)}, the settings select {configured}",
            "set or unset UNVARNISHED_KAFKA_BOOTSTRAP_SERVERS, or use another database",
        )
    return configured


def _mode_name(cluster: bool) -> str:
    return "cluster mode" if cluster else "embedded mode"


def _clock(connection: Connection) -> str:
    wall, server = now(), checks.server_time(connection)
    recorded = receipt_mark.newest(connection, wall)
    doubt = None if recorded is None else step_doubt(wall, recorded)
    if doubt is not None and server is None and not is_accepted(connection, wall):
        raise _Problem(doubt, "set the clock; if it is right, run `unvarnished doctor --accept-clock`")
    if server is None:
        return "the database has no clock of its own"
    difference = abs((wall - server).total_seconds())
    if difference > _MAX_CLOCK_DIFFERENCE:
        raise _Problem(
            f"differs by {difference:.1f} seconds from the database server's",
            "synchronise the clocks of both machines, for example by NTP",
        )
    return "same as the database server's"


def _sealed_data(settings: Settings, connection: Connection) -> str:
    sealed = checks.any_sealed_phone(connection)
    if sealed is None:
        return "none yet"
    if settings.master_key is None and not _exists(settings.key_file):
        raise _Problem("the master key is missing", "restore the master key of this database's first start")
    try:
        Vault(settings.master()).open(sealed.wrapped_key, sealed.phone)
    except UnsealError:
        raise _Problem("the master key does not open it", "set the master key of this database's first start") from None
    return "opens with the master key"


def _erasures(connection: Connection) -> str:
    waiting = erasure.pending(connection)
    alone = [one.due_at for one in waiting if one.due_at is not None]
    if alone:
        raise _Warning(
            f"{len(alone)} take effect without a second user, the first {min(alone):%Y-%m-%d %H:%M} UTC",
            "add a user in the role management who may confirm them (`unvarnished person erasures`)",
        )
    return f"{len(waiting)} wait for a second user" if waiting else "none waits"


def _retention(settings: Settings) -> str:
    """How long what is kept of people, by kind of data."""
    persons = settings.person_retention_days
    kept = [
        f"contacts {'until they are erased' if persons is None else f'{persons:g} days after the last event'}",
        f"texts of unknown numbers {settings.unmatched_text_retention_days:g} days",
        f"dead letters {settings.dead_letter_retention_days:g} days",
    ]
    if settings.uses_kafka:
        hours = settings.kafka_input_retention_hours, settings.kafka_dead_letter_retention_hours
        kept.append(f"Kafka topics orders and deliveries {hours[0]:g} hours, dead-letters {hours[1]:g} hours")
    return "; ".join(kept)


def _api_keys(connection: Connection) -> str:
    working = len(api_keys.valid_keys(connection))
    if not working:
        raise _Problem("none is valid, so no system can send events by HTTP", "run `unvarnished keys create NAME`")
    return f"{working} valid"


def _levels(connection: Connection) -> str:
    found = history_of(connection)
    if found is None:
        return "none yet: the first start stores them"
    history, budget = found
    uses = level_uses(connection, history.watched)
    listed = ", ".join(f"{use.level} ({use.segments} of {use.capacity})" for use in uses)
    exceeded = [use for use in uses if use.exceeded]
    if exceeded:
        bounds = ", ".join(f"{use.level} {use.false_alerts_a_year(len(uses), budget):.2g}" for use in exceeded)
        raise _Warning(
            f"{listed}: more segments than configured, so the limit of false alerts does not hold "
            f"({budget / len(uses):.2g} a year for each level and signal; now up to: {bounds})",
            "run "
            + " and ".join(f"`unvarnished levels add {format_levels([use.suggestion])}`" for use in exceeded)
            + ", with as many segments as you expect",
        )
    return f"segments and capacity: {listed}; own dimensions: `unvarnished levels add DIMENSION:CAPACITY`"


def _users(settings: Settings, connection: Connection) -> str:
    number = len(users.all_users(connection))
    if not users.admin_exists(connection):
        raise _Warning(
            f"{number}, and no admin has signed in: the start token opens everything",
            "invite one with `unvarnished users add NAME --role admin`",
        )
    if settings.sign_in_token is not None:
        raise _Warning(
            f"{number}; UNVARNISHED_SIGN_IN_TOKEN opens everything besides, with every permission",
            "remove that setting, unless it is needed",
        )
    return str(number)


def _internal_url(settings: Settings) -> str:
    """Whether session cookies are Secure, where the listener is not on loopback."""
    if settings.internal_url is not None and settings.internal_url.startswith("https://"):
        return settings.internal_url
    if settings.internal_host not in _LOOPBACK:
        raise _Warning(
            f"the internal listener is on {settings.internal_host} without https, so session cookies are not Secure",
            "put a proxy with TLS in front of it and set UNVARNISHED_INTERNAL_URL, unless only this machine reaches it",
        )
    return "loopback only"


def _dimension_values(connection: Connection) -> str:
    values = checks.dimension_values(connection)
    alike = [
        f"{dimension}: {' = '.join(map(repr, group))}"
        for dimension, names in values.items()
        for group in look_alikes(names)
    ]
    if alike:
        listed = "; ".join(alike[:_MOST_LISTED])
        more = f"; and {len(alike) - _MOST_LISTED} more" if len(alike) > _MOST_LISTED else ""
        raise _Warning(
            f"differ only by case or punctuation and are counted separately: {listed}{more}",
            "send one spelling if they are one and the same; figures already counted stay separate",
        )
    return f"{sum(map(len, values.values()))}, no two alike"


def _notifier(settings: Settings, engine: Engine) -> str:
    for configured in registry.configured_channels(
        settings, PhoneStore(engine, Vault(bytes(KEY_BYTES)))
    ):  # nothing is sealed
        problem = configured.adapter.check()
        if problem is not None:
            raise _Problem(problem.found, problem.advice)
    return settings.notifier


def _receivers(settings: Settings, connection: Connection) -> str:
    """The configured receivers, and what they have not accepted."""
    configured = receiver_registry.configured(settings).by_name
    if not configured:
        return "none: incidents are on the pages and the topic alerts only"
    found = backlogs(connection)
    dead = {name: backlog.dead for name, backlog in found.items() if backlog.dead and name in configured}
    if dead:
        raise _Problem(
            "gave up notices: " + ", ".join(f"{name} {n}" for name, n in dead.items()),
            "`unvarnished receivers list` says why; then `unvarnished receivers retry NAME`",
        )
    limit = now() - _NOTICE_OVERDUE
    late = [name for name, backlog in found.items() if name in configured and (backlog.oldest or limit) < limit]
    if late:
        raise _Problem(f"do not accept notices: {', '.join(late)}", "`unvarnished receivers test NAME` says why")
    return ", ".join(configured)


def _default_country(settings: Settings) -> str:
    return default_country(settings) or ""


def _closed_days(settings: Settings) -> str:
    """On which days nothing is sent."""
    if not settings.skip_holidays:
        return "none: questions are sent on public holidays and on Sundays, too"
    unknown = sorted(name for name in settings.customer_timezones if calendar().country_of(name) is None)
    found = "public holidays, and Sundays in France, by the recipient's country"
    return f"{found}; none if only the zone {', '.join(unknown)} is known of them" if unknown else found


def _messages(settings: Settings) -> str:
    """What a text message costs with the configured name and address."""
    messages = preview(settings.company_name, settings.public_url, own_words=settings.own_words)
    long = [message for message in messages if message.segments > most_segments(message.language)]
    if not long:
        return "one segment each, in scripts without the GSM alphabet up to three"
    dearest = max(long, key=attrgetter("segments"))
    raise _Warning(
        f"a question costs up to {dearest.segments} segments ({dearest.template}, {dearest.language}: "
        f"{len(dearest.text)} characters)",
        f"{why_long(settings.company_name, settings.public_url)}; see `unvarnished messages preview`",
    )


def _sign_in_token(settings: Settings) -> str:
    if settings.sign_in_token is None and settings.metrics_token is None:
        raise _Problem(
            "each process generates its own",
            "set UNVARNISHED_METRICS_TOKEN, and until the first admin has signed in UNVARNISHED_SIGN_IN_TOKEN, to the "
            "same value for every process",
        )
    return "set"


def _broker(settings: Settings) -> str:
    from pipeline.consumers.cluster.kafka import client

    with client.admin(settings) as admin:
        brokers = admin.describe_cluster()["brokers"]
        version = _version_of(admin, brokers[0]["broker_id"])
    name = ".".join(map(str, version))
    if version < _OLDEST_KAFKA:
        raise _Problem(f"Kafka {name}", f"update it to {'.'.join(map(str, _OLDEST_KAFKA))} or newer")
    return f"compatible with Kafka {name}; brokers: {len(brokers)}"


def _version_of(client: Any, broker: int) -> tuple[int, ...]:
    version: tuple[int, ...] = client.get_broker_version_data(broker).broker_version
    return version


def _topics(settings: Settings) -> str:
    from pipeline.consumers.cluster.kafka import topics

    missing, different = topics.compare(settings)
    if missing:
        raise _Problem(f"missing: {', '.join(missing)}", "run `unvarnished topics create`")
    if different:
        raise _Problem(
            f"configured differently: {', '.join(different)}", "`unvarnished topics create` lists the differences"
        )
    return "all exist, as configured"
