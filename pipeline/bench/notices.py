"""Delay of notices: from the commit of an incident's opening to the receivers' 2xx, under a load of deliveries.

A running `unvarnished up` sends to an Alertmanager and to a webhook while deliveries arrive by HTTP. The openings are
forced: committed as the pipeline commits them, without the answers behind them. The end is when the sender has recorded
the 2xx, which is a little later than the 2xx. All times are from this machine's clock.
"""

import asyncio
import base64
import multiprocessing
import multiprocessing.connection
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, Engine

from pipeline.bench.harness import in_own_process, quantile, running_product
from pipeline.bench.question_delay import deliver
from pipeline.domain.events.incidents import Cause, IncidentChanged, Rate, Then
from pipeline.store.db.engine import connect, reading
from pipeline.store.notices import deliveries, notices

LOAD = 20  # deliveries a second
_TIMEOUT_SECONDS = 300
_ALERTMANAGER = ("prometheus-alertmanager", "alertmanager")  # names of its program
_ROUTE = "route: {receiver: nobody, group_by: [incident]}\nreceivers: [{name: nobody}]\n"
_SMALL = Rate(0.31, 0.24, 0.39, 120)


class Run(NamedTuple):
    """Seconds from commit to acceptance by receiver, sorted, and how many never came."""

    seconds: dict[str, list[float]]
    lost: int


def measure(console: Console, openings: int, rate: int) -> None:
    """Force the openings at that rate (a second), then all in one commit, and print the table."""
    table = Table(title=f"From commit to 2xx, {openings:,} openings, SQLite", title_justify="left")
    for heading in ("openings", "receiver", "p50 ms", "p99 ms", "max ms", "lost"):
        table.add_column(heading, justify="right")
    for name, at_once in ((f"{rate} a second", 1), ("at once", openings)):
        run = run_with(openings, rate, at_once)
        for receiver, seconds in run.seconds.items():
            figures = (f"{quantile(seconds, share) * 1_000:,.0f}" for share in (0.5, 0.99, 1.0))
            table.add_row(name, receiver, *figures, f"{run.lost}")
    console.print(table)
    console.print(f"Meanwhile {LOAD} deliveries a second arrive. {'A real' if _program() else 'No'} Alertmanager.")


def run_with(openings: int, rate: int, at_once: int) -> Run:
    """Force the openings, `at_once` in a commit."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        hook = stack.enter_context(_accepting())
        receivers = {"webhook": hook}
        if (program := _program()) is not None:
            receivers["alertmanager"] = stack.enter_context(_alertmanager(program, folder))
        file = folder / "receivers.toml"
        file.write_text(_configuration(receivers))
        endpoint = stack.enter_context(running_product(folder, RECEIVERS_FILE=str(file)))
        engine = connect(f"sqlite:///{folder / 'unvarnished.db'}")
        stack.callback(engine.dispose)
        seconds = openings // rate if at_once == 1 else 10
        load = threading.Thread(target=in_own_process, args=(deliver, endpoint, LOAD, LOAD * seconds))
        load.start()
        _force(engine, openings, rate, at_once)
        run = _wait(engine, openings, tuple(receivers))
        load.join()
        return run


def _force(engine: Engine, openings: int, rate: int, at_once: int) -> None:
    started = time.monotonic()
    for first in range(0, openings, at_once):
        if at_once == 1:
            time.sleep(max(started + first / rate - time.monotonic(), 0))
        with engine.begin() as connection:
            now = datetime.now(UTC)
            rows = [
                notices.row(f"I-{n}:1", "incident.opened", _opening(n, now), now) for n in range(first, first + at_once)
            ]
            notices.record(connection, rows)


def _opening(number: int, now: datetime) -> IncidentChanged:
    return IncidentChanged(
        incident_id=f"I-{number}",
        act=1,
        at=now,
        by="system",
        state="open",
        severity="major",
        cause=Cause("on_time", "depot", f"D{number}"),
        signals=["on_time"],
        alerts=[f"on_time/depot/D{number}/1"],
        explains=[],
        opened_at=now,
        then=Then(now, now.date(), _SMALL, 0.12),
        now=None,
    )


def _wait(engine: Engine, openings: int, receivers: tuple[str, ...]) -> Run:
    until = time.monotonic() + _TIMEOUT_SECONDS
    while True:
        with reading(engine) as connection:
            found = _delays(connection, receivers)
        lost = openings * len(receivers) - sum(map(len, found.values()))
        if not lost or time.monotonic() > until:
            return Run(found, lost)
        time.sleep(0.5)


def _delays(connection: Connection, receivers: tuple[str, ...]) -> dict[str, list[float]]:
    return {name: sorted(deliveries.delays(connection, name)) for name in receivers}


def _configuration(receivers: dict[str, str]) -> str:
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    more = {"webhook": f'secret = "{secret}"\nallow_private_addresses = true\n', "alertmanager": ""}
    blocks = [
        f'[[receivers]]\nname = "{name}"\ntype = "{name}"\nurl = "{url}"\n{more[name]}'
        for name, url in receivers.items()
    ]
    names = ", ".join(f'"{name}"' for name in receivers)
    return "\n".join([*blocks, f"[[routes]]\nreceivers = [{names}]\n"])


# --- the receivers --------------------------------------------------------------------------------------------


def _program() -> str | None:
    return next((found for name in _ALERTMANAGER if (found := shutil.which(name))), None)


@contextmanager
def _alertmanager(program: str, folder: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "alertmanager.yml").write_text(_ROUTE)
    command = [
        program,
        f"--config.file={folder}/alertmanager.yml",
        f"--storage.path={folder}/alertmanager",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@contextmanager
def _accepting() -> Iterator[str]:
    """A webhook that accepts everything, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}/"
    finally:
        process.terminate()
        process.join()


def _serve(pipe: "multiprocessing.connection.Connection") -> None:
    async def _handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    async def _server() -> None:
        server = await asyncio.start_server(_handle, "127.0.0.1", 0, backlog=512)
        pipe.send(server.sockets[0].getsockname()[1])
        async with server:
            await server.serve_forever()

    asyncio.run(_server())
