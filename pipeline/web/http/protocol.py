"""Uvicorn's HTTP/1.1 protocol with limits: slow clients, long heads and too many connections are cut off."""

import asyncio
from http import HTTPStatus
from typing import Any, Literal

import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from pipeline.settings import Settings
from pipeline.web.http.headers import with_security_headers
from pipeline.web.http.problems import MEDIA_TYPE, body_of

_HEAD_BYTES = 16 << 10  # of a request head that is still incomplete
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
        self._head_bytes = 0
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
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._parsing == "head":
            self._head_bytes += len(data)
            if self._head_bytes > _HEAD_BYTES and not self.transport.is_closing():
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the request's head is too long")
        self._update_deadline()

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        super().on_message_begin()
        self._parsing = "head"

    def on_headers_complete(self) -> None:
        """Note that the head of the request is complete."""
        super().on_headers_complete()
        self._joined = _JoinedWrites(self.transport, self.loop)
        self.cycle.transport = self._joined  # type: ignore[assignment]  # it has the methods that a response uses
        self._parsing, self._head_bytes = "body", 0

    def on_message_complete(self) -> None:
        """Note that the body of the request is complete."""
        super().on_message_complete()
        self._parsing = "end"

    def on_response_complete(self) -> None:
        """Note that the response is complete: the next request follows, or the rest of this one."""
        super().on_response_complete()
        self._update_deadline()

    def shutdown(self) -> None:
        """Stop; pending writes are sent first."""
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

    def send_400_response(self, msg: str) -> None:
        """Respond to bytes that are not HTTP."""
        self._refuse(HTTPStatus.BAD_REQUEST, msg)

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Respond before the application sees the request, then close. During another response, only close."""
        if self._idle() or not self.cycle.response_started:
            body = msgspec.json.encode(body_of(status, detail))
            headers = with_security_headers(
                [
                    (b"content-type", MEDIA_TYPE.encode()),
                    (b"content-length", b"%d" % len(body)),
                    (b"connection", b"close"),
                ]
            )
            head = b"".join(b"%s: %s\r\n" % header for header in headers)
            line = f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode()
            self.transport.write(line + head + b"\r\n" + body)
        self.transport.close()

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
        if self._parsing == "head":
            return "head"
        if self._parsing == "body":
            return "rest" if self._idle() else "body"
        return "head" if self._idle() else None

    def _idle(self) -> bool:
        """Whether no request is waiting for its response."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first one
        return cycle is None or cycle.response_complete
