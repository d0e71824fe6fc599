"""Uvicorn's HTTP/1.1 protocol with limits: slow clients, long heads and too many connections are cut off."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Literal

import httptools
import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from pipeline.settings import Settings
from pipeline.web.http.headers import with_security_headers
from pipeline.web.http.problems import MEDIA_TYPE, body_of
from pipeline.web.http.request_head import Head, Refusal, check, check_size, without_upgrade

_LINGER_SECONDS = 2.0  # for a client that is still sending to read the response

_Phase = Literal["head", "body", "rest"]


class _JoinedWrites:
    """Collects what one response writes until the event loop continues, so that a small response is one packet.

    Two packets would wake the client twice and cost two system calls.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pending: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send `data` together with everything else that is written before the loop continues."""
        if not self._pending:
            self._loop.call_soon(self.flush)
        self._pending.append(data)

    def is_closing(self) -> bool:
        """Whether the connection is closed or about to be."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Send what is pending and close."""
        self.flush()
        self._transport.close()

    def flush(self) -> None:
        """Send what is pending."""
        if self._pending:
            self._transport.write(b"".join(self._pending))
            self._pending.clear()


class BoundedProtocol(HttpToolsProtocol):
    """One connection.

    A deadline runs while the server waits for the client: for the head of a request (idle time before it included), for
    its body, and for the client to read a response. Single bytes do not extend it. When it ends, the connection is cut.
    """

    def __init__(
        self,
        settings: Settings,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._seconds = {
            "head": settings.header_timeout_seconds,
            "body": settings.body_timeout_seconds,
            "rest": _LINGER_SECONDS,
        }
        self._write_seconds = settings.write_timeout_seconds
        self._max_connections = settings.max_connections
        self._parsing: Literal["head", "body", "end"] = "head"
        self._head_bytes = 0  # of what has arrived of a head that is still incomplete
        self._head_size = 0  # of what the parser has reported of the head
        self._complete_requests = 0
        self._declined: Head | None = None  # a head whose offer to change the protocol is being declined
        self._refusal: Refusal | None = None
        self._keep_alive_after_body = False
        self._stopping = False
        self._phase: _Phase | None = None
        self._joined: _JoinedWrites | None = None
        self._reading: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self._max_connections:
            transport.abort()
            return
        self._update_deadline()

    def data_received(self, data: bytes) -> None:
        """Parse bytes of a request."""
        if self.transport.is_closing() or self._refusal is not None:
            return
        in_head, complete = self._parsing != "body", self._complete_requests
        self._parse(data)
        if self._parsing == "head" and self._refusal is None:
            new = complete != self._complete_requests or not in_head
            self._head_bytes = 0 if new else self._head_bytes + len(data)  # new: `data` begins with another request
            with self._refusing():
                check_size(self._head_bytes)
        self._update_deadline()

    def _parse(self, data: bytes) -> None:
        """Parse bytes. After an offer to change the protocol the parser stops; it continues as if there were none."""
        while True:
            self._unset_keepalive_if_required()
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                if self._declined is None:
                    return
                data = without_upgrade(self._declined) + data[upgrade.args[0] :]
                self._declined = None
            except httptools.HttpParserError as error:
                cause = error.__context__
                refused = cause if isinstance(cause, Refusal) else Refusal(HTTPStatus.BAD_REQUEST, "this is not HTTP")
                self._refuse(refused)
                return

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except Refusal as refusal:
            self._refuse(refusal)

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        super().on_message_begin()
        self._parsing, self._head_size = "head", 0

    def on_url(self, url: bytes) -> None:
        """Note a part of the request line. Raises Refusal if the head is too long."""
        super().on_url(url)
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header. Raises Refusal if the head is too long, or the trailers are.

        Trailers are dropped: they come after the decision who may send the request, and are no headers (RFC 9110, 6.5).
        """
        self._count_head(len(name) + len(value) + len(b": \r\n"))
        if self._parsing == "head":
            super().on_header(name, value)

    def _count_head(self, size: int) -> None:
        self._head_size += size
        check_size(self._head_size)

    def on_headers_complete(self) -> None:
        """Note that the head of the request is complete. Raises Refusal if it is none that this server answers."""
        head = Head(self.parser.get_method(), self.url, self.parser.get_http_version(), self.headers)
        check(head)
        if self.parser.should_upgrade():
            self._declined = head
            return
        super().on_headers_complete()
        self._joined = _JoinedWrites(self.transport, self.loop)
        self.cycle.transport = self._joined  # type: ignore[assignment]  # it has the methods that a response uses
        self._parsing, self._head_bytes, self._head_size = "body", 0, 0
        self._expect_body(head)

    def _expect_body(self, head: Head) -> None:
        """For a client that waits for `100 Continue`, which the first read of the body sends.

        A response before that ends the connection, because nobody could know whether the body will follow it.
        """
        if head.version == "1.0":
            self.cycle.waiting_for_100_continue = False  # such a client does not know the status
        self._keep_alive_after_body = self.cycle.keep_alive
        if self.cycle.waiting_for_100_continue:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Note that the body of the request is complete."""
        if self._declined is not None:  # the parser believes that there is none
            return
        super().on_message_complete()
        if not self._stopping:
            self.cycle.keep_alive = self._keep_alive_after_body
        self._parsing = "end"
        self._complete_requests += 1

    def on_response_complete(self) -> None:
        """Note that the response is complete: the next request follows, or the rest of this one."""
        super().on_response_complete()
        self._update_deadline()

    def shutdown(self) -> None:
        """Stop; pending writes are sent first."""
        self._stopping = True
        if self._joined is not None:
            self._joined.flush()
        super().shutdown()

    def pause_writing(self) -> None:
        """Start the deadline for a client that does not read."""
        super().pause_writing()
        self._writing = self.loop.call_later(self._write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the deadline: the client reads again."""
        super().resume_writing()
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the deadlines."""
        super().connection_lost(exc)
        for timer in (self._reading, self._writing):
            if timer is not None:
                timer.cancel()

    def _refuse(self, refusal: Refusal) -> None:
        """Read nothing more, and respond with the refusal after the responses that are due."""
        self._refusal = refusal
        if self._idle():
            self._end_with(refusal)
        elif self._parsing == "head" or self.cycle.response_started:
            self.cycle.keep_alive = False  # the client is waiting for another response, which ends the connection
        elif self.pipeline:
            self.transport.abort()  # a response to an earlier request is due, and none could follow it
        else:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self._end_with(refusal)

    def _end_with(self, refusal: Refusal) -> None:
        """Respond, and let the client close: a close while it is still sending could destroy the response."""
        if self._joined is not None:
            self._joined.flush()
        self.transport.write(_response(refusal))
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _update_deadline(self) -> None:
        """Start the deadline of a new phase; within a phase the deadline stays."""
        phase = self._current_phase()
        if phase == self._phase:
            return
        self._phase = phase
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        if phase is not None:
            self._reading = self.loop.call_later(self._seconds[phase], self.transport.abort)

    def _current_phase(self) -> _Phase | None:
        """What the server waits for; None: nothing, the client waits for the server."""
        if self._refusal is not None:
            return "rest" if self._idle() or self.cycle.disconnected else None
        if self._parsing == "head":
            return "head"
        if self._parsing == "body":
            return "rest" if self._idle() else "body"
        return "head" if self._idle() else None

    def _idle(self) -> bool:
        """Whether no request is waiting for its response."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first one
        return cycle is None or cycle.response_complete


def _response(refusal: Refusal) -> bytes:
    body = msgspec.json.encode(body_of(refusal.status, refusal.detail))
    headers = with_security_headers(
        [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
    )
    lines = b"".join(b"%s: %s\r\n" % header for header in headers)
    return f"HTTP/1.1 {refusal.status.value} {refusal.status.phrase}\r\n".encode() + lines + b"\r\n" + body
