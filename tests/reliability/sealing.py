"""Migrates the database of an earlier version: `make bench WHAT=sealing HISTORY=PATH EARLIER=FOLDER`.

FOLDER holds the source code of a version before words were sealed; with it a history is replayed into a SQLite file and
into a PostgreSQL database, one after the other. Then this version migrates it, killed at random moments. Exit code 1: a
word of a customer can still be read, or report or alerts are not what they were. `STORE=SQLite` or `STORE=PostgreSQL`
tries one of them.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import NamedTuple

import msgspec
from sqlalchemy import URL

from pipeline.sources.histories.olist.history import OlistHistory
from tests.support.paths import ROOT
from tests.support.servers.postgres import postgres_server
from tests.support.servers.postgres_contents import files_of, rows_of_tables

KILLS = 6
COMMENTS = 24  # that are searched for, spread over the history; each in four forms, in all bytes of the database


class Store(NamedTuple):
    """A database to migrate. `url` None: a SQLite file in the data folder."""

    name: str
    data: Path
    url: URL | None

    def environment(self) -> dict[str, str]:
        """What names it to a command."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("UNVARNISHED_")}
        if self.url is not None:
            own["UNVARNISHED_DATABASE_URL"] = self.url.render_as_string(hide_password=False)
        return own | {"UNVARNISHED_DATA_DIR": str(self.data)}

    def contents(self) -> bytes:
        """All bytes of its files; on PostgreSQL of tables and indexes, and the rows, as long ones are compressed."""
        if self.url is None:
            return b"".join(path.read_bytes() for path in sorted(self.data.glob("unvarnished.db*")))
        return b"".join([*files_of(self.url).values(), *rows_of_tables(self.url).values()])


def run(source: Path, store: Store, *arguments: str) -> str:
    """Run a command of the version in that folder on that database. Returns what it prints."""
    done = subprocess.run(command(*arguments), cwd=source, env=store.environment(), capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{store.name}: {' '.join(arguments)} in {source}: {done.stderr.decode()[-2_000:]}")
    return done.stdout.decode()


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pipeline", *arguments]


def migrate(store: Store, kills: int) -> tuple[int, float]:
    """Migrate, killed that often at random moments. Returns how often it was really killed, and the seconds in all."""
    rng, killed, started = Random(7), 0, time.monotonic()
    for _ in range(kills):
        with subprocess.Popen(
            command("migrate"), cwd=ROOT, env=store.environment(), stderr=subprocess.DEVNULL
        ) as child:
            try:
                child.wait(rng.uniform(2, 9))
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                killed += 1
    run(ROOT, store, "migrate")
    return killed, time.monotonic() - started


def searched(history: Path) -> Iterator[bytes]:
    """Parts of comments that are longer than anything else could share with them, as text and in base64."""
    read = (msgspec.json.decode(incoming.raw) for incoming in OlistHistory(history) if b'"comment"' in incoming.raw)
    texts = [event["data"]["comment"] for event in read]
    long = [text for text in texts if len(text) >= 40 and "\n" not in text]
    for text in long[:: max(1, len(long) // COMMENTS)]:
        for start in (0, 1, 2):  # base64 of a part depends on where it begins
            part = text[start : start + 30].encode()
            yield b64encode(part)[: 4 * (len(part) // 3)]
        yield text[:30].encode()


def readable(store: Store, history: Path) -> int:
    """How many parts of comments are in the files of the database."""
    contents = store.contents()
    return sum(part in contents for part in searched(history))


def known(text: str) -> object:
    """A report or alerts without what later versions added, and without intervals, which they have narrowed."""
    found = json.loads(text)
    for alert in found if isinstance(found, list) else ():
        alert.pop("incident", None)
    for row in (found["total"], *found["segments"].values()) if "total" in found else ():
        row.pop("erased", None)
        for figure in row.values():
            if isinstance(figure, dict):
                del figure["low"], figure["high"]
    return found


def trial(store: Store, history: Path, earlier: Path) -> bool:
    """Replay with the earlier version, migrate with this one, compare. Returns whether everything holds."""
    run(earlier, store, "replay", "olist", str(history))
    before = [run(earlier, store, name, "--format", "json") for name in ("report", "alerts")]
    found = readable(store, history)
    print(f"{store.name}, earlier version: {found} parts of comments readable", flush=True)
    killed, seconds = migrate(store, KILLS)
    after = [run(ROOT, store, name, "--format", "json") for name in ("report", "alerts")]
    left = readable(store, history)
    print(f"{store.name}: migrated in {seconds:.0f} s, killed {killed} times: {left} parts of comments readable")
    same = [*map(known, before)] == [*map(known, after)]
    print(f"{store.name}: report and alerts " + ("unchanged" if same else "CHANGED"), flush=True)
    return bool(found) and not left and same


@contextmanager
def stores() -> Iterator[list[Store]]:
    """An empty database of each kind, with a data folder for its key."""
    with tempfile.TemporaryDirectory() as folder, postgres_server() as server:
        url = server.create_database()
        found = [Store("SQLite", Path(folder, "sqlite"), None), Store("PostgreSQL", Path(folder, "postgresql"), url)]
        for store in found:
            store.data.mkdir()
        yield found


def main(history: Path, earlier: Path, only: str = "") -> int:
    with stores() as found:
        held = [trial(store, history, earlier) for store in found if only in ("", store.name)]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve(), *sys.argv[3:]))
