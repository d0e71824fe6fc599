"""Many large batches at once fit into the memory of the container."""

import http.client
import re
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.store.db.engine import connect
from pipeline.store.people import api_keys
from pipeline.store.schema.upgrade import migrate
from tests.support.builders import at, completed
from tests.support.limits import PATIENCE
from tests.support.running.process import Up

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

BATCH = "application/cloudevents-batch+json"
CONTAINER_MIB = 512  # as in deploy/


def batch(number: int) -> bytes:
    """Nearly 8 MiB in 500 events, each of many small parts: those take the most memory when they are decoded."""
    lines = [{"sku": f"{n}", "ordered": 1} for n in range(480)]
    return b"[" + b",".join(completed(f"SO-{number}-{n}", lines=lines) for n in range(500)) + b"]"


def test_a_dozen_large_batches_at_once_stay_within_the_memory(start: Callable[..., Up], folder: Path) -> None:
    url = f"sqlite:///{folder / 'unvarnished.db'}"
    folder.mkdir()
    migrate(url)
    engine = connect(url)
    with engine.begin() as connection:
        key = api_keys.create(connection, "erp", False, at())
    engine.dispose()
    up = start()
    statuses: list[int] = []

    def _send(number: int) -> None:
        body = batch(number)
        assert len(body) < 8 << 20
        while True:
            one = http.client.HTTPConnection("127.0.0.1", up.public, timeout=PATIENCE)
            one.request("POST", "/v1/events", body, {"authorization": f"Bearer {key}", "content-type": BATCH})
            status = one.getresponse().status
            one.close()
            if status != 503:  # asked to send it again
                statuses.append(status)
                return

    senders = [threading.Thread(target=_send, args=(number,)) for number in range(12)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join(PATIENCE)
    assert statuses == [202] * 12
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{up.process.pid}/status").read_text())
    assert peak is not None
    assert int(peak[1]) / 1_024 < CONTAINER_MIB, f"{int(peak[1]) >> 10} MiB"
    assert up.end(signal.SIGTERM) == 0
