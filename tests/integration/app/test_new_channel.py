"""A new channel is one folder and one line: here the folder is a class, and the line is registered by the test."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from pipeline.app import bootstrap
from pipeline.app.installation import Installation, open_installation
from pipeline.domain.asking.channels import Channel
from pipeline.notifiers import registry
from pipeline.notifiers.port import (
    Accepted,
    Adapter,
    HttpCall,
    InboundText,
    Message,
    NotSigned,
    ProviderAnswer,
    Reply,
    StatusReport,
    WebhookContent,
)
from pipeline.notifiers.registry import Registration
from pipeline.settings import Settings
from pipeline.store.schema.answers import answers
from pipeline.store.schema.asks import asks
from pipeline.store.schema.people import opt_outs
from tests.support.builders import completed, contact, scanned
from tests.support.running.embedded import ingest
from tests.support.stored import rows

ADDRESS = "ana@example.com"
START = datetime.now(UTC) - timedelta(hours=1)


class PostOffice:
    """An e-mail provider: sends messages, and posts replies and statuses to one path."""

    name = "post_office"
    paths = ("/post-office",)

    def __init__(self) -> None:
        self.sent: list[Message] = []

    def send(self, message: Message) -> ProviderAnswer:
        self.sent.append(message)
        return Accepted(f"mail-{len(self.sent)}")

    def find(self, to: str, link_hash: str, since: datetime) -> None:
        return None

    def parse(self, call: HttpCall) -> WebhookContent:
        if call.headers.get("x-seal") != "wax":
            raise NotSigned
        fields = json.loads(call.body)
        if "status" in fields:
            return StatusReport(fields["id"], fields["token"], fields["status"], call.received_at, opted_out=True)
        return InboundText(self.name, fields["id"], fields["from"], fields["text"], call.received_at)

    def reply(self, text: str | None) -> Reply:
        return Reply(text or "", "text/plain")

    def parse_spooled(self, raw: bytes) -> WebhookContent:
        raise AssertionError("it has no earlier version")


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> PostOffice:
    made = PostOffice()
    adapter = Adapter(made, webhooks=made)
    channel = Channel("email", address_kind="email", consent_kind="email")
    monkeypatch.setitem(registry.CHANNELS, "post_office", Registration(channel, lambda *_: adapter))
    return made


@pytest.fixture
def settings(office: PostOffice, tmp_path: Path) -> Settings:
    known: dict[str, Any] = {"data_dir": tmp_path, "public_port": 0, "internal_port": 0, "contact_rest_days": 0}
    return Settings(
        notifier="post_office",
        public_url="https://ask.example.com",
        quiet_hours="00:00-00:00",
        skip_holidays=False,
        **known,
    )


@pytest.fixture
def installation(settings: Settings) -> Iterator[Installation]:
    opened = open_installation(settings, sending=True)
    yield opened
    opened.store.engine.dispose()


@pytest.fixture
def public(installation: Installation, settings: Settings) -> Iterator[TestClient[Litestar]]:
    queue = bootstrap.write_queue(installation.store, installation.runner, settings)
    queue.start()
    with bootstrap.bound_listeners(settings) as sockets:
        listeners = bootstrap.http_parts(sockets, installation, settings, queue).listeners
        with TestClient(listeners[0].app) as client:
            yield client
    queue.stop()


def deliver(installation: Installation, order_id: str, **person: Any) -> None:
    known = {"phone": None, "email": ADDRESS, "consent": {"email": True, "source": "contract"}}
    people = [contact(**known | person)]
    ingest(installation.runner, completed(order_id, time=START, contacts=people), scanned(order_id, time=START))


def dispatch(installation: Installation, settings: Settings) -> None:
    made = bootstrap.dispatcher(installation.store, settings)
    made.run_once(datetime.now(UTC))
    made.stop()
    installation.runner.process_pending()


def post(client: TestClient[Litestar], seal: str = "wax", **fields: str) -> Any:
    return client.post("/post-office", content=json.dumps(fields), headers={"x-seal": seal})


def test_a_question_is_sent_and_its_answer_recorded(
    installation: Installation, settings: Settings, office: PostOffice, public: TestClient[Litestar]
) -> None:
    deliver(installation, "SO-1")
    dispatch(installation, settings)
    (message,) = office.sent
    assert message.to == ADDRESS
    link = message.body.split("https://ask.example.com")[1].split()[0]
    assert public.get(link).status_code == 200

    assert post(public, seal="none", id="M-0", text="4", **{"from": ADDRESS}).status_code == 403
    reply = post(public, id="M-1", text="2", **{"from": ADDRESS.upper()})
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert "0 (not at all) to 10" in reply.text
    (answer,) = rows(installation.runner, answers)
    assert (answer["order_id"], answer["channel"], answer["arrival"]) == ("SO-1", "email", "late")
    assert rows(installation.runner, asks)[0]["state"] == "answered"


def test_an_opt_out_by_reply_applies_to_the_address(
    installation: Installation, settings: Settings, office: PostOffice, public: TestClient[Litestar]
) -> None:
    deliver(installation, "SO-1")
    dispatch(installation, settings)
    assert "no more messages" in post(public, id="M-1", text="STOP", **{"from": ADDRESS}).text
    assert [row["digest"] for row in rows(installation.runner, opt_outs)] == [
        installation.store.vault.email_digest(ADDRESS)
    ]
    deliver(installation, "SO-2")
    deliver(installation, "SO-3", consent={"sms": True}, phone="+447700900123")
    dispatch(installation, settings)
    reasons = {row["order_id"]: row["reason"] for row in rows(installation.runner, asks)}
    assert reasons == {"SO-1": None, "SO-2": "opted_out", "SO-3": "no_channel"}
    assert len(office.sent) == 1
