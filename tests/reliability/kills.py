"""The live demo, killed at random moments under load and started again: `make bench WHAT=kills`.

The same history, the same live orders and the same orders of an outside sender go into two installations. One is left
in peace. The other is killed again and again, while it starts and while it works; the sender repeats whatever was not
acknowledged. In the end nothing that got a 202 is lost, nobody got two messages about one order, and the record, the
answers and the report are those of the undisturbed one.

Two things are left out of the comparison because they depend on the moment something was received: times, and the
evidence (of an account's pairs the first three of a day are counted). And no missing scan is followed up: that happens
by the clock, and the two run one after the other. Exit code 1: something was lost, doubled or differs.
"""

import http.client
import json
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, Engine, func, select

from pipeline.app.maintenance import create_key
from pipeline.demo.company import Company, is_live
from pipeline.demo.deliveries import FASTEST
from pipeline.demo.replies import reply
from pipeline.domain.asking.ask_states import AskState
from pipeline.domain.events.decoding import decode
from pipeline.store.db.engine import connect, reading
from pipeline.store.journal.journal import read_type
from pipeline.store.journal.state import get
from pipeline.store.reads import reports
from pipeline.store.schema.answers import answers
from pipeline.store.schema.asks import asks
from pipeline.store.schema.demo_phone import phone_messages
from pipeline.store.schema.journal import journal
from pipeline.store.schema.orders import claims
from tests.support.builders import completed, contact, scanned
from tests.support.running.process import Process, Up

OUTSIDE = "outside"  # source, and name of the key
STARTING = 0.2  # share of kills that hit a process which is not up yet
SOON = timedelta(minutes=10)  # what is to happen later, happens to neither of the two
PATIENCE = 300  # seconds until everything has to be settled


class Load(NamedTuple):
    """How much, and how often it is disturbed."""

    kills: int = 50
    orders: int = 2_000  # of the demo
    outside: int = 1_000  # of the outside sender
    pace: int = 1_200  # of the demo, a minute, while it is being killed
    life: float = 3.0  # seconds a process lives at most once it is up
    days: int = 2  # of history


class Left(NamedTuple):
    """What an installation holds in the end."""

    journal: set[str]  # ids of the outside sender's events
    messages: int
    doubled: int
    report: dict[str, Any]
    record: list[str]


class Result(NamedTuple):
    """Both ends, and what the outside sender was promised."""

    load: Load
    acknowledged: set[str]
    killed: Left
    calm: Left

    @property
    def lost(self) -> set[str]:
        """Events that got a 202 and are not there."""
        return self.acknowledged - self.killed.journal

    @property
    def differing(self) -> list[str]:
        """Lines of the record and figures that only one of them has."""
        figures = [{f"{name}: {value}" for name, value in _flat(left.report)} for left in (self.killed, self.calm)]
        return sorted(set(self.killed.record) ^ set(self.calm.record)) + sorted(figures[0] ^ figures[1])

    @property
    def good(self) -> bool:
        """Nothing lost, nothing doubled, nothing different."""
        return not (self.lost or self.killed.doubled or self.differing)


class Sender:
    """Brings its orders in, one event a request, and repeats each until it is acknowledged."""

    def __init__(self, key: str, orders: int, moment: datetime) -> None:
        self.acknowledged: set[str] = set()
        self.up: Up | None = None  # whoever answers now
        self._key = key
        self._events = list(_events(orders, moment))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)

    def __enter__(self) -> "Sender":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    @property
    def done(self) -> bool:
        """Whether all of it is acknowledged."""
        return len(self.acknowledged) == len(self._events)

    def _send(self) -> None:
        for event_id, event in self._events:
            while not (self._stopping.is_set() or self._acknowledges(event)):
                self._stopping.wait(0.05)
            if self._stopping.is_set():
                return
            self.acknowledged.add(event_id)

    def _acknowledges(self, event: bytes) -> bool:
        up = self.up
        if up is None:
            return False
        with suppress(OSError, http.client.HTTPException, json.JSONDecodeError):
            return up.post(self._key, event)[0] == 202
        return False


def _events(orders: int, moment: datetime) -> Iterator[tuple[str, bytes]]:
    """Orders with one person to ask, each then delivered: the ids of the events, and the events."""
    for n in range(orders):
        order_id, person = f"OUT-{n}", contact(f"out-{n}", phone=f"+44770090{n % 10_000:04}")
        known: dict[str, Any] = {
            "account": {"id": f"OUT-A-{n % 30}"},
            "contacts": [person],
            "dimensions": {"region": "Outside", "depot": f"Outside {n % 3}"},
            "promised_at": moment - timedelta(hours=2),
            "_": {"source": OUTSIDE},
        }
        yield f"{order_id}:completed", completed(order_id, moment, f"{order_id}:completed", **known)
        arrived = scanned(order_id, moment - timedelta(hours=n % 5), event_id=f"{order_id}:delivered")
        yield f"{order_id}:delivered", arrived.replace(b'"erp"', f'"{OUTSIDE}"'.encode())


def run(load: Load, seed: int = 7, hurried: bool = False, say: Callable[[str], None] = lambda _: None) -> Result:
    """Do all of it. `hurried`: the leases of those who were killed are ended by hand instead of waited for."""
    while True:  # midnight would give one of the two another day of history: then all of it is done again
        day = datetime.now(UTC).date()
        with tempfile.TemporaryDirectory() as folder:
            found = _run(Path(folder), load, Random(seed), hurried, say)
        if datetime.now(UTC).date() == day:
            return found


def _run(folder: Path, load: Load, rng: Random, hurried: bool, say: Callable[[str], None]) -> Result:
    begun, moment = folder / "begun", datetime.now(UTC).replace(microsecond=0)
    if _demo(Process, begun, load, "--no-live").close():
        raise SystemExit("there is no history")
    with _engine(begun) as engine:
        key = create_key(engine, OUTSIDE, history=False)
    for name in ("calm", "killed"):
        shutil.copytree(begun, folder / name)
    say("undisturbed")
    with Sender(key, load.outside, moment) as sender:
        calm = _finish(folder / "calm", load, sender)
    with Sender(key, load.outside, moment) as sender:
        for n in range(load.kills):
            say(f"kill {n + 1} of {load.kills}: {len(sender.acknowledged)} acknowledged")
            _live_and_die(folder / "killed", load, sender, rng)
        if hurried:
            _end_leases(folder / "killed")
        say("the rest")
        killed = _finish(folder / "killed", load, sender)
        return Result(load, sender.acknowledged, killed, calm)


def _demo(kind: type[Any], folder: Path, load: Load, *options: str) -> Any:
    command = ["demo", "--days", str(load.days), *options]
    return kind(folder, *command, OVERDUE_ASK_AFTER_HOURS="100000")


def _live(load: Load, pace: int) -> list[str]:
    return ["--pace", str(pace), "--deliveries", str(load.orders)]


def _live_and_die(folder: Path, load: Load, sender: Sender, rng: Random) -> None:
    """One start, and a SIGKILL at some moment of it."""
    up: Process
    if rng.random() < STARTING:
        up = _demo(Process, folder, load, *_live(load, load.pace))
    else:
        up = sender.up = _demo(Up, folder, load, *_live(load, load.pace))
    time.sleep(rng.uniform(0, load.life))  # the moment
    code = up.end(signal.SIGKILL)
    sender.up = None
    if code != -signal.SIGKILL:
        raise SystemExit(f"it ended by itself with {code}")


def _end_leases(folder: Path) -> None:
    """As if a minute had passed: nobody who could be sending is alive."""
    with _engine(folder) as engine, engine.begin() as connection:
        connection.execute(asks.update().where(asks.c.state == AskState.SENDING).values(wake_at=datetime.now(UTC)))


def _finish(folder: Path, load: Load, sender: Sender) -> Left:
    """Start it and let it come to the end of everything: delivered, sent, answered. Then stop it."""
    sender.up = up = _demo(Up, folder, load, *_live(load, FASTEST))
    try:
        with _engine(folder) as engine:
            end = time.monotonic() + PATIENCE
            while not (sender.done and _settled(engine, load)):
                if time.monotonic() > end or up.process.poll() is not None:
                    raise SystemExit("it did not come to an end")
                time.sleep(0.2)
            if code := up.end(signal.SIGTERM):
                raise SystemExit(f"it did not stop: {code}")
            with reading(engine) as connection:
                return _left(connection)
    finally:
        up.process.kill()


def _settled(engine: Engine, load: Load) -> bool:
    with reading(engine) as connection:
        ids = connection.execute(select(journal.c.id).where(journal.c.type == "order.completed")).scalars()
        live = {order_id for order_id in (event_id.split(":")[0] for event_id in ids) if is_live(order_id)}
        waiting = select(func.count(asks.c.order_id)).where(asks.c.wake_at <= datetime.now(UTC) + SOON)
        if len(live) < load.orders or connection.execute(waiting).scalar_one():
            return False
        answered = {tuple(row) for row in connection.execute(select(answers.c.order_id, answers.c.contact_id))}
        return _will_answer(connection) <= answered


def _will_answer(connection: Connection) -> set[tuple[str, str]]:
    """The orders and people whose live questions the simulation answers."""
    begun = json.loads(get(connection, "demo.begun") or "")
    company, found = Company(begun["seed"], date.fromisoformat(begun["start"])), set()
    for stored in read_type(connection, "feedback.requested", 0):
        request = decode(stored.payload.encode()).data
        asked = company.order_and_contact(request) if is_live(request.order_id) else None
        if asked is not None and reply(company.seed, *asked, request, asked[0].last) is not None:
            found.add((request.order_id, request.contact_id))
    return found


def _left(connection: Connection) -> Left:
    sent = select(func.count(phone_messages.c.id)).group_by(phone_messages.c.order_id, phone_messages.c.contact_id)
    times = list(connection.execute(sent).scalars())
    return Left(
        set(connection.execute(select(journal.c.id).where(journal.c.source == OUTSIDE)).scalars()),
        sum(times),
        sum(n > 1 for n in times),
        reports.report_json(reports.total(connection), reports.by_segment(connection, "depot")),
        [
            *_rows(connection, claims, "recorded_at", "delivered_at", "source", "event_id"),
            *_rows(connection, answers, "event_id", "received_at", "answered_at", "arrived_at"),
            *_rows(connection, asks, *_LIFE),
        ],
    )


# What of an ask depends on when and how often it was tried.
_LIFE = {
    *("decided_at", "due_at", "wake_at", "attempt", "owner", "sending_at", "sent_at", "delivered_at", "outcome"),
    *("request", "form_token_hash", "callback_token_hash", "provider_id"),
}


def _rows(connection: Connection, table: Any, *left_out: str) -> Iterable[str]:
    kept = [column for column in table.c if column.name not in left_out]
    return sorted(f"{table.name} {tuple(row)}" for row in connection.execute(select(*kept)))


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{name} {key}".strip())
    else:
        yield name, value


@contextmanager
def _engine(folder: Path) -> Iterator[Engine]:
    engine = connect(f"sqlite:///{folder / 'unvarnished.db'}")
    try:
        yield engine
    finally:
        engine.dispose()


def show(console: Console, result: Result) -> None:
    """The table."""
    killed, calm = result.killed, result.calm
    table = Table(title=f"{result.load.kills} kills", title_justify="left")
    for heading in ("", "killed", "undisturbed"):
        table.add_column(heading, justify="right" if heading else "left")
    table.add_row("orders delivered live", f"{result.load.orders:,}", f"{result.load.orders:,}")
    table.add_row("events acknowledged to the outside sender", f"{len(result.acknowledged):,}", "")
    table.add_row("  lost", str(len(result.lost)), "")
    table.add_row("messages on phones", f"{killed.messages:,}", f"{calm.messages:,}")
    table.add_row("  sent twice", str(killed.doubled), str(calm.doubled))
    for name in ("delivered", "claimed_on_time", "answered", "answered_claimed_on_time", "mean_score", "nps"):
        table.add_row(f"report: {name}", *(_figure(left.report["total"][name]) for left in (killed, calm)))
    table.add_row("rows of claims, asks and answers", f"{len(killed.record):,}", f"{len(calm.record):,}")
    console.print(table)
    console.print("equal" if not result.differing else f"DIFFERENT in {len(result.differing)} places:")
    for line in result.differing[:20]:
        console.print(f"  {line}", markup=False)


def _figure(value: Any) -> str:
    number = value["value"] if isinstance(value, dict) else value
    return f"{number:,.4g}" if isinstance(number, float) else f"{number:,}" if number is not None else "-"


if __name__ == "__main__":
    wanted = Load(kills=int(sys.argv[1])) if sys.argv[1:] else Load()
    done = run(wanted, say=lambda line: print(line, file=sys.stderr, flush=True))
    show(Console(), done)
    sys.exit(not done.good)
