"""Makes the company's database once, then reads each page right after an event and measures it.

The pages are those of the internal listener, without a socket: the time is that of the product alone, from the request
to the last byte. `queries` counts all statements, those of the sign-in included. A page's first two readings warm the
process up and are not counted.
"""

import asyncio
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path
from typing import NamedTuple

import httpx
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, event, text

from pipeline.app.installation import Installation, open_installation
from pipeline.bench.pages import company, past
from pipeline.consumers.intake import Incoming, IngestResult
from pipeline.domain.access.principal import SYSTEM
from pipeline.settings import ConfigurationError, Settings
from pipeline.store.db.engine import reading
from pipeline.store.journal import state
from pipeline.store.reads.incidents import going_on
from pipeline.store.store import Store
from pipeline.web.http.server import internal_app
from pipeline.web.http.services import Services

_DONE = "bench.pages"  # state: "ORDERS BULK EVENTS": the size, the orders written in bulk, the events of the runner
TOKEN = "bench-" + "0" * 40
_WARM_UP = 2
_BATCH = 20_000  # events a transaction while the company is made


class Page(NamedTuple):
    """A page and its address, in which names in braces are examples of the company."""

    name: str
    address: str


# A page that is built later is one more line.
PAGES = (
    Page("today", "/"),
    Page("dashboard", "/dashboard"),
    Page("incidents", "/incidents"),
    Page("incident", "/incidents/{incident}"),
    Page("inbox", "/inbox"),
    Page("orders", "/orders"),
    Page("order", "/orders/{order}"),
    Page("segments", "/segments"),
    Page("segment", "/segment?segment=depot:{depot}"),
    Page("accounts", "/accounts"),
    Page("account", "/accounts/one?account={account}&period=all"),
    Page("verbatims", "/verbatims"),
    Page("report", "/report"),
)


class Measured(NamedTuple):
    """The figures of one page: milliseconds, bytes before compression, statements."""

    page: str
    p50_ms: float
    p95_ms: float
    bytes: int
    queries: int


def measure(orders: int, folder: Path, url: str | None, rounds: int, only: Sequence[str] = ()) -> list[Measured]:
    """Make the company's database if it is not there, and read each page `rounds` times.

    Raises ConfigurationError if the database contains something else.
    """
    pages = [page for page in PAGES if not only or page.name in only]
    with made(orders, folder, url) as installation:
        return asyncio.run(_read(installation, orders, pages, rounds))


@contextmanager
def made(orders: int, folder: Path, url: str | None) -> Iterator[Installation]:
    """The installation with the company's database, which is made if it is not there.

    Raises ConfigurationError if the database contains something else.
    """
    database_url = None if url is None else SecretStr(url)
    installation = open_installation(
        Settings(data_dir=folder, database_url=database_url, batch_size=_BATCH), company.LEVELS
    )
    try:
        _fill(installation, orders)
        yield installation
    finally:
        installation.store.engine.dispose()


def addresses_of(store: Store, orders: int, pages: Iterable[Page] = PAGES) -> dict[str, str]:
    """The addresses by page, with examples of the company. A small company may have no incident to show."""
    with reading(store.engine) as connection:
        found = going_on(connection, SYSTEM, 1)
    examples = {"order": company.order_id(orders // 2), "depot": "Depot 003", "account": "A-3"}
    examples |= {"incident": found[0].incident_id} if found else {}
    return {
        page.name: page.address.format_map(examples)
        for page in pages
        if "{incident}" not in page.address or "incident" in examples
    }


def show(console: Console, found: Iterable[Measured]) -> None:
    """Print a table of the figures."""
    table = Table(title="Pages, each read right after an event", title_justify="left")
    for heading in ("page", "p50 ms", "p95 ms", "bytes", "queries"):
        table.add_column(heading, justify="left" if heading == "page" else "right")
    for one in found:
        table.add_row(one.page, f"{one.p50_ms:,.1f}", f"{one.p95_ms:,.1f}", f"{one.bytes:,}", f"{one.queries}")
    console.print(table)


def _fill(installation: Installation, orders: int) -> None:
    """Store the company from where an earlier run stopped: its past in bulk, then the newest months by the runner."""
    engine, started = installation.store.engine, time.monotonic()
    with engine.begin() as connection:
        size, bulk, done = map(int, (state.get(connection, _DONE) or f"{orders} 0 0").split())
    if size != orders:
        raise ConfigurationError(f"this database contains a company of {size:,} orders: use another one")
    levels = installation.setup.history.figured
    for made in past.chunks(islice(company.past(orders), bulk, None), past.ORDERS_A_TRANSACTION):
        bulk += len(made)
        with engine.begin() as connection:
            past.write(connection, installation.store.journal, levels, made)
            state.put(connection, _DONE, f"{orders} {bulk} {done}")
        _report(bulk, orders, started)
    before = done
    for result in installation.runner.ingest_all(islice(company.recent(orders), done, None)):
        done += result.events
        with engine.begin() as connection:
            state.put(connection, _DONE, f"{orders} {bulk} {done}")
        _report(bulk + done / (2 + 2 * company.ANSWERED), orders, started)
    if done > before and engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))


def _report(done: float, orders: int, started: float) -> None:
    seconds = time.monotonic() - started
    print(f"{min(done / orders, 1):6.1%} of {orders:,} orders after {seconds:,.0f} s", file=sys.stderr, flush=True)


async def _read(installation: Installation, orders: int, pages: Iterable[Page], rounds: int) -> list[Measured]:
    store = installation.store

    async def _submit(batch: Sequence[Incoming]) -> IngestResult:
        return await asyncio.to_thread(installation.runner.ingest, batch)

    services = Services(store, installation.setup, Settings(), _submit, store.clock)
    app = internal_app(services, TOKEN)
    headers = {"authorization": f"Bearer {TOKEN}", "accept": "text/html"}
    events = _news(orders, str(time.time_ns()))
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
        return [
            await _page(client, store.engine, name, address, events, installation, rounds)
            for name, address in addresses_of(store, orders, pages).items()
        ]


async def _page(
    client: httpx.AsyncClient,
    engine: Engine,
    name: str,
    address: str,
    events: Iterator[Incoming],
    installation: Installation,
    rounds: int,
) -> Measured:
    times, size, statements = list[float](), 0, 0
    for number in range(rounds + _WARM_UP):
        installation.runner.ingest([next(events)])
        with _counting(engine) as queries:
            started = time.perf_counter()
            answer = await client.get(address)
            seconds = time.perf_counter() - started
        if answer.status_code != httpx.codes.OK:
            raise RuntimeError(f"{name}: {address} answers {answer.status_code}")
        if number >= _WARM_UP:
            times.append(1_000 * seconds)
            size, statements = max(size, len(answer.content)), max(statements, queries())
    times.sort()
    return Measured(name, _round(times, 0.5), _round(times, 0.95), size, statements)


def _news(orders: int, run: str) -> Iterator[Incoming]:
    """Endless new orders of this run that were delivered and answered, one event after the other."""
    for number in count():
        order = company.order_of(orders + int(run[-9:]) + number, company.DAYS - 1, orders)
        answering = order._replace(said="content", score=9, words=None)
        yield from company.day_of([answering])


def _round(ordered: Sequence[float], share: float) -> float:
    return round(ordered[min(math.ceil(share * len(ordered)) - 1, len(ordered) - 1)], 1)


@contextmanager
def _counting(engine: Engine) -> Iterator[Callable[[], int]]:
    seen = list[str]()

    def _note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement != "BEGIN":  # SQLite's, where PostgreSQL's driver begins without a statement of ours
            seen.append(statement)

    event.listen(engine, "before_cursor_execute", _note)
    try:
        yield lambda: len(seen)
    finally:
        event.remove(engine, "before_cursor_execute", _note)
