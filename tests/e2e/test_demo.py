"""`unvarnished demo` as a visitor uses it: a simulated past, then live deliveries, phones, and changing figures."""

import http.client
import json
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.demo.company import LIVE_FROM
from pipeline.store.db.engine import connect, reading
from pipeline.store.people import api_keys
from pipeline.store.schema.asks import asks
from pipeline.store.schema.demo_phone import phone_messages
from pipeline.store.schema.journal import journal
from tests.support.limits import PATIENCE, until
from tests.support.running.process import Up

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

LIVE = f"SO-{LIVE_FROM}-"
ORDERS = 40
WORDS = "Written by a visitor"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[int], Up]]:
    started: list[Up] = []

    def _start(pace: int) -> Up:
        options = ["--days", "3", "--pace", str(pace), "--deliveries", str(ORDERS)]
        started.append(Up(tmp_path, "demo", *options, NOTIFIER="twilio_sms"))  # a demo never contacts real people
        return started[-1]

    yield _start
    for up in started:
        if up.process.poll() is None:
            up.end(signal.SIGKILL)


def live_orders(folder: Path) -> list[str]:
    """The live orders in the journal."""
    engine = connect(f"sqlite:///{folder / 'unvarnished.db'}")
    query = select(journal.c.id).where(journal.c.id.startswith(LIVE), journal.c.id.endswith(":completed"))
    with reading(engine) as connection:
        found = list(connection.execute(query).scalars())
    engine.dispose()
    return found


def answered(up: Up) -> int:
    total = json.loads(up.get("/v1/report")[1])["total"]
    return int(total["answered"])


def ringing(up: Up) -> str:
    """The path of the form behind the newest question about a live order."""
    page = up.get("/phone")[1].decode()
    found = re.search(rf"{LIVE}.*?href=\"http://127\.0\.0\.1:{up.public}(/f/[^\"]+)\"", page, re.DOTALL)
    return found[1] if found else ""


def fill_in(up: Up, path: str) -> int:
    one = http.client.HTTPConnection("127.0.0.1", up.public, timeout=PATIENCE)
    body = urlencode({"submission": "s", "arrival": "late", "score": "2", "comment": WORDS})
    one.request("POST", path, body, {"content-type": "application/x-www-form-urlencoded"})
    status = one.getresponse().status
    one.close()
    return status


def test_the_demo_goes_live_asks_records_answers_and_continues_after_ctrl_c(
    start: Callable[[int], Up], tmp_path: Path
) -> None:
    up = start(120)
    assert "Who embellishes" in up.output
    before = answered(up)
    until(lambda: ringing(up) != "", "a question on a phone")
    assert fill_in(up, ringing(up)) == 200
    until(lambda: WORDS in up.get("/dashboard")[1].decode(), "the visitor's comment on the dashboard")
    assert answered(up) > before
    assert up.end(signal.SIGINT) == 0
    first = live_orders(tmp_path)
    assert 0 < len(first) < ORDERS

    again = start(1_200)
    until(lambda: len(live_orders(tmp_path)) == ORDERS, "all live orders")
    assert again.get("/readyz")[0] == 200, "it still serves requests"
    assert again.end(signal.SIGTERM) == 0
    assert answers_of_the_company(tmp_path) > 0
    assert asked_twice(tmp_path) == []
    assert len(working_keys(tmp_path)) == 1, "each start creates a key and revokes the previous one"


def answers_of_the_company(folder: Path) -> int:
    """The number of answered live questions, without the visitor's."""
    engine = connect(f"sqlite:///{folder / 'unvarnished.db'}")
    query = select(func.count()).where(asks.c.order_id.startswith(LIVE), asks.c.state == "answered")
    with reading(engine) as connection:
        found = connection.execute(query).scalar_one()
    engine.dispose()
    return found - 1


def asked_twice(folder: Path) -> list[tuple[str, str]]:
    """The orders and contacts with more than one message."""
    engine = connect(f"sqlite:///{folder / 'unvarnished.db'}")
    who = phone_messages.c.order_id, phone_messages.c.contact_id
    with reading(engine) as connection:
        found = [tuple(row) for row in connection.execute(select(*who).group_by(*who).having(func.count() > 1))]
    engine.dispose()
    return found


def working_keys(folder: Path) -> list[str]:
    engine = connect(f"sqlite:///{folder / 'unvarnished.db'}")
    with reading(engine) as connection:
        found = [key.name for key in api_keys.valid_keys(connection)]
    engine.dispose()
    return found


def demo(folder: Path, *options: str) -> tuple[int, str]:
    """Exit code and output of the command, run in this process."""
    done = CliRunner().invoke(app, ["demo", *options], env={"UNVARNISHED_DATA_DIR": str(folder)})
    return done.exit_code, done.output


def test_the_simulated_company_of_a_database_cannot_change(tmp_path: Path) -> None:
    code, output = demo(tmp_path, "--days", "1", "--start", "2026-06-01", "--no-live")
    assert code == 0
    assert "Who embellishes" in output
    assert "Live" not in output
    assert demo(tmp_path, "--no-live") == (0, output), "the same days on any date"
    for other in (["--seed", "8"], ["--start", "2026-06-02"]):
        code, output = demo(tmp_path, *other, "--no-live")
        assert code == 2
        assert "--seed 7 --start 2026-06-01" in output


def test_a_history_that_ends_in_the_future_cannot_go_live(tmp_path: Path) -> None:
    code, output = demo(tmp_path, "--start", "2190-01-01")
    assert code == 2
    assert "--no-live" in output
