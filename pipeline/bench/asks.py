"""How long a customer waits for the question: from the event that says "delivered" to the POST at the provider.

Deliveries are sent at a fixed rate, whether the ones before were answered or not, by HTTP to a real `unvarnished up`.
The provider is a small server in a process of its own that notes when each POST came and answers after a while, as
the real one does. Both clocks are this machine's one monotonic clock.
"""

import asyncio
import json
import multiprocessing
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs

from rich.console import Console
from rich.table import Table

from pipeline.bench.running import Door, apart, completed, event, installation, quantile

RATES = (50, 200)  # deliveries a second
CONNECTIONS = 64  # that deliveries come by
ANSWER_SECONDS = 0.1  # the provider takes that long
_BATCH = 500
_WAIT_SECONDS = 60  # for the last question
_WARM_UP = 100  # deliveries that are not measured
_ACCOUNT = "AC" + "0" * 32
_ORDER = re.compile(r"order (B-\d+)")
_context = multiprocessing.get_context("spawn")


class Waited(NamedTuple):
    """What became of the deliveries sent at one rate. Durations are in seconds, sorted."""

    questions: list[float]  # from sending the delivery to the question's POST
    answers: list[float]  # from sending the delivery to its 202
    lost: int  # deliveries that nobody asked about
    doubled: int  # POSTs beyond the first


def measure(console: Console, seconds: int) -> None:
    """Each rate for that long; prints the table."""
    table = Table(title="From `delivered` by HTTP to the question at the provider, SQLite", title_justify="left")
    for heading in ("a second", "asked", "p50 ms", "p99 ms", "max ms", "202 p50", "202 p99", "lost", "twice"):
        table.add_column(heading, justify="right")
    for rate in RATES:
        run = waited(rate, seconds)
        table.add_row(
            f"{rate}",
            f"{len(run.questions):,}",
            *(f"{quantile(run.questions, share) * 1_000:,.0f}" for share in (0.5, 0.99, 1.0)),
            *(f"{quantile(run.answers, share) * 1_000:,.0f}" for share in (0.5, 0.99)),
            f"{run.lost}",
            f"{run.doubled}",
        )
    console.print(table)
    console.print(f"The provider answers after {ANSWER_SECONDS * 1_000:.0f} ms.")


def waited(rate: int, seconds: int) -> Waited:
    """Deliver so many a second for so long, after a warm-up, and see when each is asked about."""
    with tempfile.TemporaryDirectory() as folder, _provider() as (url, stub):
        settings = {
            "NOTIFIER": "twilio_sms",
            "TWILIO_ACCOUNT_SID": _ACCOUNT,
            "TWILIO_AUTH_TOKEN": "not-a-secret",
            "TWILIO_FROM": "+15005550006",
            "TWILIO_URL": url,
        }
        with installation(Path(folder), **settings) as door:
            sent, accepted = apart(_deliver, door, rate, rate * seconds)
            came = _arrivals(stub, len(sent) + _WARM_UP)
    questions = sorted(came[order][0] - at for order, at in sent.items() if order in came)
    doubled = sum(len(times) - 1 for times in came.values())
    return Waited(questions, sorted(accepted), len(sent) - len(questions), doubled)


def _arrivals(stub: Connection, expected: int) -> dict[str, list[float]]:
    """When each order's POSTs came, once all of them have, or it took too long."""
    until = time.monotonic() + _WAIT_SECONDS
    while True:
        stub.send("so far")
        came: dict[str, list[float]] = stub.recv()
        if len(came) >= expected or time.monotonic() > until:
            return came
        time.sleep(0.2)


def _deliver(door: Door, rate: int, deliveries: int) -> tuple[dict[str, float], list[float]]:
    return asyncio.run(_drive(door, rate, deliveries))


async def _drive(door: Door, rate: int, deliveries: int) -> tuple[dict[str, float], list[float]]:
    """Send the orders, then their deliveries in time. Returns when each was sent, and how long its 202 took."""
    numbers = range(_WARM_UP + deliveries)
    async with door.connected() as send:
        orders = [_order(number) for number in numbers]
        for start in range(0, len(orders), _BATCH):
            await send(door.request(orders[start : start + _BATCH]))
        for number in numbers[:_WARM_UP]:
            await send(_delivery(door, number))
    sent: dict[str, float] = {}
    took: list[float] = []
    due = iter([(number, index / rate) for index, number in enumerate(numbers[_WARM_UP:])])
    started = time.monotonic()

    async def _client() -> None:
        async with door.connected() as send:
            for number, at in due:
                await asyncio.sleep(started + at - time.monotonic())
                request = _delivery(door, number)
                sent[f"B-{number}"] = begun = time.monotonic()
                await send(request)
                took.append(time.monotonic() - begun)

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(_client())
    return sent, took


def _order(number: int) -> bytes:
    now = datetime.now(UTC)
    places = {"depot": f"D{number % 12}", "carrier": f"C{number % 5}"}
    phone = f"+4477{number % 100_000_000:08}"
    data = completed(f"B-{number}", str(number), phone, now + timedelta(days=1), places)
    return event("order.completed", f"o{number}", now, data)


def _delivery(door: Door, number: int) -> bytes:
    now = datetime.now(UTC)
    data = {"order_id": f"B-{number}", "status": "delivered", "at": now.isoformat(), "carrier": "Nordex"}
    return door.request([event("delivery.updated", f"d{number}", now, data)])


# --- the provider ---------------------------------------------------------------------------------------------


@contextmanager
def _provider() -> Iterator[tuple[str, Connection]]:
    """A server that speaks as much of the provider's interface as is needed to accept messages."""
    ours, theirs = _context.Pipe()
    process = _context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}", ours
    finally:
        process.terminate()
        process.join()


def _serve(asked: Connection) -> None:
    asyncio.run(_server(asked))


async def _server(asked: Connection) -> None:
    came: dict[str, list[float]] = {}
    ids = count(1)

    async def _take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if head.startswith(b"get "):  # nobody has written to us
            writer.write(_answer("200 OK", {"messages": [], "next_page_uri": None}))
            writer.close()
            return
        body = await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))
        at = time.monotonic()
        fields = parse_qs(body.decode())
        found = _ORDER.search(fields["Body"][0])
        came.setdefault(found[1] if found else "", []).append(at)
        await asyncio.sleep(ANSWER_SECONDS)
        writer.write(_answer("201 Created", _made(fields, next(ids))))
        writer.close()

    server = await asyncio.start_server(_take, "127.0.0.1", 0, backlog=512)
    asked.send(server.sockets[0].getsockname()[1])
    loop = asyncio.get_running_loop()
    loop.add_reader(asked.fileno(), lambda: asked.send(came) if asked.recv() else None)
    async with server:
        await server.serve_forever()


def _made(fields: Mapping[str, Sequence[str]], number: int) -> dict[str, str]:
    return {"sid": f"SM{number:032x}", "account_sid": _ACCOUNT, "status": "queued", "to": fields["To"][0]}


def _answer(status: str, content: Mapping[str, object]) -> bytes:
    body = json.dumps(content).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
