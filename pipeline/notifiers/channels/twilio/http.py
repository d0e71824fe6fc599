"""The way to Twilio: one connection per request, one request per connection, and nothing is ever sent twice.

The library's own client keeps a pool, may go through a proxy, and takes a retry policy; each of these can repeat a POST
without telling. Here the two halves are apart: until the connection stands no byte of the message has left (`NotSent`);
from then on whatever goes wrong leaves the outcome unknown.
"""

import http.client
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode, urlsplit

from twilio.http import HttpClient  # type: ignore[import-untyped]
from twilio.http.response import Response  # type: ignore[import-untyped]

_CONNECT_SECONDS = 5.0  # name look-up not included: the system's resolver has its own limits
_MOST_BYTES = 4 << 20  # of an answer; a page of the message list has about a tenth


class NotSent(Exception):
    """The connection did not come to stand: nothing left this machine."""


class OneShot(HttpClient):  # type: ignore[misc]
    """The library's HTTP client, on one connection per request. `total`: seconds for everything behind connecting.

    `base` replaces Twilio's own address: for another edge, and for tests.
    """

    def __init__(self, base: str, total: float) -> None:
        super().__init__(None, False, total)
        self._base = urlsplit(base)
        self._total = total
        self._context = ssl.create_default_context() if self._base.scheme == "https" else None

    def request(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """Do it once. Raises NotSent, or OSError and HTTPException where the outcome is unknown."""
        asked = urlsplit(url)
        query = "&".join(filter(None, [asked.query, urlencode(params or {}, doseq=True)]))
        target = f"{self._base.path}{asked.path}" + (f"?{query}" if query else "")
        body = urlencode(data or {}, doseq=True).encode() if method == "POST" else None
        sent = {**(headers or {}), "Connection": "close"}
        if auth is not None:
            sent["Authorization"] = "Basic " + b64encode(":".join(auth).encode()).decode()
        connection = self._connect()
        # Each read has its own limit below; a server that drips would never reach it.
        over = threading.Timer(self._total, _cut, [connection.sock])
        over.daemon = True
        over.start()
        try:
            connection.sock.settimeout(self._total)
            connection.request(method, target, body, sent)
            answer = connection.getresponse()
            text = answer.read(_MOST_BYTES).decode("utf-8", "replace")
            if answer.length:  # cut short, or longer than anything sensible
                raise http.client.IncompleteRead(b"", answer.length)
            return Response(answer.status, text, dict(answer.getheaders()))
        finally:
            over.cancel()
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._base.hostname or "", self._base.port
        connection: http.client.HTTPConnection
        if self._context is not None:
            connection = http.client.HTTPSConnection(host, port, timeout=_CONNECT_SECONDS, context=self._context)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=_CONNECT_SECONDS)
        try:
            connection.connect()
        except OSError as error:  # refused, no such name, no route, no handshake
            connection.close()
            raise NotSent(type(error).__name__) from error
        return connection


def _cut(connection: socket.socket) -> None:
    """End a conversation that takes too long: its reader wakes up and finds no more to read."""
    with suppress(OSError):  # it ended by itself
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
