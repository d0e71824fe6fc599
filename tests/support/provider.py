"""A stub of an unreliable provider: a real HTTP server with the part of Twilio's Messages API that we use.

Every POST is written to a journal on disk, with fsync, before the response: the journal contains every request that was
received, whatever happened to the connection. The response of each request is scripted.
"""

import json
import os
import socket
import struct
import threading
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from hashlib import sha1
from hmac import digest
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.support.limits import PATIENCE

ACCOUNT = "AC" + "0" * 32
NUMBER = "+15005550006"  # our number at the provider
TOKEN = "not-a-secret"
Answer = Literal[
    "accept",  # 201 with an id
    "slow",  # as "accept", after a delay or once the stub is closed
    "busy",  # 429, no message created
    "error",  # 500, no message created
    "error_made",  # 500, but the message is created
    "reset",  # message created, then the connection is reset
    "broken",  # message created, then a response that is not JSON
    "half",  # message created, then half a response
    "silent",  # message created, no response
    "opted_out",  # 400 with 21610
    "invalid",  # 400 with 21211
    "unauthorized",  # 401 with 20003
    "proxy",  # 403 with the page of a proxy
]
MADE = frozenset({"accept", "slow", "error_made", "reset", "broken", "half", "silent"})
When = Literal["early", "late", "twice", "never"]
_CODES = {"opted_out": (400, 21610), "invalid": (400, 21211), "unauthorized": (401, 20003), "busy": (429, 20429)}
_SLOW_SECONDS, _MAX_SECONDS = 0.2, 30.0  # delay of a slow and of a silent response, unless the stub is closed before


@dataclass
class Made:
    """A message at the provider; `inbound`: a text that was sent to us."""

    sid: str
    fields: dict[str, str]
    created: datetime
    status: str = "queued"
    inbound: bool = False
    listings_to_skip: int = 0  # listings until the list contains it


@dataclass
class Provider:
    """The running stub. `script` contains the responses of the next requests, `always` that of all others."""

    journal: Path
    always: Answer = "accept"
    callbacks: When = "never"
    final: str = "delivered"  # the status of the last callback
    lag: int = 0  # listings until the list contains a new message
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    # Delivers a callback; by default by HTTP, signed.
    call_back: Callable[[str, Mapping[str, str]], None] | None = None
    script: deque[Answer] = field(default_factory=deque)
    made: list[Made] = field(default_factory=list)
    texts: list[Made] = field(default_factory=list)
    listings: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._delayed: list[tuple[str, dict[str, str]]] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.provider = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="provider", daemon=True)

    def __enter__(self) -> "Provider":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The base URL of the stub."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def posts(self) -> list[dict[str, str]]:
        """Every POST that was received, from the journal."""
        if not self.journal.exists():
            return []
        return [json.loads(line) for line in self.journal.read_text().splitlines()]

    def plan(self, *answers: Answer) -> None:
        """Set the responses of the next requests."""
        with self._lock:
            self.script.extend(answers)

    def deliver_late(self) -> int:
        """Send the delayed callbacks. Returns their number."""
        with self._lock:
            delayed, self._delayed = self._delayed, []
        for url, fields in delayed:
            self._send(url, fields)
        return len(delayed)

    def receive(self, fields: dict[str, str]) -> Answer:
        """Record a POST durably, then choose the response."""
        with self._lock:
            answer = self.script.popleft() if self.script else self.always
            with self.journal.open("a") as file:
                file.write(json.dumps(fields | {"answer": answer}) + "\n")
                file.flush()
                os.fsync(file.fileno())
            if answer not in MADE:
                return answer
            message = Made(f"SM{len(self.made):032x}", fields, self.now(), listings_to_skip=self.lag)
            self.made.append(message)
            fields["sid"] = message.sid
        self._call_back(message)
        return answer

    def text(self, body: str, sender: str, at: datetime, to: str = NUMBER, service: str | None = None) -> Made:
        """A text to one of our numbers, without a webhook call."""
        fields = {"From": sender, "To": to, "Body": body} | ({"MessagingServiceSid": service} if service else {})
        message = Made(f"SMf{len(self.texts):031x}", fields, at, "received", inbound=True)
        self.texts.append(message)
        return message

    def listed(self, to: str | None, since: datetime | None, first_page: bool) -> list[Made]:
        """The messages to a number, or to all, that the list contains now, newest first."""
        with self._lock:
            self.listings += first_page
            shown = []
            for message in sorted([*self.made, *self.texts], key=lambda one: one.created)[::-1]:
                if to not in (None, message.fields["To"]):
                    continue
                if since is not None and message.created < since:
                    continue
                if message.listings_to_skip > 0:
                    message.listings_to_skip -= first_page
                    continue
                shown.append(message)
            return shown

    def delay(self, seconds: float) -> None:
        """Delay a response."""
        self._closed.wait(seconds)

    def _call_back(self, message: Made) -> None:
        url = message.fields.get("StatusCallback")
        if url is None or self.callbacks == "never":
            return
        steps = [_callback(message, status) for status in ("sent", self.final)]
        message.status = self.final
        if self.callbacks == "late":
            with self._lock:
                self._delayed += [(url, step) for step in reversed(steps)]  # in the wrong order
            return
        for step in steps:
            self._send(url, step)
        if self.callbacks == "twice":
            with self._lock:
                self._delayed += [(url, step) for step in steps]

    def _send(self, url: str, fields: dict[str, str]) -> None:
        if self.call_back is not None:
            self.call_back(url, fields)
            return
        parts = urlsplit(url)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
        target = f"{parts.path}?{parts.query}"
        headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": sign(url, fields)}
        with suppress(OSError):  # no listener: the callback is lost
            connection.request("POST", target, urlencode(fields), headers)
            connection.getresponse().read()
        connection.close()


def sign(url: str, fields: Mapping[str, str], token: str = TOKEN) -> str:
    """Twilio's signature of a form POST."""
    text = url + "".join(name + fields[name] for name in sorted(fields))
    return b64encode(digest(token.encode(), text.encode(), sha1)).decode()


def _callback(message: Made, status: str) -> dict[str, str]:
    fields = {"MessageSid": message.sid, "MessageStatus": status, "To": message.fields["To"], "AccountSid": ACCOUNT}
    return fields | ({"ErrorCode": "30003"} if status in ("failed", "undelivered") else {})


def _as_json(message: Made) -> dict[str, Any]:
    return {
        "sid": message.sid,
        "account_sid": ACCOUNT,
        "to": message.fields["To"],
        "from": message.fields.get("From"),
        "direction": "inbound" if message.inbound else "outbound-api",
        "messaging_service_sid": message.fields.get("MessagingServiceSid"),
        "body": message.fields.get("Body") or message.fields["ContentVariables"],
        "status": message.status,
        "error_code": None,
        "date_created": format_datetime(message.created),
        "date_sent": None if message.status == "queued" else format_datetime(message.created),
        "date_updated": format_datetime(message.created),
    }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    provider: Provider

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that disconnect are part of these tests."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10

    def do_POST(self) -> None:
        provider = self.server.provider
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length)
        if len(body) < length:  # the sender died: no server processes half a request
            self.close_connection = True
            return
        fields = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        if not self.path.endswith(f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"):
            self._reply(404, {"code": 20404, "message": "not found"})
            return
        answer = provider.receive(fields)
        if answer in ("slow", "silent"):
            provider.delay(_SLOW_SECONDS if answer == "slow" else _MAX_SECONDS)
        if answer in ("accept", "slow"):
            self._reply(201, _as_json(_by_sid(provider.made, fields["sid"])))
        elif answer in _CODES:
            status, code = _CODES[answer]
            self._reply(status, {"code": code, "message": answer, "status": status})
        elif answer in ("error", "error_made"):
            self._reply(500, {"code": 20500, "message": "internal server error", "status": 500})
        elif answer == "proxy":
            self._raw(403, b"<html>blocked</html>")
        elif answer == "broken":
            self._raw(201, b"{sid:")
        elif answer == "half":
            self._raw(201, b'{"sid": "SM', announced=500)
        elif answer == "reset":
            self._reset()

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(asked.query).items()}
        page, size = int(query.get("Page", 0)), int(query.get("PageSize", 50))
        since = datetime.fromisoformat(query["DateSent>"]) if "DateSent>" in query else None
        listed = self.server.provider.listed(query.get("To"), since, page == 0)
        start = page * size
        more = query | {"Page": page + 1, "PageToken": f"PASM{start + size:032x}"}
        content = {
            "messages": [_as_json(message) for message in listed[start : start + size]],
            "page": page,
            "page_size": size,
            "next_page_uri": f"{asked.path}?{urlencode(more)}" if start + size < len(listed) else None,
        }
        self._reply(200, content)

    def _reply(self, status: int, content: Any) -> None:
        self._raw(status, json.dumps(content).encode())

    def _raw(self, status: int, body: bytes, announced: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(announced or len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _reset(self) -> None:
        """Close the connection with RST instead of FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        # The handler flushes its output to nowhere.
        self.wfile = open(os.devnull, "wb")  # noqa: SIM115

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing."""


def _by_sid(made: Iterable[Made], sid: str) -> Made:
    return next(message for message in made if message.sid == sid)
