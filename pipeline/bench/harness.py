"""What the benchmarks share: a running `unvarnished up` to measure, and events to send to it."""

import asyncio
import gc
import json
import multiprocessing
import os
import queue
import secrets
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

_TIMEOUT_SECONDS = 180  # to start, and to stop
_LISTENERS = ("public", "internal")
_SINGLE, _SEVERAL = b"application/cloudevents+json", b"application/cloudevents-batch+json"


class Endpoint(NamedTuple):
    """The public listener of the measured product, with an API key, and the port of its internal listener."""

    port: int
    key: str
    internal: int

    def request(self, events: Sequence[bytes]) -> bytes:
        """The bytes of a whole HTTP request with these events."""
        several = len(events) > 1
        body = b"[" + b",".join(events) + b"]" if several else events[0]
        head = (
            b"POST /v1/events HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\n"
            b"Content-Length: %d\r\n\r\n"
        )
        return head % (self.key.encode(), _SEVERAL if several else _SINGLE, len(body)) + body

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Callable[[bytes], Awaitable[None]]]:
        """Open a connection. Yields a function that sends a request and waits for its 202; RuntimeError otherwise."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)

        async def _send(request: bytes) -> None:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            answer = await reader.readexactly(length)
            if not head.startswith(b"HTTP/1.1 202"):
                raise RuntimeError(f"refused: {head[:200]!r} {answer[:200]!r}")

        try:
            yield _send
        finally:
            writer.close()


@contextmanager
def running_product(folder: Path, **settings: str) -> Iterator[Endpoint]:
    """Run `unvarnished up` on a database in that folder, without quiet hours and holidays."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("UNVARNISHED_")}
    ours = {
        "DATA_DIR": str(folder),
        "PUBLIC_HOST": "127.0.0.1",
        "PUBLIC_PORT": "0",
        "INTERNAL_PORT": "0",
        "QUIET_HOURS": "00:00-00:00",
        "SKIP_HOLIDAYS": "false",
    }
    environment = kept | {f"UNVARNISHED_{name}": value for name, value in (ours | settings).items()}
    command, name = [sys.executable, "-m", "pipeline"], f"bench-{secrets.token_hex(4)}"
    key = subprocess.run(  # noqa: S603
        [*command, "keys", "create", name], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()
    process = subprocess.Popen(  # noqa: S603
        [*command, "up"], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        ports = _ports(process)
        yield Endpoint(ports["public"], key, ports["internal"])
    finally:
        process.terminate()
        process.wait(_TIMEOUT_SECONDS)
        if process.stdout is not None:
            process.stdout.close()


def _ports(process: "subprocess.Popen[str]") -> dict[str, int]:
    """The ports by listener, as the product prints them once it is up. Raises RuntimeError after a timeout."""
    lines: queue.Queue[str] = queue.Queue()

    def _read() -> None:
        for line in process.stdout or ():
            lines.put(line)

    threading.Thread(target=_read, daemon=True).start()
    found: dict[str, int] = {}
    try:
        while len(found) < len(_LISTENERS):
            words = lines.get(timeout=_TIMEOUT_SECONDS).split()
            if words and words[0] in _LISTENERS:
                found[words[0]] = int(words[1].rsplit(":", 1)[1])
    except queue.Empty:
        raise RuntimeError("unvarnished up did not start") from None
    return found


def in_own_process(measure: Callable[..., T], *arguments: object) -> T:
    """Call the function in a process of its own, so that no other work of this process slows it down."""
    with multiprocessing.get_context("spawn").Pool(1, gc.set_threshold, (100_000, 50, 100)) as pool:
        return pool.apply(measure, arguments)


def quantile(ordered: Sequence[float], share: float) -> float:
    """The quantile of sorted values: `share` of them are below it."""
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def order_data(
    order_id: str, who: str, phone: str, promised: datetime, dimensions: Mapping[str, str]
) -> dict[str, Any]:
    """The data of an order with one contact to ask, of the account with the same number `who`."""
    person = {
        "id": f"C-{who}",
        "role": "receiver",
        "name": "Ana",
        "phone": phone,
        "language": "en",
        "consent": {"sms": True, "source": "contract"},
    }
    return {
        "order_id": order_id,
        "account": {"id": f"A-{who}", "name": "Bench and Sons"},
        "contacts": [person],
        "dimensions": dimensions,
        "lines": [{"sku": "GLV-9", "ordered": 10, "delivered": 10}],
        "promised_at": promised.isoformat(),
    }


def event(kind: str, name: str, at: datetime, data: Mapping[str, Any]) -> bytes:
    """A CloudEvent in structured mode, with the source `bench`."""
    envelope = {"specversion": "1.0", "id": name, "source": "bench", "type": kind, "time": at.isoformat()}
    return json.dumps(envelope | {"data": data}).encode()
