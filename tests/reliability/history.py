"""Replays real history in different ways and compares the results: `make bench WHAT=history HISTORY=PATH`.

An Olist history on SQLite, on PostgreSQL, with every seventh event twice and three SIGKILLs, and shuffled, each in
separate processes on empty databases. Exit code 1: the final states differ.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from random import Random

from sqlalchemy import Engine, select

from pipeline.consumers.intake import Incoming
from pipeline.sources.histories.olist.history import LEVELS, OlistHistory
from pipeline.store.db.engine import connect, reading
from pipeline.store.schema.answers import answers
from pipeline.store.schema.orders import orders, rollups
from pipeline.store.schema.upgrade import migrate
from tests.support.dump import dump, opened
from tests.support.facts import without_places
from tests.support.running.embedded import embedded
from tests.support.servers.postgres import postgres_server

KILLS = 3
BATCH = 2_000
PLAIN, REPEATED, SHUFFLED = "plain", "repeated", "shuffled"


def events(path: Path, way: str) -> Iterator[Incoming]:
    """The events of the history in one of the orders."""
    history = OlistHistory(path)
    if way == REPEATED:
        return chain.from_iterable((item, item) if n % 7 == 0 else (item,) for n, item in enumerate(history))
    if way == SHUFFLED:
        shuffled = list(history)
        Random(7).shuffle(shuffled)
        return iter(shuffled)
    return iter(history)


def replay(url: str, path: Path, way: str) -> None:
    """Replay the history, and print a dot for every batch."""
    migrate(url)
    runtime = embedded(url, levels=LEVELS, batch=BATCH)
    for _ in runtime.ingest_all(events(path, way)):
        print(".", flush=True)
    runtime.engine.dispose()


def run(url: str, path: Path, way: str, kills: int = 0) -> Engine:
    """Replay in child processes, of which `kills` are killed."""
    command = [sys.executable, "-m", "tests.reliability.history", "--child", url, str(path), way]
    started, rng = time.monotonic(), Random(7)
    for attempt in range(kills + 1):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            batches = rng.randint(10, 60) if attempt < kills else None
            for count, _ in enumerate(child.stdout, 1):
                if count == batches:
                    child.kill()
        if (child.returncode == 0) == (attempt < kills):
            raise SystemExit(f"{way}: attempt {attempt + 1} ended with {child.returncode}")
    print(f"{way} on {url.partition(':')[0]}, {kills} kills: {time.monotonic() - started:.0f} s", flush=True)
    return connect(url)


def record(engine: Engine, facts_of: Callable[[str], str] = without_places) -> list[str]:
    """The rows that do not depend on the order of processing: facts with their claims, answers and figures.

    `facts_of`: what is compared of stored facts.

    A verdict does, because the claim counts as it was when the customer was asked; it is in the list of orders.
    """
    with reading(engine) as connection:
        known = connection.execute(select(orders.c.order_id, orders.c.facts, orders.c.counted))
        found = [
            *((order_id, facts_of(facts), _without_list(counted)) for order_id, facts, counted in known),
            *connection.execute(select(*(column for column in answers.c if column.name != "received_at"))),
            *connection.execute(select(rollups)),
        ]
        # Of a row itself `repr` shows only the beginning and the end of a long text.
        return sorted(opened(connection, [repr(tuple(row)) for row in found]))


def _without_list(counted: str) -> object:
    """What an order adds to figures, without its place in the list of orders."""
    return {name: value for name, value in json.loads(counted).items() if name != "listed"}


def main(path: Path, postgresql: str) -> int:
    """Compare all replays. Returns the number of differing ones."""
    with tempfile.TemporaryDirectory() as folder:
        plain = run(f"sqlite:///{folder}/plain.db", path, PLAIN)
        expected = dump(plain)
        differing = 0
        for name, engine, found, wanted in (
            ("PostgreSQL", other := run(postgresql, path, PLAIN), dump(other), expected),
            (
                "repeated, killed",
                other := run(f"sqlite:///{folder}/r.db", path, REPEATED, KILLS),
                dump(other),
                expected,
            ),
            ("shuffled", other := run(f"sqlite:///{folder}/s.db", path, SHUFFLED), record(other), record(plain)),
        ):
            engine.dispose()
            same = found == wanted
            differing += not same
            print(f"{name}: {len(found):,} rows, {'the same' if same else 'DIFFERENT'}", flush=True)
        plain.dispose()
    return differing


if __name__ == "__main__":
    if sys.argv[1] == "--child":
        replay(sys.argv[2], Path(sys.argv[3]), sys.argv[4])
    else:
        with postgres_server() as server:
            database = server.create_database().render_as_string(hide_password=False)
            sys.exit(bool(main(Path(sys.argv[1]), database)))
