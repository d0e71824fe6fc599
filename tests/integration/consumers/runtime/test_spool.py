"""The provider's calls while the database is away: on disk before they are acknowledged, taken in once it is back."""

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

from pipeline.consumers import conversation
from pipeline.consumers.runtime import spool_replayer as drains
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.runtime.spool_replayer import SpoolReplayer
from pipeline.domain.asking.channels import SMS
from pipeline.domain.asking.policy import Policy
from pipeline.notifiers.channels.twilio.webhooks import TwilioWebhooks
from pipeline.settings import ConfigurationError
from pipeline.store.asks import claiming
from pipeline.store.journal.spool import Spool
from pipeline.store.people.vault import Vault
from pipeline.store.schema.answers import answers
from pipeline.store.schema.asks import asks
from pipeline.store.schema.conversations import inbound_messages, provider_callbacks
from pipeline.store.schema.people import opt_outs
from pipeline.web.http.services import Services
from pipeline.web.public import provider_webhooks
from pipeline.web.public.provider_webhooks import ProviderWebhooks
from tests.support.running.embedded import VAULT, take
from tests.support.builders import at, completed, scanned
from tests.support.limits import PATIENCE
from tests.support.requests import doors
from tests.support.requests.doors import PHONE, Ticking
from tests.support.requests.twilio_calls import ACCOUNT, KEY, SID, call, replies, status, text
from tests.support.running.sending import sending_runner
from tests.support.servers import outage
from tests.support.stored import rows

OTHER_SID = "SM" + "9" * 32


@dataclass
class Door:
    """The provider's door on a database that may be away, and the spool behind it."""

    runtime: EmbeddedRunner
    services: Services
    folder: Path
    most_bytes: int = 1 << 20

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begin, with what is on disk: again is what a restart is."""
        self.spool = Spool(self.folder, VAULT, self.most_bytes)
        provider = ProviderWebhooks(SMS, TwilioWebhooks(ACCOUNT, [KEY], doors.PUBLIC_URL))
        self.routes = provider_webhooks.routes(self.services, provider, self.spool)
        take = provider_webhooks.spooled_call_handler(self.services, provider)
        self.taken = threading.Event()
        self.drain = SpoolReplayer(self.spool, self.runtime.engine, take, self._told)

    def _told(self) -> None:
        self.runtime.process_pending()
        self.taken.set()

    @contextmanager
    def client(self) -> Iterator[TestClient[Litestar]]:
        with doors.client(*self.routes) as made:
            yield made

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.iterdir())


@pytest.fixture
def door(runtime: EmbeddedRunner, tmp_path: Path) -> Door:
    doors.sent(runtime)
    return Door(runtime, doors.services(runtime, Ticking(at(hours=3))), tmp_path / "spool")


def heard(door: Door) -> dict[str, str]:
    return {row["message_id"]: row["outcome"] for row in rows(door.runtime, inbound_messages)}


def test_a_text_received_while_the_database_is_unavailable_is_processed_afterwards(door: Door) -> None:
    with door.client() as client:
        with outage.away(door.runtime.engine):
            answer = call(client, "/twilio/sms", text("late"))
            assert (answer.status_code, replies(answer)) == (200, [])
            (file,) = door.files
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert stat.S_IMODE(door.folder.stat().st_mode) == 0o700
            assert not any(told in file.read_bytes() for told in (b"late", PHONE.encode(), b"4477"))
            door.drain.run_once()
            assert door.files == [file], "it stays until the database is back"
        assert rows(door.runtime, inbound_messages) == []
        door.drain.run_once()
        assert heard(door) == {SID: "answered"}
        (answered,) = rows(door.runtime, answers)
        assert (answered["arrival"], answered["answered_at"]) == ("late", at(hours=3) + timedelta(milliseconds=1))
        assert rows(door.runtime, inbound_messages)[0]["reply"] is None, "none was sent"
        assert door.files == []
        assert len(replies(call(client, "/twilio/sms", text("7", OTHER_SID)))) == 1, "as ever"


def test_a_repeated_call_is_one_file_and_processed_once(door: Door) -> None:
    with door.client() as client:
        with outage.away(door.runtime.engine):
            for _ in range(3):
                assert call(client, "/twilio/sms", text("4")).status_code == 200
            assert len(door.files) == 1
        assert call(client, "/twilio/sms", text("4")).status_code == 200
        door.drain.run_once()
        assert call(client, "/twilio/sms", text("4")).status_code == 200
    assert (heard(door), len(rows(door.runtime, answers)), door.files) == ({SID: "answered"}, 1, [])


def test_a_text_waits_behind_those_spooled_before(door: Door) -> None:
    """Else a score would be read before the word it follows."""
    with door.client() as client:
        with outage.away(door.runtime.engine):
            call(client, "/twilio/sms", text("1", "SM" + "f" * 32))
            call(client, "/twilio/sms", text("9", "SM" + "a" * 32))
        assert replies(call(client, "/twilio/sms", text("all good", "SM" + "0" * 32))) == []
        assert heard(door) == {}
    door.drain.run_once()
    last = max(rows(door.runtime, answers), key=lambda row: row["answered_at"])
    assert (last["arrival"], last["score"], last["comment"]) == ("on_time", 9, "all good")


def test_a_status_is_spooled_too_unless_its_message_is_unknown(door: Door) -> None:
    path = "/twilio/status?token=somebody-elses"
    with door.client() as client:
        with outage.away(door.runtime.engine):
            for word in ("sent", "delivered", "sent"):
                assert call(client, path, status(word)).status_code == 204
            assert len(door.files) == 2
            assert call(client, path, status("delivered"), key="c" * 32).status_code == 403, "signed all the same"
        door.drain.run_once()
    assert (rows(door.runtime, provider_callbacks), door.files, door.spool.empty) == ([], [], True)


def test_a_spooled_status_changes_its_ask(database_url: str, tmp_path: Path) -> None:
    runtime = sending_runner(database_url, Policy(remind_after=None))
    take(runtime, completed(), scanned(time=at(hours=2)))
    with runtime.engine.begin() as connection:
        claims = claiming.claim(connection, VAULT, Policy(), "one", {"sms"}, at(hours=2), 10, timedelta(seconds=60))
    door = Door(runtime, doors.services(runtime, Ticking(at(hours=3))), tmp_path / "spool")
    with door.client() as client, outage.away(runtime.engine):
        path = f"/twilio/status?token={claims.to_send[0].callback_token}"
        assert call(client, path, status("delivered")).status_code == 204
    door.drain.run_once()
    assert [row["state"] for row in rows(runtime, asks)] == ["delivered"]
    runtime.engine.dispose()


def test_a_stalled_database_is_waited_for_no_longer_than_the_provider_waits(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_webhooks, "TIMEOUT_SECONDS", 0.05)
    with door.client() as client:
        with outage.stalling(door.runtime.engine):
            assert replies(call(client, "/twilio/sms", text("STOP"))) == []
            assert len(door.files) == 1
        door.drain.run_once()  # whichever of the two comes first
    assert (heard(door), len(rows(door.runtime, opt_outs))) == ({SID: "control"}, 1)


def test_an_acknowledged_call_is_processed_after_a_restart(door: Door) -> None:
    with door.client() as client, outage.away(door.runtime.engine):
        call(client, "/twilio/sms", text("4"))
    (door.folder / "tmpbegun").write_bytes(b"half a file")  # killed while it wrote another one
    door.start()
    assert len(door.files) == 1
    with door.client() as client:
        door.drain.start()
        assert door.taken.wait(PATIENCE)
        door.drain.stop()
        assert call(client, "/twilio/sms", text("4")).status_code == 200
    assert (heard(door), door.files) == ({SID: "answered"}, [])


def test_the_replayer_notices_by_itself_that_the_database_is_available(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drains, "_POLL_SECONDS", 0.01)
    with door.client() as client, outage.away(door.runtime.engine):
        call(client, "/twilio/sms", text("4"))
        door.drain.start()
        assert door.drain.alive
    assert door.taken.wait(PATIENCE)
    door.drain.stop()
    assert door.drain.ended.result(PATIENCE) is None
    assert heard(door) == {SID: "answered"}


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process may grow any more: the kernel refuses the bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_call_that_a_full_disk_cannot_store_is_not_acknowledged(door: Door) -> None:
    with door.client() as client, outage.away(door.runtime.engine):
        with full_disk():
            answer = call(client, "/twilio/sms", text("4"))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert (door.files, door.spool.empty) == ([], True), "and no half of it is left"
        assert call(client, "/twilio/sms", text("4")).status_code == 200
    door.drain.run_once()
    assert heard(door) == {SID: "answered"}


@pytest.mark.parametrize("lost", ["file", "folder"])
def test_nothing_is_acknowledged_before_both_file_and_folder_are_on_disk(
    door: Door, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    fsync = os.fsync

    def _fails(number: int) -> None:
        if stat.S_ISDIR(os.fstat(number).st_mode) == (lost == "folder"):
            raise OSError(errno.EIO, "the disk is gone")
        fsync(number)

    with door.client() as client, outage.away(door.runtime.engine):
        monkeypatch.setattr(os, "fsync", _fails)
        assert call(client, "/twilio/sms", text("4")).status_code == 503
        monkeypatch.undo()
        assert call(client, "/twilio/sms", text("4")).status_code == 200
    door.start()
    door.drain.run_once()
    assert heard(door) == {SID: "answered"}


def test_a_full_spool_refuses_calls_until_it_is_replayed(door: Door) -> None:
    door.most_bytes = 2 * 4_096
    door.start()
    sids = ["SM" + f"{n}" * 32 for n in range(3)]
    with door.client() as client:
        with outage.away(door.runtime.engine):
            statuses = [call(client, "/twilio/sms", text("1", sid)).status_code for sid in sids]
        assert statuses == [200, 200, 503]
        door.drain.run_once()
        with outage.away(door.runtime.engine):
            assert call(client, "/twilio/sms", text("1", sids[2])).status_code == 200
    door.drain.run_once()
    assert len(heard(door)) == 3


def test_calls_spooled_by_an_earlier_version_are_handled(door: Door) -> None:
    moment = at(hours=3).isoformat()
    told = text("2")
    old_text = {"kind": "text", "received_at": moment, "told": told, "token": ""}
    report = status("delivered", OTHER_SID)
    old_report = {"kind": "status", "received_at": moment, "told": report, "token": "somebody-elses"}
    for key, call_ in ((SID, old_text), (f"{OTHER_SID}-delivered", old_report)):
        door.spool.put(key, at(hours=3), json.dumps(call_).encode())
    door.drain.run_once()
    assert (heard(door), door.files) == ({SID: "answered"}, [])
    assert rows(door.runtime, answers)[0]["arrival"] == "late"
    assert rows(door.runtime, provider_callbacks) == [], "the report is on no message of ours"


def spooled(state: str) -> float | None:
    return REGISTRY.get_sample_value("unvarnished_spooled_calls", {"state": state})


def test_a_call_that_cannot_be_handled_is_set_aside_and_retried_at_the_next_start(
    door: Door, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with door.client() as client, outage.away(door.runtime.engine):
        call(client, "/twilio/sms", text("Canary, poison"))
        call(client, "/twilio/sms", text("4", OTHER_SID))
        assert (spooled("waiting"), spooled("set_aside")) == (2, 0)
    monkeypatch.setattr(conversation, "_statement", fails_on("Canary", conversation._statement))
    door.drain.run_once()
    assert (heard(door), len(door.files)) == ({OTHER_SID: "answered"}, 1)
    assert (spooled("waiting"), spooled("set_aside"), door.spool.empty) == (0, 1, True)
    assert SID in caplog.text
    assert "Canary" not in caplog.text
    with door.client() as client:
        assert len(replies(call(client, "/twilio/sms", text("9", "SM" + "7" * 32)))) == 1, "and in nobody's way"
    monkeypatch.undo()
    door.start()
    door.drain.run_once()
    assert (SID in heard(door), door.files, spooled("set_aside")) == (True, [], 0)


def fails_on(word: str, merge: Callable[..., Any]) -> Callable[..., Any]:
    def _merge(said: Any, reading: Any) -> Any:
        if reading.comment and word in reading.comment:
            raise KeyError(reading.comment)
        return merge(said, reading)

    return _merge


def test_a_call_altered_on_disk_is_set_aside(door: Door) -> None:
    with door.client() as client, outage.away(door.runtime.engine):
        call(client, "/twilio/sms", text("4"))
    (file,) = door.files
    file.write_bytes(Vault(bytes(32)).seal_bytes(b"{}"))
    door.drain.run_once()
    assert (heard(door), door.files) == ({}, [file])


def test_an_unusable_folder_is_reported_at_the_start(door: Door, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot be stored in"):
        Spool(tmp_path / "file" / "spool", VAULT, 1 << 20)
