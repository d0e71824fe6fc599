"""What the head of a request must be, whatever it asks for; and how an offer to change the protocol is declined."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple

MAX_HEAD_BYTES = 16 << 10
_VERSIONS = ("1.0", "1.1")
_CHANGE_OF_PROTOCOL = frozenset({b"upgrade", b"http2-settings"})

Headers = Sequence[tuple[bytes, bytes]]


class Head(NamedTuple):
    """The request line and the headers, their names in lower case."""

    method: bytes
    target: bytes
    version: str
    headers: Headers


class Refusal(Exception):
    """The connection ends with this response."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def check_size(size: int) -> None:
    """Raises Refusal if a head of `size` bytes is too long."""
    if size > MAX_HEAD_BYTES:
        raise Refusal(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            f"the request line and the headers have more than {MAX_HEAD_BYTES} bytes",
        )


def check(head: Head) -> None:
    """Raises Refusal if the head is no request that this server answers (RFC 9112, sections 2.3, 3.2 and 6.1)."""
    names = [name for name, _ in head.headers]
    if head.version not in _VERSIONS:
        raise Refusal(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, f"HTTP/{head.version} is not supported; use HTTP/1.1")
    if head.method == b"CONNECT":
        raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "this server is no proxy")
    if names.count(b"host") > 1:
        raise Refusal(HTTPStatus.BAD_REQUEST, "the request has more than one Host header")
    if head.version == "1.1" and b"host" not in names:
        raise Refusal(HTTPStatus.BAD_REQUEST, "the request has no Host header")
    if head.version == "1.0" and b"transfer-encoding" in names:
        raise Refusal(HTTPStatus.BAD_REQUEST, "HTTP/1.0 has no Transfer-Encoding")


def without_upgrade(head: Head) -> bytes:
    """The same head without its offer to change the protocol, as bytes. A server may ignore the offer (RFC 9110, 7.8);
    what follows the head is then the body, as in any request.
    """
    lines = [b"%s %s HTTP/%s\r\n" % (head.method, head.target, head.version.encode())]
    for name, value in head.headers:
        if name == b"connection":
            value = b", ".join(option for option in _options(value) if option.lower() not in _CHANGE_OF_PROTOCOL)
        if name not in _CHANGE_OF_PROTOCOL:
            lines.append(b"%s: %s\r\n" % (name, value))
    return b"".join(lines) + b"\r\n"


def _options(value: bytes) -> list[bytes]:
    return [option.strip() for option in value.split(b",")]
