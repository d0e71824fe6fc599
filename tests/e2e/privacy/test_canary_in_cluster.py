"""Personal data of one person in a cluster of real processes, on Kafka and PostgreSQL, is nowhere readable."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from sqlalchemy import URL, make_url, text
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.consumers.cluster.kafka.topics import RECEIVED, TOPICS
from tests.support.builders import scanned
from tests.support.inputs.canary import EMAIL, NAME, PHONE, WORDS, events, leaks
from tests.support.limits import until
from tests.support.running.roles import TOKEN, Cluster, cluster
from tests.support.servers.postgres_contents import files_of, rows_of_tables, wal_file

pytestmark = [pytest.mark.e2e, pytest.mark.reliability]

_STRUCTURED = [("content-type", b"application/cloudevents+json")]


@pytest.fixture
def running(tmp_path: Path, postgresql_database_url: str, kafka_bootstrap: str, topic_prefix: str) -> Iterator[Cluster]:
    with cluster(tmp_path, postgresql_database_url, kafka_bootstrap, topic_prefix, NOTIFIER="phone") as made:
        made.start("web", "relay", "worker", "dispatcher")
        yield made


def test_a_cluster_leaks_nothing_and_an_erasure_leaves_nothing(
    running: Cluster, postgresql_database_url: str, tmp_path: Path
) -> None:
    database = make_url(postgresql_database_url)
    before_it = wal_file(database)
    everything_arrives(running)
    web = next(process for process in running.processes if process.role == "web")
    assert WORDS in web.get("/v1/orders/SO-1")[1], "who may read words reads them here"
    nothing_is_readable(running, database, before_it, tmp_path)

    export = run(running, "person", "export", "A-1/kay")
    for secret in (NAME, "+44 7700 900177", EMAIL, WORDS, PHONE):
        assert secret in export
    before = report(running)
    assert "takes effect" in run(running, "person", "erase", "+44 7700 900177")
    with running.engine.begin() as connection:
        connection.execute(text("UPDATE erasures SET due_at = now() - interval '1 minute'"))
    assert "1 persons erased" in run(running, "cleanup")
    pages = ["/", "/dashboard", "/report", "/inbox", "/orders/SO-1", "/v1/orders/SO-1", "/phone", "/persons"]
    pages += ["/acts", "/v1/inbox"]
    for path in pages:
        status, page = web.get(path)
        assert (status, leaks(page.encode())) == (200, []), path
    for arguments in (("person", "export", "A-1/kay"), ("acts", "--format", "json"), ("person", "erasures")):
        assert not leaks(run(running, *arguments).encode()), arguments
    after = report(running)
    assert after["total"].pop("erased") == 1
    assert before["total"].pop("erased") == 0
    assert after == before, "figures are those of before"
    nothing_is_readable(running, database, before_it, tmp_path)


def everything_arrives(running: Cluster) -> None:
    """The person in every way in: HTTP, topics (also broken), a form, a text."""
    now = datetime.now(UTC) - timedelta(minutes=5)
    sent = events(now)
    client = running.http_client()
    assert client.send_events([*sent[:4], scanned("SO-1", now, note=f"{NAME} {WORDS}", event_id="delivered")])
    running.produce("orders", [(raw, _STRUCTURED) for raw in (sent[6], sent[8], sent[9])])
    running.produce("deliveries", [(sent[7], [*_STRUCTURED, ("ce_note", NAME.encode())])])
    web = next(process for process in running.processes if process.role == "web")
    until(lambda: count(running, "SELECT count(*) FROM asks WHERE state = 'sent' OR state = 'delivered'"), "a question")
    token = until(lambda: re.search(r"/f/([\w-]+)", web.get("/phone")[1]), "its link")
    fields = [("submission", "first"), ("arrival", "late"), ("goods", "complete"), ("score", "2")]
    assert client.submit_form(token[1], [*fields, ("comment", f"{WORDS}, says {NAME}, {PHONE}")])
    reply = urlencode({"number": PHONE, "submission": "s" * 22, "text": f"{WORDS} {NAME}"}).encode()
    authorized = {"authorization": f"Bearer {TOKEN}"}
    with urlopen(Request(f"http://127.0.0.1:{web.port}/phone/reply", reply, authorized, method="POST")):
        pass
    until(lambda: count(running, "SELECT count(*) FROM answers WHERE contact_id = 'kay'"), "the answer")
    until(lambda: count(running, "SELECT count(*) FROM inbound_messages"), "the text")
    until(lambda: len(running.records("dead-letters")) == 4, "dead letters")
    until(lambda: running.records("truth"), "the pair")
    until(lambda: not count(running, "SELECT count(*) FROM outbox"), "an empty outbox")


def nothing_is_readable(running: Cluster, database: URL, first_wal_file: str, folder: Path) -> None:
    """Search topics that we write, the database as tables and as files, our files, logs and metrics."""
    for topic in sorted(set(TOPICS) - set(RECEIVED)):
        for record in running.records(topic):
            parts = (record.key or b"", record.value or b"", *(value for _, value in record.headers))
            assert not leaks(b"".join(parts)), topic
    tables = rows_of_tables(database)
    assert tables.keys() >= {"journal", "answers", "people", "outbox", "dead_letters", "acts", "inbound_messages"}
    for table, rows in tables.items():
        assert not leaks(rows), table
    files = files_of(database, first_wal_file)
    for contents in (files, tables):
        assert any(b"SO-1" in each for each in contents.values()), "the search finds what is there"
    for name, one in files.items():
        assert not leaks(one), name
    ours = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in ours} >= {".log"}
    for path in ours:
        assert not leaks(path.read_bytes()), path.name
    for process in running.processes:
        assert not leaks(process.get("/metrics")[1].encode()), process.role


def count(running: Cluster, query: str) -> int:
    with running.engine.connect() as connection:
        return int(connection.execute(text(query)).scalar_one())


def report(running: Cluster) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads(run(running, "report", "--format", "json"))
    return found


def run(running: Cluster, *arguments: str) -> str:
    done = CliRunner().invoke(app, arguments, env=running.environment(), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout
