"""Delay of questions: from the event that reports a delivery to the POST at the provider.

Deliveries are sent by HTTP to a running `unvarnished up` at a fixed rate, without waiting for earlier responses. The
provider is a small server in a process of its own, which records the time of each POST and responds after a delay, as a
real one does. All times come from this machine's monotonic clock.
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

from pipeline.bench.harness import Endpoint, event, in_own_process, order_data, quantile, running_product

RATES = (50, 200)  # deliveries a second
CONNECTIONS = 64  # over which deliveries are sent
RESPONSE_SECONDS = 0.1  # until the provider responds
_BATCH = 500
_TIMEOUT_SECONDS = 300  # for the last question
_WARM_UP = 100  # deliveries that are not measured
_ACCOUNT = "AC" + "0" * 32
_ORDER = re.compile(r"order (B-\d+)")
_context = multiprocessing.get_context("spawn")


class DelayRun(NamedTuple):
    """The results of one rate. Durations are in seconds, sorted."""

    questions: list[float]  # from sending the delivery to the question's POST
    answers: list[float]  # from sending the delivery to its 202
    lost: int  # deliveries without a question
    doubled: int  # POSTs beyond the first


def measure(console: Console, seconds: int) -> None:
    """Measure each rate for that many seconds, and print the table."""
    table = Table(title="From `delivered` by HTTP to the question at the provider, SQLite", title_justify="left")
    for heading in ("a second", "asked", "p50 ms", "p99 ms", "max ms", "202 p50", "202 p99", "lost", "twice"):
        table.add_column(heading, justify="right")
    for rate in RATES:
        run = run_at_rate(rate, seconds)
        table.add_row(
            f"{rate}",
            f"{len(run.questions):,}",
            *(f"{quantile(run.questions, share) * 1_000:,.0f}" for share in (0.5, 0.99, 1.0)),
            *(f"{quantile(run.answers, share) * 1_000:,.0f}" for share in (0.5, 0.99)),
            f"{run.lost}",
            f"{run.doubled}",
        )
    console.print(table)
    console.print(f"The provider responds after {RESPONSE_SECONDS * 1_000:.0f} ms.")


def run_at_rate(rate: int, seconds: int) -> DelayRun:
    """Send `rate` deliveries a second for `seconds` after a warm-up, and measure when their questions arrive."""
    with tempfile.TemporaryDirectory() as folder, _provider() as (url, stub):
        settings = {
            "NOTIFIER": "twilio_sms",
            "TWILIO_ACCOUNT_SID": _ACCOUNT,
            "TWILIO_AUTH_TOKEN": "not-a-secret",
            "TWILIO_FROM": "+15005550006",
            "TWILIO_URL": url,
        }
        with running_product(Path(folder), **settings) as endpoint:
            sent, accepted = in_own_process(deliver, endpoint, rate, rate * seconds)
            posts = _arrivals(stub, len(sent) + _WARM_UP)
    questions = sorted(posts[order][0] - at for order, at in sent.items() if order in posts)
    doubled = sum(len(times) - 1 for times in posts.values())
    return DelayRun(questions, sorted(accepted), len(sent) - len(questions), doubled)


def _arrivals(stub: Connection, expected: int) -> dict[str, list[float]]:
    """The times of each order's POSTs, once all orders have one, or after the timeout."""
    until = time.monotonic() + _TIMEOUT_SECONDS
    while True:
        stub.send("so far")
        posts: dict[str, list[float]] = stub.recv()
        if len(posts) >= expected or time.monotonic() > until:
            return posts
        time.sleep(0.2)


def deliver(endpoint: Endpoint, rate: int, deliveries: int) -> tuple[dict[str, float], list[float]]:
    """Send `deliveries` at that rate. Returns when each was sent, and the seconds to each 202."""
    return asyncio.run(_drive(endpoint, rate, deliveries))


async def _drive(endpoint: Endpoint, rate: int, deliveries: int) -> tuple[dict[str, float], list[float]]:
    """Send the orders, then their deliveries at the rate. Returns when each was sent, and the seconds to each 202."""
    numbers = range(_WARM_UP + deliveries)
    async with endpoint.connection() as send:
        orders = [order(number) for number in numbers]
        for start in range(0, len(orders), _BATCH):
            await send(endpoint.request(orders[start : start + _BATCH]))
        for number in numbers[:_WARM_UP]:
            await send(endpoint.request([delivery(number)]))
    sent: dict[str, float] = {}
    took: list[float] = []
    due = iter([(number, index / rate) for index, number in enumerate(numbers[_WARM_UP:])])
    started = time.monotonic()

    async def _client() -> None:
        async with endpoint.connection() as send:
            for number, at in due:
                await asyncio.sleep(started + at - time.monotonic())
                request = endpoint.request([delivery(number)])
                sent[f"B-{number}"] = begun = time.monotonic()
                await send(request)
                took.append(time.monotonic() - begun)

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(_client())
    return sent, took


def order(number: int) -> bytes:
    """The event of an order of its own customer."""
    now = datetime.now(UTC)
    dimensions = {"depot": f"D{number % 12}", "carrier": f"C{number % 5}"}
    phone = f"+4477{number % 100_000_000:08}"
    data = order_data(f"B-{number}", str(number), phone, now + timedelta(days=1), dimensions)
    return event("order.completed", f"o{number}", now, data)


def delivery(number: int) -> bytes:
    """The event of its delivery, now."""
    now = datetime.now(UTC)
    data = {"order_id": f"B-{number}", "status": "delivered", "at": now.isoformat(), "carrier": "Nordex"}
    return event("delivery.updated", f"d{number}", now, data)


# --- the provider ---------------------------------------------------------------------------------------------


@contextmanager
def _provider() -> Iterator[tuple[str, Connection]]:
    """A server with as much of the provider's API as is needed to accept messages. Yields its URL and a pipe to it."""
    ours, theirs = _context.Pipe()
    process = _context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}", ours
    finally:
        process.terminate()
        process.join()


def _serve(queries: Connection) -> None:
    asyncio.run(_server(queries))


async def _server(queries: Connection) -> None:
    posts: dict[str, list[float]] = {}
    ids = count(1)

    async def _handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if head.startswith(b"get "):  # the list of inbound texts: none
            writer.write(_response("200 OK", {"messages": [], "next_page_uri": None}))
            writer.close()
            return
        body = await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))
        at = time.monotonic()
        fields = parse_qs(body.decode())
        found = _ORDER.search(fields["Body"][0])
        posts.setdefault(found[1] if found else "", []).append(at)
        await asyncio.sleep(RESPONSE_SECONDS)
        writer.write(_response("201 Created", _message(fields, next(ids))))
        writer.close()

    server = await asyncio.start_server(_handle, "127.0.0.1", 0, backlog=512)
    queries.send(server.sockets[0].getsockname()[1])
    loop = asyncio.get_running_loop()
    loop.add_reader(queries.fileno(), lambda: queries.send(posts) if queries.recv() else None)
    async with server:
        await server.serve_forever()


def _message(fields: Mapping[str, Sequence[str]], number: int) -> dict[str, str]:
    return {"sid": f"SM{number:032x}", "account_sid": _ACCOUNT, "status": "queued", "to": fields["To"][0]}


def _response(status: str, content: Mapping[str, object]) -> bytes:
    body = json.dumps(content).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
