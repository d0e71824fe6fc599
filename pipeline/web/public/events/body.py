"""The body of a request with events, as others send it: its encoding, content mode, and the JSON of each event."""

import re
import zlib
from collections.abc import Sequence
from typing import Literal, NamedTuple
from urllib.parse import unquote_to_bytes

import msgspec
from litestar.datastructures import Headers

from pipeline.domain.events.cloudevents import BATCH, BOM, JSON, STRUCTURED, is_json, structured
from pipeline.domain.events.contract import BadEvent
from pipeline.domain.events.depth import MAX_DEPTH, is_deeper, split_list
from pipeline.web.http.problems import Problem

Mode = Literal["one", "batch", "either", "binary"]
_MODES: dict[str, Mode] = {STRUCTURED: "one", BATCH: "batch", JSON: "either"}
_SPACE = b" \t\r\n"
_MAX_GZIP_MEMBERS = 100  # each costs a copy of the rest; usual compressors write one
_ATTRIBUTE = re.compile(r"ce-(?P<name>[a-z0-9]+)")
_QUOTED = re.compile(r'"(?P<text>(?:[^"\\]|\\.)*)"', re.DOTALL)
_split = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Body(NamedTuple):
    """The JSON of each event of a request, not checked yet. `many`: the body is a batch."""

    raws: Sequence[bytes]
    many: bool


class BodyLimits(NamedTuple):
    """How much a request may contain after it is decompressed."""

    bytes: int
    events: int


def is_compressed(headers: Headers) -> bool:
    """Whether the body is compressed. Raises Problem 415 for an encoding other than gzip."""
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return False
    if encoding not in ("gzip", "x-gzip"):
        raise Problem(
            415,
            f"content encoding {encoding!r} is not supported; send gzip or none",
            headers={"Accept-Encoding": "gzip"},
        )
    return True


def mode_of(headers: Headers) -> Mode:
    """The CloudEvents content mode of the body. Raises Problem 415."""
    media, _, parameters = headers.get("content-type", "").partition(";")
    media = media.strip().lower()
    charset = re.search(r'charset\s*=\s*"?([^\s;"]*)', parameters, re.IGNORECASE)
    if charset is not None and charset[1].lower() not in ("utf-8", "utf8", "us-ascii"):
        raise Problem(415, f"charset {charset[1]!r} is not supported; send utf-8")
    if media.startswith("application/cloudevents") and media in _MODES:
        return _MODES[media]
    if "ce-specversion" in headers and is_json(media):
        return "binary"
    if media not in _MODES:
        raise Problem(415, f"content type {media!r} is not supported; send {STRUCTURED}, {BATCH} or {JSON}")
    return _MODES[media]


def read_body(body: bytes, headers: Headers, limits: BodyLimits) -> Body:
    """The JSON of each event. Raises Problem 413, 415 or 422."""
    mode = mode_of(headers)
    if is_compressed(headers):
        body = _gunzip(body, limits.bytes)
    body = body.removeprefix(BOM)
    if mode == "binary":
        return Body([_structured(body, headers)], False)
    if mode == "one" or (mode == "either" and not body.lstrip(_SPACE).startswith(b"[")):
        return Body([body], False)
    raws = _items(body)
    if len(raws) > limits.events:
        raise Problem(413, f"{len(raws)} events in one request, more than {limits.events}")
    return Body(raws, True)


def _items(body: bytes) -> Sequence[bytes]:
    try:
        if is_deeper(body, MAX_DEPTH + 1):  # so that the events that are not too deep are read all the same
            return split_list(body)
        return [bytes(raw) for raw in _split(body)]
    except BadEvent as bad:
        raise Problem(422, bad.explanation) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Problem(422, f"not a JSON array of events: {error}") from None


def _gunzip(body: bytes, most: int) -> bytes:
    """Decompress no more than `most` bytes. Raises Problem 413 or 422."""
    parts, size = list[bytes](), 0
    try:
        for _ in range(_MAX_GZIP_MEMBERS):
            member = zlib.decompressobj(wbits=31)
            parts.append(member.decompress(body, most - size + 1))
            size += len(parts[-1])
            if size > most:
                raise Problem(413, f"the body has more than {most} bytes when it is decompressed")
            if not member.eof:
                raise Problem(422, "the gzip body is cut off")
            body = member.unused_data.lstrip(b"\0")
            if not body:
                return b"".join(parts)
    except zlib.error as error:
        raise Problem(422, f"the body is not gzip: {error}") from None
    raise Problem(422, f"the gzip body has more than {_MAX_GZIP_MEMBERS} parts")


def _structured(body: bytes, headers: Headers) -> bytes:
    """A binary-mode event as structured JSON: its attributes are the `ce-*` headers."""
    named: dict[str, str] = {}
    for header, value in headers.multi_items():
        match = _ATTRIBUTE.fullmatch(header)
        if match is None:
            continue
        if match["name"] in named:
            raise Problem(422, "the header is there twice", match["name"])
        named[match["name"]] = _attribute(match["name"], value)
    try:
        return structured(named, body)
    except BadEvent as bad:
        raise Problem(422, bad.explanation, bad.field) from None


def _attribute(name: str, value: str) -> str:
    """The value of an attribute: unquoted and percent-decoded (CloudEvents HTTP binding 1.0.2, section 3.1.3.2).

    Characters beyond ASCII that were sent as they are have to be UTF-8, too.
    """
    value = value.strip()
    if value.startswith('"'):
        quoted = _QUOTED.fullmatch(value)
        if quoted is None:
            raise Problem(422, "the value begins with a quote that does not end", name)
        value = re.sub(r"\\(.)", r"\1", quoted["text"], flags=re.DOTALL)
    try:
        return unquote_to_bytes(value.encode("latin-1")).decode()
    except UnicodeDecodeError as error:
        raise Problem(422, f"not UTF-8 at byte {error.start} of the decoded value", name) from None
