"""Personal data of one person, sent in every way, is nowhere readable: not as text, not in base64."""

import json
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import msgspec
import pytest
from typer.testing import CliRunner

from pipeline.app.installation import open_installation
from pipeline.cli import app
from pipeline.consumers.cluster.dead_letters import DeadLetter
from pipeline.consumers.cluster.kafka.records import records_of
from pipeline.consumers.cluster.outbox_writer import OutboxWriter
from pipeline.consumers.intake import Incoming
from pipeline.domain.asking.policy import Policy
from pipeline.domain.detection.segments import parse_levels
from pipeline.settings import Settings
from pipeline.store.db.engine import connect
from pipeline.store.journal import outbox
from pipeline.store.people import api_keys
from pipeline.store.schema.people import erasures
from pipeline.store.schema.upgrade import migrate
from tests.support.builders import answered, at
from tests.support.limits import until
from tests.support.requests.canary import EMAIL, NAME, PHONE, WORDS, events, leaks
from tests.support.running.cluster import Cluster
from tests.support.running.embedded import incoming
from tests.support.running.process import TOKEN, Up

pytestmark = [pytest.mark.e2e, pytest.mark.reliability]


@pytest.fixture
def key(folder: Path) -> str:
    url = f"sqlite:///{folder / 'unvarnished.db'}"
    migrate(url)
    engine = connect(url)
    with engine.begin() as connection:
        made = api_keys.create(connection, "erp", False, at())
    engine.dispose()
    return made


def test_a_running_installation_leaks_nothing_and_an_erasure_leaves_nothing(
    start: Callable[..., Up], folder: Path, key: str
) -> None:
    now = datetime.now(UTC) - timedelta(minutes=5)
    answers_known(folder, now)
    up = start(NOTIFIER="phone", LOG_LEVEL="debug")
    sent = [up.post(key, raw)[0] for raw in events(now)]
    assert sent == [202] * 4 + [422] + [202] + [422] * 5, "answers come by form, text or topic"
    reply = urlencode({"number": PHONE, "submission": "s" * 22, "text": f"{WORDS} {NAME}"}).encode()
    request = Request(
        f"http://127.0.0.1:{up.internal}/phone/reply", reply, {"authorization": f"Bearer {TOKEN}"}, method="POST"
    )
    with urlopen(request):  # noqa: S310 - our own process
        pass
    until(lambda: up.get("/readyz")[0] == 200, "everything is processed")
    assert not leaks(up.get("/metrics")[1])
    shown = up.get("/v1/orders/SO-1")[1].decode()
    assert WORDS in shown, "who may read words reads them here"
    assert no_leak(folder) > 3, "while it runs, with its write-ahead log"
    up.process.send_signal(signal.SIGTERM)
    assert up.process.stderr is not None
    logged = up.process.stderr.read()
    assert up.close() == 0
    assert not leaks(logged.encode()), "nothing in the log"
    assert no_leak(folder) > 1

    export = run(folder, "person", "export", "A-1/kay")
    for secret in (NAME, "+44 7700 900177", EMAIL, WORDS, PHONE):
        assert secret in export
    before = run(folder, "report", "--format", "json")
    assert "takes effect" in run(folder, "person", "erase", "+44 7700 900177")
    later(folder)
    assert "1 persons erased" in run(folder, "cleanup")
    assert "kay" in run(folder, "person", "erasures")
    for arguments in (("person", "export", "A-1/kay"), ("acts", "--format", "json"), ("person", "erasures")):
        assert not leaks(run(folder, *arguments).encode())
    after = run(folder, "report", "--format", "json")
    assert json.loads(after)["total"].pop("erased") == 1
    assert without_erased(before) == without_erased(after)
    assert no_leak(folder) > 1


def answers_known(folder: Path, now: datetime) -> None:
    """Answers, and events that become dead letters, as they come on topics."""
    installation = open_installation(Settings(data_dir=folder))
    said = {"arrival": "late", "score": {"value": 2}, "comment": f"{WORDS}, {NAME}"}
    batch = [answered("SO-1", now, "kay", "words", **said), *events(now)[6:], events(now)[4]]
    installation.runner.ingest([Incoming(raw, None, f"canary:{n}") for n, raw in enumerate(batch)])
    installation.store.engine.dispose()


def later(folder: Path) -> None:
    """Make the erasure due, as seven days later."""
    engine = connect(f"sqlite:///{folder / 'unvarnished.db'}")
    with engine.begin() as connection:
        connection.execute(erasures.update().values(due_at=datetime.now(UTC) - timedelta(minutes=1)))
    engine.dispose()


def without_erased(report: str) -> object:
    rows = json.loads(report)
    for row in (rows["total"], *rows["segments"].values()):
        del row["erased"]
    return rows


def run(folder: Path, *arguments: str) -> str:
    done = CliRunner().invoke(app, arguments, env={"UNVARNISHED_DATA_DIR": str(folder)}, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def no_leak(folder: Path) -> int:
    """Search all files of the data folder. Returns their number."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in files:
        assert not leaks(path.read_bytes()), path.name
    return len(files)


def test_no_topic_that_we_write_holds_a_name_an_address_or_a_word(postgresql_database_url: str) -> None:
    levels = "depot:20"
    cluster = Cluster(postgresql_database_url, Policy(), levels)
    try:
        store = cluster.store
        batch = [incoming(raw, at(hours=1)) for raw in events(at())[:6]]
        OutboxWriter(store).store_batches([batch])
        with store.engine.begin() as connection:
            shards = outbox.lock_shards(connection, range(16))
            waiting = outbox.read(connection, shards, 100)
        records = [record for event in waiting for record in records_of(event, parse_levels(levels), "")]
        assert {record.topic for record in records} >= {"unvarnished-events", "feedback"}
        for record in records:
            assert not leaks(b"".join([record.key, record.value, *(value for _, value in record.headers)])), (
                record.topic
            )
        [feedback] = [json.loads(record.value)["data"] for record in records if record.topic == "feedback"]
        assert (feedback["comment"], feedback["has_comment"]) == (None, True)
        letter = DeadLetter(PHONE.encode(), events(at())[-1], [("ce_note", NAME.encode())])
        assert not leaks(store.vault.seal_bytes(msgspec.msgpack.encode(letter)))
    finally:
        cluster.engine.dispose()
