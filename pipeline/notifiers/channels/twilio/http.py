"""HTTP to Twilio: one connection for each request, one request on each connection, no retry.

The library's own client keeps a pool, may use a proxy and accepts a retry policy; each of these can repeat a POST
unnoticed. Here the two phases are separate: before the connection is established no byte of the message has left
(`NotSent`); after that any failure leaves the outcome unknown.
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

_CONNECT_SECONDS = 5.0  # without name resolution: the system's resolver has its own limits
_MAX_BYTES = 4 << 20  # of a response; a page of the message list has about a tenth


class NotSent(Exception):
    """The connection was not established: nothing left this machine."""


class SingleRequestClient(HttpClient):  # type: ignore[misc]
    """The library's HTTP client, with one connection for each request.

    `base` replaces the address of Twilio's API, for another edge and for tests. `total`: seconds for the whole exchange
    once the connection is established.
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
        """Send the request once. Raises NotSent, or OSError or HTTPException if the outcome is unknown."""
        asked = urlsplit(url)
        query = "&".join(filter(None, [asked.query, urlencode(params or {}, doseq=True)]))
        target = f"{self._base.path}{asked.path}" + (f"?{query}" if query else "")
        body = urlencode(data or {}, doseq=True).encode() if method == "POST" else None
        sent = {**(headers or {}), "Connection": "close"}
        if auth is not None:
            sent["Authorization"] = "Basic " + b64encode(":".join(auth).encode()).decode()
        connection = self._connect()
        # The socket's timeout is per read: a server that sends one byte at a time would never reach it.
        deadline = threading.Timer(self._total, _shut_down, [connection.sock])
        deadline.daemon = True
        deadline.start()
        try:
            connection.sock.settimeout(self._total)
            connection.request(method, target, body, sent)
            answer = connection.getresponse()
            text = answer.read(_MAX_BYTES).decode("utf-8", "replace")
            if answer.length:  # incomplete, or longer than _MAX_BYTES
                raise http.client.IncompleteRead(b"", answer.length)
            return Response(answer.status, text, dict(answer.getheaders()))
        finally:
            deadline.cancel()
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


def _shut_down(connection: socket.socket) -> None:
    """End an exchange that takes too long: the blocked read returns."""
    with suppress(OSError):  # the exchange has ended already
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
