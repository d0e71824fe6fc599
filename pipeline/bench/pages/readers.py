"""People read the pages of a running `unvarnished up` on the company's database, while events arrive by HTTP.

Each person opens a page at random, then reads it for some seconds. A time is that of the request, from its first byte
to the last byte of the page. Events: new orders and their deliveries in turn, one event in a request. Each page is read
twice before, which is not counted: the process is not warmed up until then.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import NamedTuple

import httpx
from rich.console import Console
from rich.table import Table

from pipeline.bench.harness import Endpoint, in_own_process, quantile, running_product
from pipeline.bench.pages import company
from pipeline.bench.pages.reading import TOKEN, addresses_of, made
from pipeline.bench.question_delay import delivery, order

PAUSE_SECONDS = 5.0  # for which a page is read, on average
_CONNECTIONS = 32  # over which events are sent


class Load(NamedTuple):
    """How many people read, how many events arrive a second, and for how many seconds."""

    readers: int
    rate: int
    seconds: int


class Times(NamedTuple):
    """The times of one page, in milliseconds, and how often it was read."""

    page: str
    p50_ms: float
    p95_ms: float
    readings: int


def measure(orders: int, folder: Path, url: str | None, load: Load) -> list[Times]:
    """Make the company's database if it is not there, and let people read it. The last line is that of all pages.

    Raises ConfigurationError if the database contains something else.
    """
    with made(orders, folder, url) as installation:
        addresses = addresses_of(installation.store, orders)
    settings = {"SIGN_IN_TOKEN": TOKEN, "SEGMENT_LEVELS": company.LEVELS}
    if url is not None:
        settings["DATABASE_URL"] = url
    with running_product(folder, **settings) as endpoint:
        in_own_process(read, endpoint, addresses, None)
        with ThreadPoolExecutor(1) as beside:
            events = beside.submit(in_own_process, arrive, endpoint, load, time.time_ns() // 1_000_000)
            found = in_own_process(read, endpoint, addresses, load)
            events.result()
    everything = [seconds for times in found.values() for seconds in times]
    return [_times(name, times) for name, times in (*found.items(), ("all", everything)) if times]


def show(console: Console, found: Sequence[Times], load: Load) -> None:
    """Print a table of the times."""
    table = Table(title=f"Pages, {load.readers} readers, {load.rate} events a second", title_justify="left")
    for heading in ("page", "p50 ms", "p95 ms", "readings"):
        table.add_column(heading, justify="left" if heading == "page" else "right")
    for one in found:
        table.add_row(one.page, f"{one.p50_ms:,.1f}", f"{one.p95_ms:,.1f}", f"{one.readings:,}")
    console.print(table)


def arrive(endpoint: Endpoint, load: Load, first: int) -> None:
    """Send the events. `first`: the number of the first order; a database gets each number once."""
    asyncio.run(_arrive(endpoint, load, first))


async def _arrive(endpoint: Endpoint, load: Load, first: int) -> None:
    due = iter(range(load.rate * load.seconds))
    started = time.monotonic()

    async def _client() -> None:
        async with endpoint.connection() as send:
            for number in due:
                await asyncio.sleep(started + number / load.rate - time.monotonic())
                made = order if number % 2 == 0 else delivery
                await send(endpoint.request([made(first + number // 2)]))

    async with asyncio.TaskGroup() as group:
        for _ in range(_CONNECTIONS):
            group.create_task(_client())


def read(endpoint: Endpoint, addresses: Mapping[str, str], load: Load | None) -> dict[str, list[float]]:
    """Read pages at random with so many people; None: each page twice. Returns the seconds of each reading, by page."""
    return asyncio.run(_read(endpoint, addresses, load))


async def _read(endpoint: Endpoint, addresses: Mapping[str, str], load: Load | None) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in addresses}
    headers = {"authorization": f"Bearer {TOKEN}", "accept": "text/html"}
    address = f"http://127.0.0.1:{endpoint.internal}"
    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=60) as client:

        async def _open(name: str) -> None:
            started = time.monotonic()
            answer = await client.get(addresses[name])
            found[name].append(time.monotonic() - started)
            if answer.status_code != httpx.codes.OK:
                raise RuntimeError(f"{name}: {addresses[name]} answers {answer.status_code}")

        async def _person(number: int, until: float) -> None:
            rng = Random(number)
            while True:
                await asyncio.sleep(rng.uniform(0, 2 * PAUSE_SECONDS))
                if time.monotonic() > until:
                    return
                await _open(rng.choice(list(addresses)))

        if load is None:
            for name in (*addresses, *addresses):
                await _open(name)
            return found
        async with asyncio.TaskGroup() as group:
            for number in range(load.readers):
                group.create_task(_person(number, time.monotonic() + load.seconds))
    return found


def _times(name: str, seconds: Sequence[float]) -> Times:
    ordered = sorted(seconds)
    p50, p95 = (round(1_000 * quantile(ordered, share), 1) for share in (0.5, 0.95))
    return Times(name, p50, p95, len(ordered))
