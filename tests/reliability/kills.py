"""The live demo, killed at random times under load and restarted: `make bench WHAT=kills`.

Two installations receive the same simulated past, the same live orders and the same orders of an external sender. One
is the reference. The other is killed repeatedly, during its start and its work; the sender retries every event that was
not acknowledged. In the end no event with a 202 is lost, no contact has two messages about one order, and claims,
answers and report equal those of the reference.

Times and evidence are not compared, because they depend on the time of receipt (of an account's pairs the first three
of a day count). Missing scans are not followed up: that depends on the clock, and the two runs are consecutive. Exit
code 1: something was lost, sent twice, or differs.
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
from pipeline.domain.access.principal import LOCAL
from pipeline.domain.asking.ask_states import AskState
from pipeline.domain.events.decoding import decode
from pipeline.domain.reports.contract import report_json
from pipeline.store.db.engine import connect, reading
from pipeline.store.journal.journal import read_types
from pipeline.store.journal.state import get
from pipeline.store.reads import reports
from pipeline.store.schema.answers import answers
from pipeline.store.schema.asks import asks
from pipeline.store.schema.demo_phone import phone_messages
from pipeline.store.schema.journal import journal
from pipeline.store.schema.orders import claims
from tests.support.builders import completed, contact, scanned
from tests.support.dump import opened
from tests.support.running.process import Process, Up

OUTSIDE = "outside"  # source, and name of the key
STARTING = 0.2  # share of kills that hit a process which is not up yet
SOON = timedelta(minutes=10)  # work due later is done in neither of the two
PATIENCE = 300  # seconds until all work has to be done


class Load(NamedTuple):
    """The amount of work and the number of kills."""

    kills: int = 50
    orders: int = 2_000  # of the demo
    outside: int = 1_000  # of the external sender
    pace: int = 1_200  # orders a minute of the demo, while it is being killed
    life: float = 3.0  # seconds until a started process is killed, at most
    days: int = 2  # of the simulated past


class FinalState(NamedTuple):
    """The final state of an installation."""

    journal: set[str]  # ids of the external sender's events
    messages: int
    doubled: int
    report: dict[str, Any]
    record: list[str]


class Result(NamedTuple):
    """Both final states, and the events acknowledged to the external sender."""

    load: Load
    acknowledged: set[str]
    killed: FinalState
    reference: FinalState

    @property
    def lost(self) -> set[str]:
        """Events that got a 202 and are not in the journal."""
        return self.acknowledged - self.killed.journal

    @property
    def differing(self) -> list[str]:
        """Rows and figures that only one of the two has."""
        figures = [{f"{name}: {value}" for name, value in _flat(left.report)} for left in (self.killed, self.reference)]
        return sorted(set(self.killed.record) ^ set(self.reference.record)) + sorted(figures[0] ^ figures[1])

    @property
    def good(self) -> bool:
        """Whether nothing was lost, sent twice or different."""
        return not (self.lost or self.killed.doubled or self.differing)


class Sender:
    """Sends orders, one event a request, and retries each until it is acknowledged."""

    def __init__(self, key: str, orders: int, moment: datetime) -> None:
        self.acknowledged: set[str] = set()
        self.up: Up | None = None  # the current process
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
        """Whether every event is acknowledged."""
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
    """Events of orders with one contact, each completed and delivered, with their ids."""
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


def run(
    load: Load, seed: int = 7, expire_leases: bool = False, show_progress: Callable[[str], None] = lambda _: None
) -> Result:
    """Run both installations. `expire_leases`: expire the leases of killed processes instead of waiting for it."""
    while True:  # midnight would add a day to the past of one of the two: then both run again
        day = datetime.now(UTC).date()
        with tempfile.TemporaryDirectory() as folder:
            found = _run(Path(folder), load, Random(seed), expire_leases, show_progress)
        if datetime.now(UTC).date() == day:
            return found


def _run(folder: Path, load: Load, rng: Random, expire_leases: bool, show_progress: Callable[[str], None]) -> Result:
    begun, moment = folder / "begun", datetime.now(UTC).replace(microsecond=0)
    if _demo(Process, begun, load, "--no-live").close():
        raise SystemExit("the simulated past could not be created")
    with _engine(begun) as engine:
        key = create_key(engine, OUTSIDE, history=False)
    for name in ("reference", "killed"):
        shutil.copytree(begun, folder / name)
    show_progress("reference")
    with Sender(key, load.outside, moment) as sender:
        reference = _finish(folder / "reference", load, sender)
    with Sender(key, load.outside, moment) as sender:
        for n in range(load.kills):
            show_progress(f"kill {n + 1} of {load.kills}: {len(sender.acknowledged)} acknowledged")
            _live_and_die(folder / "killed", load, sender, rng)
        if expire_leases:
            _end_leases(folder / "killed")
        show_progress("last start")
        killed = _finish(folder / "killed", load, sender)
        return Result(load, sender.acknowledged, killed, reference)


def _demo(kind: type[Any], folder: Path, load: Load, *options: str) -> Any:
    command = ["demo", "--days", str(load.days), *options]
    return kind(folder, *command, OVERDUE_ASK_AFTER_HOURS="100000")


def _live(load: Load, pace: int) -> list[str]:
    return ["--pace", str(pace), "--deliveries", str(load.orders)]


def _live_and_die(folder: Path, load: Load, sender: Sender, rng: Random) -> None:
    """One start, and a SIGKILL at a random time."""
    up: Process
    if rng.random() < STARTING:
        up = _demo(Process, folder, load, *_live(load, load.pace))
    else:
        up = sender.up = _demo(Up, folder, load, *_live(load, load.pace))
    time.sleep(rng.uniform(0, load.life))
    code = up.end(signal.SIGKILL)
    sender.up = None
    if code != -signal.SIGKILL:
        raise SystemExit(f"it ended by itself with {code}")


def _end_leases(folder: Path) -> None:
    """Expire all leases: no process that could be sending is alive."""
    with _engine(folder) as engine, engine.begin() as connection:
        connection.execute(asks.update().where(asks.c.state == AskState.SENDING).values(wake_at=datetime.now(UTC)))


def _finish(folder: Path, load: Load, sender: Sender) -> FinalState:
    """Start it, wait until all work is done (delivered, sent, answered), and stop it."""
    sender.up = up = _demo(Up, folder, load, *_live(load, FASTEST))
    try:
        with _engine(folder) as engine:
            end = time.monotonic() + PATIENCE
            while not (sender.done and _settled(engine, load)):
                if time.monotonic() > end or up.process.poll() is not None:
                    raise SystemExit("it did not finish its work")
                time.sleep(0.2)
            if code := up.end(signal.SIGTERM):
                raise SystemExit(f"it did not stop: {code}")
            with reading(engine) as connection:
                return _final_state(connection)
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
    """The orders and contacts whose live questions the simulation answers."""
    begun = json.loads(get(connection, "demo.begun") or "")
    company, found = Company(begun["seed"], date.fromisoformat(begun["start"])), set()
    for stored in read_types(connection, ["feedback.requested"], 0):
        request = decode(stored.payload.encode()).data
        asked = company.order_and_contact(request) if is_live(request.order_id) else None
        if asked is not None and reply(company.seed, *asked, request, asked[0].last) is not None:
            found.add((request.order_id, request.contact_id))
    return found


def _final_state(connection: Connection) -> FinalState:
    sent = select(func.count(phone_messages.c.id)).group_by(phone_messages.c.order_id, phone_messages.c.contact_id)
    times = list(connection.execute(sent).scalars())
    return FinalState(
        set(connection.execute(select(journal.c.id).where(journal.c.source == OUTSIDE)).scalars()),
        sum(times),
        sum(n > 1 for n in times),
        report_json(reports.total(connection, LOCAL), reports.by_segment(connection, LOCAL, "depot")),
        [
            *_rows(connection, claims, "recorded_at", "delivered_at", "source", "event_id"),
            *_rows(connection, answers, "event_id", "received_at", "answered_at", "arrived_at"),
            *_rows(connection, asks, *_SEND_COLUMNS),
        ],
    )


# Columns of an ask that depend on the time and number of attempts.
_SEND_COLUMNS = {
    *("decided_at", "due_at", "wake_at", "attempt", "owner", "sending_at", "sent_at", "delivered_at", "outcome"),
    *("request", "form_token_hash", "callback_token_hash", "unsubscribe_token_hash", "provider_id"),
}


def _rows(connection: Connection, table: Any, *left_out: str) -> Iterable[str]:
    kept = [column for column in table.c if column.name not in left_out]
    return sorted(opened(connection, [f"{table.name} {tuple(row)}" for row in connection.execute(select(*kept))]))


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
    """Print the table of results."""
    killed, reference = result.killed, result.reference
    table = Table(title=f"{result.load.kills} kills", title_justify="left")
    for heading in ("", "killed", "reference"):
        table.add_column(heading, justify="right" if heading else "left")
    table.add_row("orders delivered live", f"{result.load.orders:,}", f"{result.load.orders:,}")
    table.add_row("events acknowledged to the external sender", f"{len(result.acknowledged):,}", "")
    table.add_row("  lost", str(len(result.lost)), "")
    table.add_row("messages on phones", f"{killed.messages:,}", f"{reference.messages:,}")
    table.add_row("  sent twice", str(killed.doubled), str(reference.doubled))
    for name in ("delivered", "claimed_on_time", "answered", "answered_claimed_on_time", "mean_score", "nps"):
        table.add_row(f"report: {name}", *(_figure(left.report["total"][name]) for left in (killed, reference)))
    table.add_row("rows of claims, asks and answers", f"{len(killed.record):,}", f"{len(reference.record):,}")
    console.print(table)
    console.print("equal" if not result.differing else f"DIFFERENT in {len(result.differing)} places:")
    for line in result.differing[:20]:
        console.print(f"  {line}", markup=False)


def _figure(value: Any) -> str:
    number = value["value"] if isinstance(value, dict) else value
    return f"{number:,.4g}" if isinstance(number, float) else f"{number:,}" if number is not None else "-"


if __name__ == "__main__":
    wanted = Load(kills=int(sys.argv[1])) if sys.argv[1:] else Load()
    done = run(wanted, show_progress=lambda line: print(line, file=sys.stderr, flush=True))
    show(Console(), done)
    sys.exit(not done.good)
