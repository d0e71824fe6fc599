"""The provider's calls without a database: stored on disk before they are acknowledged, and processed later."""

import errno
import json
import os
import resource
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from prometheus_client import REGISTRY

from pipeline.consumers.conversation import answering
from pipeline.consumers.runtime import spool_replayer as spool_replayer
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.runtime.spool_replayer import SpoolReplayer
from pipeline.domain.answers.parsed_reply import stated_by
from pipeline.domain.asking.channels import SMS
from pipeline.domain.asking.policy import Policy
from pipeline.notifiers.channels.twilio.webhooks import TwilioWebhooks
from pipeline.settings import ConfigurationError
from pipeline.store.asks.claiming import Claimer
from pipeline.store.journal.spool import Spool
from pipeline.store.people.vault import Vault
from pipeline.store.schema.answers import answers
from pipeline.store.schema.asks import asks
from pipeline.store.schema.conversations import inbound_messages, provider_callbacks
from pipeline.store.schema.people import opt_outs
from pipeline.web.http.services import Services
from pipeline.web.public import provider_webhooks
from pipeline.web.public.provider_webhooks import ProviderWebhooks
from tests.support.builders import at, completed, scanned
from tests.support.limits import PATIENCE
from tests.support.requests import installation
from tests.support.requests.installation import PHONE, Ticking
from tests.support.requests.twilio_calls import ACCOUNT, KEY, SID, call, replies, status, text
from tests.support.running.embedded import VAULT, ingest
from tests.support.running.sending import sending_runner
from tests.support.servers import outage
from tests.support.stored import rows

OTHER_SID = "SM" + "9" * 32


@dataclass
class WebhookEndpoint:
    """The provider's webhook on a database that may be unavailable, and its spool."""

    runtime: EmbeddedRunner
    services: Services
    folder: Path
    most_bytes: int = 1 << 20

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Start with the files on disk. A further call is a restart."""
        self.spool = Spool(self.folder, VAULT, self.most_bytes)
        provider = ProviderWebhooks(SMS, TwilioWebhooks(ACCOUNT, [KEY], installation.PUBLIC_URL))
        self.routes = provider_webhooks.routes(self.services, provider, self.spool)
        handle = provider_webhooks.spooled_call_handler(self.services, provider)
        self.replayed = threading.Event()
        self.replayer = SpoolReplayer(self.spool, self.runtime.engine, handle, self._on_committed)

    def _on_committed(self) -> None:
        self.runtime.process_pending()
        self.replayed.set()

    @contextmanager
    def client(self) -> Iterator[TestClient[Litestar]]:
        with installation.client(*self.routes) as made:
            yield made

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.iterdir())


@pytest.fixture
def endpoint(runtime: EmbeddedRunner, tmp_path: Path) -> WebhookEndpoint:
    installation.sent(runtime)
    return WebhookEndpoint(runtime, installation.services(runtime, Ticking(at(hours=3))), tmp_path / "spool")


def handled(endpoint: WebhookEndpoint) -> dict[str, str]:
    return {row["message_id"]: row["outcome"] for row in rows(endpoint.runtime, inbound_messages)}


def test_a_text_received_while_the_database_is_unavailable_is_processed_afterwards(endpoint: WebhookEndpoint) -> None:
    with endpoint.client() as client:
        with outage.unavailable(endpoint.runtime.engine):
            answer = call(client, "/twilio/sms", text("late"))
            assert (answer.status_code, replies(answer)) == (200, [])
            (file,) = endpoint.files
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert stat.S_IMODE(endpoint.folder.stat().st_mode) == 0o700
            assert not any(fields in file.read_bytes() for fields in (b"late", PHONE.encode(), b"4477"))
            endpoint.replayer.run_once()
            assert endpoint.files == [file], "it stays until the database is available"
        assert rows(endpoint.runtime, inbound_messages) == []
        endpoint.replayer.run_once()
        assert handled(endpoint) == {SID: "answered"}
        (answered,) = rows(endpoint.runtime, answers)
        assert (answered["arrival"], answered["answered_at"]) == ("late", at(hours=3) + timedelta(milliseconds=1))
        assert rows(endpoint.runtime, inbound_messages)[0]["reply"] is None, "none was sent"
        assert endpoint.files == []
        assert len(replies(call(client, "/twilio/sms", text("7", OTHER_SID)))) == 1, "as usual"


def test_a_repeated_call_is_one_file_and_processed_once(endpoint: WebhookEndpoint) -> None:
    with endpoint.client() as client:
        with outage.unavailable(endpoint.runtime.engine):
            for _ in range(3):
                assert call(client, "/twilio/sms", text("4")).status_code == 200
            assert len(endpoint.files) == 1
        assert call(client, "/twilio/sms", text("4")).status_code == 200
        endpoint.replayer.run_once()
        assert call(client, "/twilio/sms", text("4")).status_code == 200
    assert (handled(endpoint), len(rows(endpoint.runtime, answers)), endpoint.files) == ({SID: "answered"}, 1, [])


def test_a_text_is_spooled_while_earlier_ones_wait_in_the_spool(endpoint: WebhookEndpoint) -> None:
    """Otherwise a score would be read before the answer that precedes it."""
    with endpoint.client() as client:
        with outage.unavailable(endpoint.runtime.engine):
            call(client, "/twilio/sms", text("1", "SM" + "f" * 32))
            call(client, "/twilio/sms", text("9", "SM" + "a" * 32))
        assert replies(call(client, "/twilio/sms", text("The new ramp is steep", "SM" + "0" * 32))) == []
        assert handled(endpoint) == {}
    endpoint.replayer.run_once()
    last = max(rows(endpoint.runtime, answers), key=lambda row: row["answered_at"])
    assert (last["arrival"], last["score"], last["comment"]) == ("on_time", 9, "The new ramp is steep")


def test_a_status_is_spooled_too_unless_its_message_is_unknown(endpoint: WebhookEndpoint) -> None:
    path = "/twilio/status?token=somebody-elses"
    with endpoint.client() as client:
        with outage.unavailable(endpoint.runtime.engine):
            for word in ("sent", "delivered", "sent"):
                assert call(client, path, status(word)).status_code == 204
            assert len(endpoint.files) == 2
            assert call(client, path, status("delivered"), key="c" * 32).status_code == 403, (
                "the signature is checked nevertheless"
            )
        endpoint.replayer.run_once()
    assert (rows(endpoint.runtime, provider_callbacks), endpoint.files, endpoint.spool.empty) == ([], [], True)


def test_a_spooled_status_changes_its_ask(database_url: str, tmp_path: Path) -> None:
    runtime = sending_runner(database_url, Policy(remind_after=None))
    ingest(runtime, completed(), scanned(time=at(hours=2)))
    with runtime.engine.begin() as connection:
        claims = Claimer(VAULT, Policy(), "one", {"sms"}, timedelta(seconds=60)).claim(connection, at(hours=2), 10)
    endpoint = WebhookEndpoint(runtime, installation.services(runtime, Ticking(at(hours=3))), tmp_path / "spool")
    with endpoint.client() as client, outage.unavailable(runtime.engine):
        path = f"/twilio/status?token={claims.to_send[0].callback_token}"
        assert call(client, path, status("delivered")).status_code == 204
    endpoint.replayer.run_once()
    assert [row["state"] for row in rows(runtime, asks)] == ["delivered"]
    runtime.engine.dispose()


def test_a_stalled_database_is_waited_for_no_longer_than_the_provider_waits(
    endpoint: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_webhooks, "TIMEOUT_SECONDS", 0.05)
    with endpoint.client() as client:
        with outage.stalling(endpoint.runtime.engine):
            assert replies(call(client, "/twilio/sms", text("STOP"))) == []
            assert len(endpoint.files) == 1
        endpoint.replayer.run_once()  # the stalled call or the replayer, whichever comes first
    assert (handled(endpoint), len(rows(endpoint.runtime, opt_outs))) == ({SID: "control"}, 1)


def test_an_acknowledged_call_is_processed_after_a_restart(endpoint: WebhookEndpoint) -> None:
    with endpoint.client() as client, outage.unavailable(endpoint.runtime.engine):
        call(client, "/twilio/sms", text("4"))
    (endpoint.folder / "tmpbegun").write_bytes(b"half a file")  # killed while writing another file
    endpoint.start()
    assert len(endpoint.files) == 1
    with endpoint.client() as client:
        endpoint.replayer.start()
        assert endpoint.replayed.wait(PATIENCE)
        endpoint.replayer.stop()
        assert call(client, "/twilio/sms", text("4")).status_code == 200
    assert (handled(endpoint), endpoint.files) == ({SID: "answered"}, [])


def test_the_replayer_notices_by_itself_that_the_database_is_available(
    endpoint: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_replayer, "_POLL_SECONDS", 0.01)
    with endpoint.client() as client, outage.unavailable(endpoint.runtime.engine):
        call(client, "/twilio/sms", text("4"))
        endpoint.replayer.start()
        assert endpoint.replayer.alive
    assert endpoint.replayed.wait(PATIENCE)
    endpoint.replayer.stop()
    assert endpoint.replayer.ended.result(PATIENCE) is None
    assert handled(endpoint) == {SID: "answered"}


@contextmanager
def full_disk() -> Iterator[None]:
    """Limits the file size of this process: the kernel refuses further bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_call_that_a_full_disk_cannot_store_is_not_acknowledged(endpoint: WebhookEndpoint) -> None:
    with endpoint.client() as client, outage.unavailable(endpoint.runtime.engine):
        with full_disk():
            answer = call(client, "/twilio/sms", text("4"))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert (endpoint.files, endpoint.spool.empty) == ([], True), "no partial file is left"
        assert call(client, "/twilio/sms", text("4")).status_code == 200
    endpoint.replayer.run_once()
    assert handled(endpoint) == {SID: "answered"}


@pytest.mark.parametrize("lost", ["file", "folder"])
def test_nothing_is_acknowledged_before_both_file_and_folder_are_on_disk(
    endpoint: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    fsync = os.fsync

    def _fails(number: int) -> None:
        if stat.S_ISDIR(os.fstat(number).st_mode) == (lost == "folder"):
            raise OSError(errno.EIO, "the disk is gone")
        fsync(number)

    with endpoint.client() as client, outage.unavailable(endpoint.runtime.engine):
        monkeypatch.setattr(os, "fsync", _fails)
        assert call(client, "/twilio/sms", text("4")).status_code == 503
        monkeypatch.undo()
        assert call(client, "/twilio/sms", text("4")).status_code == 200
    endpoint.start()
    endpoint.replayer.run_once()
    assert handled(endpoint) == {SID: "answered"}


def test_a_full_spool_refuses_calls_until_it_is_replayed(endpoint: WebhookEndpoint) -> None:
    endpoint.most_bytes = 2 * 4_096
    endpoint.start()
    sids = ["SM" + f"{n}" * 32 for n in range(3)]
    with endpoint.client() as client:
        with outage.unavailable(endpoint.runtime.engine):
            statuses = [call(client, "/twilio/sms", text("1", sid)).status_code for sid in sids]
        assert statuses == [200, 200, 503]
        endpoint.replayer.run_once()
        with outage.unavailable(endpoint.runtime.engine):
            assert call(client, "/twilio/sms", text("1", sids[2])).status_code == 200
    endpoint.replayer.run_once()
    assert len(handled(endpoint)) == 3


def test_calls_spooled_by_an_earlier_version_are_handled(endpoint: WebhookEndpoint) -> None:
    moment = at(hours=3).isoformat()
    fields = text("2")
    old_text = {"kind": "text", "received_at": moment, "told": fields, "token": ""}
    report = status("delivered", OTHER_SID)
    old_report = {"kind": "status", "received_at": moment, "told": report, "token": "somebody-elses"}
    for key, call_ in ((SID, old_text), (f"{OTHER_SID}-delivered", old_report)):
        endpoint.spool.put(key, at(hours=3), json.dumps(call_).encode())
    endpoint.replayer.run_once()
    assert (handled(endpoint), endpoint.files) == ({SID: "answered"}, [])
    assert rows(endpoint.runtime, answers)[0]["arrival"] == "late"
    assert rows(endpoint.runtime, provider_callbacks) == [], "the report is about an unknown message"


def spooled(state: str) -> float | None:
    return REGISTRY.get_sample_value("unvarnished_spooled_calls", {"state": state})


def test_a_call_that_cannot_be_handled_is_set_aside_and_retried_at_the_next_start(
    endpoint: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with endpoint.client() as client, outage.unavailable(endpoint.runtime.engine):
        call(client, "/twilio/sms", text("Canary, poison"))
        call(client, "/twilio/sms", text("4", OTHER_SID))
        assert (spooled("waiting"), spooled("set_aside")) == (2, 0)
    monkeypatch.setattr(answering, "stated_by", fails_on("Canary", stated_by))
    endpoint.replayer.run_once()
    assert (handled(endpoint), len(endpoint.files)) == ({OTHER_SID: "answered"}, 1)
    assert (spooled("waiting"), spooled("set_aside"), endpoint.spool.empty) == (0, 1, True)
    assert SID in caplog.text
    assert "Canary" not in caplog.text
    with endpoint.client() as client:
        assert len(replies(call(client, "/twilio/sms", text("9", "SM" + "7" * 32)))) == 1, "it blocks no other call"
    monkeypatch.undo()
    endpoint.start()
    endpoint.replayer.run_once()
    assert (SID in handled(endpoint), endpoint.files, spooled("set_aside")) == (True, [], 0)


def fails_on(word: str, state: Callable[..., Any]) -> Callable[..., Any]:
    def _state(parsed: Any, earlier_comment: Any) -> Any:
        if parsed.comment and word in parsed.comment:
            raise KeyError(parsed.comment)
        return state(parsed, earlier_comment)

    return _state


def test_a_call_altered_on_disk_is_set_aside(endpoint: WebhookEndpoint) -> None:
    with endpoint.client() as client, outage.unavailable(endpoint.runtime.engine):
        call(client, "/twilio/sms", text("4"))
    (file,) = endpoint.files
    file.write_bytes(Vault(bytes(32)).seal_bytes(b"{}"))
    endpoint.replayer.run_once()
    assert (handled(endpoint), endpoint.files) == ({}, [file])


def test_an_unusable_folder_is_reported_at_the_start(endpoint: WebhookEndpoint, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot be stored in"):
        Spool(tmp_path / "file" / "spool", VAULT, 1 << 20)
