"""`unvarnished up` whose database becomes unavailable: acknowledged calls survive, also a kill."""

import http.client
import signal
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import pytest
from sqlalchemy import make_url, select

from pipeline.store.db.engine import connect, reading
from pipeline.store.schema.conversations import inbound_messages
from tests.support.limits import PATIENCE
from tests.support.requests.installation import PUBLIC_URL
from tests.support.requests.twilio_calls import ACCOUNT, KEY, SID, signed, text
from tests.support.running.process import Up
from tests.support.servers.postgres import PostgresServer

pytestmark = [pytest.mark.e2e, pytest.mark.reliability]


def send_text(up: Up, body: str) -> tuple[int, bytes]:
    """Send a text as the provider does. Returns status and body of the response."""
    fields = text(body)
    one = http.client.HTTPConnection("127.0.0.1", up.public, timeout=PATIENCE)
    one.request("POST", "/twilio/sms", urlencode(fields), signed("/twilio/sms", fields))
    answer = one.getresponse()
    content = answer.status, answer.read()
    one.close()
    return content


def test_a_text_acknowledged_without_a_database_survives_a_kill(
    start: Callable[..., Up], folder: Path, postgres_server: PostgresServer, postgresql_database_url: str
) -> None:
    settings = {
        "DATABASE_URL": postgresql_database_url,
        "PUBLIC_URL": PUBLIC_URL,
        "NOTIFIER": "twilio_sms",
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": KEY,
        "TWILIO_FROM": "+447700900000",
    }
    up = start(**settings)
    database = make_url(postgresql_database_url)
    postgres_server.freeze(database)
    status, content = send_text(up, "STOP")
    assert (status, b"<Message>" in content) == (200, False)
    assert up.get("/readyz")[0] == 503
    assert b'unvarnished_spooled_calls{state="waiting"} 1.0' in up.get("/metrics")[1]
    up.end(signal.SIGKILL)
    assert len(list((folder / "spool").iterdir())) == 1
    postgres_server.thaw(database)
    again = start(**settings)
    while b'unvarnished_spooled_calls{state="waiting"} 0.0' not in again.get("/metrics")[1]:
        assert again.process.poll() is None
    assert send_text(again, "STOP")[0] == 200
    assert again.end(signal.SIGTERM) == 0
    assert list((folder / "spool").iterdir()) == []
    engine = connect(postgresql_database_url)
    with reading(engine) as connection:
        found = connection.execute(select(inbound_messages.c.message_id, inbound_messages.c.outcome)).all()
    engine.dispose()
    assert found == [(SID, "quarantined")]
