"""HTTP/1.1 as uvicorn speaks it, cut off where a client is too slow, too long-winded, or one too many."""

import asyncio
from http import HTTPStatus
from typing import Any, Literal

import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from pipeline.settings import Settings
from pipeline.web.http.headers import secured
from pipeline.web.http.problems import MEDIA_TYPE, body_of

_HEAD_BYTES = 16 << 10  # of a request whose head does not end
_LINGER_SECONDS = 2.0  # for an answer to be read by a client that is still sending

_Phase = Literal["head", "body", "rest"]


class _Joined:
    """What one answer writes: the head leaves with the first piece of the body, so that a small answer is one packet.

    Two packets would wake the client twice, and us for two system calls.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send it with whatever else is written before the loop goes on."""
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held.append(data)

    def close(self) -> None:
        """Send the rest and close."""
        self.flush()
        self._transport.close()

    def flush(self) -> None:
        """Send what is held."""
        if self._held:
            self._transport.write(b"".join(self._held))
            self._held.clear()


class BoundedProtocol(HttpToolsProtocol):
    """One connection.

    A deadline runs while we wait for the client, and dripping bytes do not move it: for the head of a request
    (idle time before it included), for its body, and for the taking of an answer. Then the connection is cut.
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
            "head": settings.header_seconds,
            "body": settings.body_seconds,
            "rest": _LINGER_SECONDS,
        }
        self._write_seconds = settings.write_seconds
        self._most = settings.connections
        self._parsing: Literal["head", "body", "end"] = "head"
        self._head_bytes = 0
        self._phase: _Phase | None = None
        self._joined: _Joined | None = None
        self._reading: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self._most:
            transport.abort()
            return
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Some bytes of a request."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._parsing == "head":
            self._head_bytes += len(data)
            if self._head_bytes > _HEAD_BYTES and not self.transport.is_closing():
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the request's head does not end")
        self._watch()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._parsing = "head"

    def on_headers_complete(self) -> None:
        """Its head is here."""
        super().on_headers_complete()
        self._joined = _Joined(self.transport, self.loop)
        self.cycle.transport = self._joined  # type: ignore[assignment]  # it has what an answer uses
        self._parsing, self._head_bytes = "body", 0

    def on_message_complete(self) -> None:
        """All of it is."""
        super().on_message_complete()
        self._parsing = "end"

    def on_response_complete(self) -> None:
        """The answer is out: the next request, or the rest of this one."""
        super().on_response_complete()
        self._watch()

    def shutdown(self) -> None:
        """Told to stop: what was answered goes out first."""
        if self._joined is not None:
            self._joined.flush()
        super().shutdown()

    def pause_writing(self) -> None:
        """The client does not take what we send."""
        super().pause_writing()
        self._writing = self.loop.call_later(self._write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """It does."""
        super().resume_writing()
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Over."""
        super().connection_lost(exc)
        for timer in (self._reading, self._writing):
            if timer is not None:
                timer.cancel()

    def send_400_response(self, msg: str) -> None:
        """The answer to what is no HTTP."""
        self._refuse(HTTPStatus.BAD_REQUEST, msg)

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Answer before any application sees the request, and close; in the middle of another answer, only close."""
        if self._answered() or not self.cycle.response_started:
            body = msgspec.json.encode(body_of(status, detail))
            headers = secured(
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

    def _watch(self) -> None:
        """Start the deadline of a new phase; within one it stays where it is."""
        phase = self._now_in()
        if phase == self._phase:
            return
        self._phase = phase
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        if phase is not None:
            self._reading = self.loop.call_later(self._seconds[phase], self.transport.abort)

    def _now_in(self) -> _Phase | None:
        """What we wait for from the client; None: nothing, it waits for us."""
        if self._parsing == "head":
            return "head"
        if self._parsing == "body":
            return "rest" if self._answered() else "body"
        return "head" if self._answered() else None

    def _answered(self) -> bool:
        """Whether no request is open."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first one
        return cycle is None or cycle.response_complete
