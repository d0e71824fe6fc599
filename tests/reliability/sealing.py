"""Migrates the database of an earlier version: `make bench WHAT=sealing HISTORY=PATH EARLIER=FOLDER`.

FOLDER holds the source code of a version before words were sealed; with it a history is replayed into a SQLite file.
Then this version migrates the file, killed at random moments. Exit code 1: a word of a customer can still be read, or
report or alerts are not what they were.
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
from pathlib import Path
from random import Random

import msgspec

from pipeline.sources.histories.olist.history import OlistHistory
from tests.support.paths import ROOT

KILLS = 6
COMMENTS = 60  # that are searched for, spread over the history


def run(source: Path, data: Path, *arguments: str) -> str:
    """Run a command of the version in that folder on that data folder. Returns what it prints."""
    done = subprocess.run(command(*arguments), cwd=source, env=environment(data), capture_output=True, check=True)
    return done.stdout.decode()


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pipeline", *arguments]


def environment(data: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("UNVARNISHED_")}
    return own | {"UNVARNISHED_DATA_DIR": str(data)}


def migrate(data: Path, kills: int) -> tuple[int, float]:
    """Migrate, killed that often at random moments. Returns how often it was really killed, and the seconds in all."""
    rng, killed, started = Random(7), 0, time.monotonic()
    for _ in range(kills):
        with subprocess.Popen(command("migrate"), cwd=ROOT, env=environment(data), stderr=subprocess.DEVNULL) as child:
            try:
                child.wait(rng.uniform(2, 9))
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                killed += 1
    run(ROOT, data, "migrate")
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


def readable(data: Path, history: Path) -> int:
    """How many parts of comments are in the files of the database."""
    contents = b"".join(path.read_bytes() for path in sorted(data.glob("unvarnished.db*")))
    return sum(part in contents for part in searched(history))


def known(text: str) -> object:
    """A report or alerts without the figures that the earlier version does not have."""
    found = json.loads(text)
    for row in (found["total"], *found["segments"].values()) if "total" in found else ():
        row.pop("erased", None)
    return found


def main(history: Path, earlier: Path) -> int:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        run(earlier, data, "replay", "olist", str(history))
        before = [run(earlier, data, name, "--format", "json") for name in ("report", "alerts")]
        found = readable(data, history)
        print(f"earlier version: {found} parts of comments readable")
        killed, seconds = migrate(data, KILLS)
        after = [run(ROOT, data, name, "--format", "json") for name in ("report", "alerts")]
        left = readable(data, history)
        print(f"migrated in {seconds:.0f} s, killed {killed} times: {left} parts of comments readable")
        same = [*map(known, before)] == [*map(known, after)]
        print("report and alerts: " + ("unchanged" if same else "CHANGED"))
    return 0 if found and not left and same else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()))
