"""Requests as ordinary HTTP clients send them, and requests that no client should send, on a running `up`."""

import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline.store.db.engine import connect
from pipeline.store.people import api_keys
from pipeline.store.schema.upgrade import migrate
from tests.support.builders import at, completed
from tests.support.limits import PATIENCE
from tests.support.running.process import Up
from tests.support.servers.tools import find

pytestmark = pytest.mark.e2e

BATCH = "application/cloudevents-batch+json"
UPGRADES = {
    "curl --http2": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
    "Java": b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\nUpgrade: h2c\r\n",
    "two headers": b"Connection: HTTP2-Settings\r\nConnection: upgrade\r\nUpgrade: h2c\r\n",
    "a web socket": b"Connection: keep-alive, UPGRADE\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    "TLS": b"Upgrade: TLS/1.0\r\nConnection: Upgrade\r\n",
}


class Running:
    """A running `up`, a key for it, and what it logs."""

    def __init__(self, folder: Path) -> None:
        url = f"sqlite:///{folder / 'unvarnished.db'}"
        folder.mkdir()
        migrate(url)
        engine = connect(url)
        with engine.begin() as connection:
            self.key = api_keys.create(connection, "erp", False, at())
        engine.dispose()
        self.up = Up(folder)
        self.log: list[str] = []
        assert self.up.process.stderr is not None
        threading.Thread(target=self.log.extend, args=(self.up.process.stderr,), daemon=True).start()

    def head(self, *more: bytes, length: int | None = None, host: bytes = b"Host: x\r\n") -> bytes:
        """The head of a request with an event."""
        size = b"" if length is None else b"Content-Length: %d\r\n" % length
        key = b"Authorization: Bearer %s\r\nContent-Type: application/cloudevents+json\r\n" % self.key.encode()
        return b"POST /v1/events HTTP/1.1\r\n" + host + key + size + b"".join(more) + b"\r\n"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.up.public), PATIENCE)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    made = Running(tmp_path_factory.mktemp("clients") / "data")
    yield made
    made.up.end(signal.SIGTERM)


class Answers:
    """The responses on a connection, read one by one."""

    def __init__(self, client: socket.socket) -> None:
        self._file = client.makefile("rb")

    def next(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the next response."""
        status = int(self._file.readline().split()[1])
        headers = dict[str, str]()
        while (line := self._file.readline().decode().strip()) != "":
            name, _, value = line.partition(": ")
            headers[name] = value
        return status, headers, self._file.read(int(headers.get("content-length", 0)))

    def rest(self) -> bytes:
        """What follows until the server closes."""
        try:
            return self._file.read()
        except ConnectionResetError:
            return b""


def test_a_client_that_waits_for_100_continue_is_told_to_go_on(running: Running) -> None:
    body = completed("SO-EXPECT")
    with running.connect() as client:
        answers = Answers(client)
        for duplicates in (0, 1):  # the connection stays usable
            client.sendall(running.head(b"Expect: 100-continue\r\n", length=len(body)))
            assert answers.next()[0] == 100
            client.sendall(body)
            status, headers, said = answers.next()
            assert (status, json.loads(said)) == (202, {"new": 1 - duplicates, "duplicates": duplicates})
            assert "connection" not in headers


def test_a_refusal_instead_of_100_continue_ends_the_connection(running: Running) -> None:
    """Otherwise nobody could know whether the bytes that follow are the body or the next request."""
    second = b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
    for head in (
        b"POST /v1/events HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(second),
        running.head(b"Expect: 100-Continue\r\n", length=5_000_000_000),
    ):
        with running.connect() as client:
            client.sendall(head)
            answers = Answers(client)
            status, headers, _ = answers.next()
            assert status in (401, 413)
            assert headers["connection"] == "close"
            assert answers.rest() == b""


def test_an_expectation_of_http_1_0_is_ignored(running: Running) -> None:
    body = completed("SO-OLD")
    head = running.head(b"Expect: 100-continue\r\n", length=len(body)).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    with running.connect() as client:
        client.sendall(head)
        time.sleep(0.2)
        client.sendall(body)
        answers = Answers(client)
        assert answers.next()[0] == 202
        assert answers.rest() == b""


@pytest.mark.parametrize("name", UPGRADES)
def test_an_offer_to_upgrade_is_answered_as_http_1_1(running: Running, name: str) -> None:
    """However the bytes arrive: with the head, after it, cut anywhere, or followed by the next request."""
    body = completed(f"SO-{name}")
    request = running.head(UPGRADES[name], length=len(body)) + body
    head = len(request) - len(body)
    for cuts in ([], [head], [head + 1], [20, head - 3, head + 10], range(1, len(request), 97)):
        with running.connect() as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            positions = [0, *cuts, len(request)]
            for start, end in pairwise(positions):
                client.sendall(request[start:end])
                time.sleep(0.002)
            client.sendall(request + b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answers = Answers(client)
            assert [answers.next()[0] for _ in range(3)] == [202, 202, 404], name
            assert answers.rest() == b""


def test_a_body_after_an_upgrade_is_never_a_request(running: Running) -> None:
    """Behind a proxy it would be a request of somebody else."""
    smuggled = b"GET /static/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(smuggled), smuggled)
    for framing, body in (
        (b"Content-Length: %d\r\n" % len(smuggled), smuggled),
        (b"Transfer-Encoding: chunked\r\n", chunked),
    ):
        for upgrade in UPGRADES.values():
            for pause in (0.0, 0.05):
                with running.connect() as client:
                    client.sendall(running.head(upgrade, framing, b"X: y\r\n"))
                    time.sleep(pause)
                    client.sendall(body)
                    answers = Answers(client)
                    assert answers.next()[0] == 422
                    client.shutdown(socket.SHUT_WR)
                    assert answers.rest() == b""


def test_connect_and_other_protocols_are_refused(running: Running) -> None:
    for request, statuses in (
        (b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", {405}),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400}),
        (b"GET /v1/version\r\n\r\n", {400, 505}),
        (b"GET / HTTP/0.9\r\nHost: x\r\n\r\n", {400, 505}),
    ):
        with running.connect() as client:
            client.sendall(request)
            answers = Answers(client)
            status, headers, _ = answers.next()
            assert status in statuses, request
            assert headers["content-type"] == "application/problem+json"
            assert answers.rest() == b""


def test_no_bytes_mean_two_things(running: Running) -> None:
    """Two lengths, a length and chunks, folded lines: each is refused, and ends the connection."""
    second = b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
    for framing in (
        b"Content-Length: 3\r\nContent-Length: 5\r\n",
        b"Content-Length: 3, 5\r\n",
        b"Content-Length: +3\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"X: y\r\n Transfer-Encoding: chunked\r\n",
    ):
        with running.connect() as client:
            client.sendall(running.head(framing) + b"0\r\n\r\n" + second)
            answers = Answers(client)
            assert answers.next()[0] == 400, framing
            assert answers.rest() == b"", framing


def test_trailers_are_no_headers(running: Running) -> None:
    event = json.loads(completed("SO-TRAILER"))
    data = json.dumps(event.pop("data")).encode()
    trailers = b"".join(b"ce-%s: %s\r\n" % (name.encode(), str(value).encode()) for name, value in event.items())
    with running.connect() as client:
        client.sendall(
            running.head(b"Transfer-Encoding: chunked\r\n").replace(b"cloudevents+json", b"json")
            + b"%x\r\n%s\r\n0\r\n%s\r\n" % (len(data), data, trailers)
        )
        assert Answers(client).next()[0] == 422


def test_each_request_names_one_host(running: Running) -> None:
    for host, status in (
        (b"Host: x\r\nHost: y\r\n", 400),
        (b"Host: x\r\nhost: x\r\n", 400),
        (b"", 400),
        (b"Host: x\r\n", 404),
    ):
        with running.connect() as client:
            client.sendall(b"GET /nothing HTTP/1.1\r\n" + host + b"Connection: close\r\n\r\n")
            answered, headers, said = Answers(client).next()
            assert (answered, headers["content-type"]) == (status, "application/problem+json")
            assert status == 404 or "Host" in json.loads(said)["detail"]
    with running.connect() as client:  # optional in HTTP/1.0
        client.sendall(b"GET /nothing HTTP/1.0\r\n\r\n")
        assert Answers(client).next()[0] == 404


def test_heads_over_16_kib_are_refused_however_they_arrive(running: Running) -> None:
    heads = {
        "one header": b"GET /nothing HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 17_000 + b"\r\n\r\n",
        "many headers": b"GET /nothing HTTP/1.1\r\nHost: x\r\n"
        + b"".join(b"X-%d: y\r\n" % n for n in range(2_000))
        + b"\r\n",
        "a long address": b"GET /" + b"x" * 17_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        "without an end": b"GET /nothing HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 17_000,
        "an upgrade": b"GET /nothing HTTP/1.1\r\nHost: x\r\n" + UPGRADES["Java"] + b"X: " + b"x" * 17_000 + b"\r\n\r\n",
    }
    for name, head in heads.items():
        for size in (len(head), 5_000):
            with running.connect() as client:
                try:
                    for start in range(0, len(head), size):
                        client.sendall(head[start : start + size])
                        time.sleep(0.01)
                except OSError:
                    pass  # it was refused before all was sent
                answers = Answers(client)
                assert answers.next()[0] == 431, name
                assert answers.rest() == b""
    with running.connect() as client:
        client.sendall(b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: " + b"x" * 15_000 + b"\r\n\r\n")
        assert Answers(client).next()[0] == 404


def test_a_request_after_a_large_body_is_no_large_head(running: Running) -> None:
    body = b"[" + b" " * 200_000 + completed("SO-LARGE") + b"]"
    request = running.head(length=len(body)).replace(b"cloudevents+json", b"json") + body
    with running.connect() as client:
        client.sendall(request + b"GET /nothing HTTP/1.1\r\n")
        time.sleep(0.1)
        client.sendall(b"Host: x\r\n\r\n")
        answers = Answers(client)
        assert [answers.next()[0], answers.next()[0]] == [202, 404]


def test_a_refusal_follows_the_responses_that_are_due(running: Running) -> None:
    body = completed("SO-DUE")
    request = running.head(length=len(body)) + body
    with running.connect() as client:
        client.sendall(request * 3 + b"NOT HTTP\r\n\r\n")
        answers = Answers(client)
        assert [answers.next()[0] for _ in range(3)] == [202] * 3
        assert answers.rest()[:12] in (b"", b"HTTP/1.1 400")
    with running.connect() as client:  # the body of a request turns out to be none
        client.sendall(running.head(b"Transfer-Encoding: chunked\r\n") + b"5\r\n{....\r\nxyz\r\n")
        answers = Answers(client)
        assert answers.next()[0] == 400
        assert answers.rest() == b""


def test_a_client_that_hangs_up_is_no_bug(running: Running) -> None:
    head = running.head(length=100_000)
    for partial in (
        head,
        head + b'{"specversion"',
        head + b" " * 70_000,
        running.head(b"Expect: 100-continue\r\n", length=9),
    ):
        for reset in (False, True):
            client = running.connect()
            client.sendall(partial)
            time.sleep(0.05)
            if reset:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
    whole = completed("SO-GONE")
    with running.connect() as client:
        client.sendall(running.head(length=len(whole)) + whole)  # and hangs up without reading the response
    time.sleep(0.3)
    assert running.up.post(running.key, completed("SO-HERE"))[0] == 202
    assert running.log == []


@pytest.mark.parametrize("option", ["--http1.1", "--http2", "--http1.0"])
def test_curl_sends_a_large_batch(running: Running, tmp_path: Path, option: str) -> None:
    """More than 1 MiB: then curl asks for 100-continue by itself."""
    curl = find("curl")
    file = tmp_path / "batch.json"
    file.write_bytes(b"[" + b",".join(completed(f"SO-{option}-{n}") for n in range(400)) + b" " * 1_500_000 + b"]")
    options = ["-sS", "-w", "\n%{http_code}", option, "--data-binary", f"@{file}", "-H", f"Content-Type: {BATCH}"]
    address = f"http://127.0.0.1:{running.up.public}/v1/events"
    command = [curl, *options, "-H", f"Authorization: Bearer {running.key}", address]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE)
    said, _, status = done.stdout.rpartition("\n")
    assert (status, json.loads(said)["new"]) == ("202", 400), done.stdout


JAVA = """
import java.net.URI; import java.net.http.*; import java.nio.file.*;
public class Send {
  public static void main(String[] a) throws Exception {
    HttpClient client = HttpClient.newHttpClient();
    for (int i = 0; i < 2; i++) {
      HttpRequest.Builder made = HttpRequest.newBuilder(URI.create(a[0]))
        .header("Content-Type", "application/cloudevents+json")
        .header("Authorization", "Bearer " + a[1]).expectContinue(i == 1);
      System.out.println(client.send(made.POST(HttpRequest.BodyPublishers.ofFile(Path.of(a[2]))).build(),
        HttpResponse.BodyHandlers.ofString()).statusCode());
    }
  }
}
"""


def test_the_http_client_of_java_sends_events(running: Running, tmp_path: Path) -> None:
    """It offers h2c with each first request."""
    java = find("java")
    (tmp_path / "Send.java").write_text(JAVA)
    (tmp_path / "event.json").write_bytes(completed("SO-JAVA"))
    address = f"http://127.0.0.1:{running.up.public}/v1/events"
    command = [java, str(tmp_path / "Send.java"), address, running.key, str(tmp_path / "event.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.stdout.split() == ["202", "202"], done.stderr
