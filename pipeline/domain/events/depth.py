"""How deep JSON may be nested. Checked before any parser runs: a parser's own limit depends on the Python version and
on the caller's stack, so an event that passes one parser could end the process in the next.
"""

import re
from itertools import accumulate

from pipeline.domain.events.contract import BadEvent

MAX_DEPTH = 100  # objects and lists inside each other, the event itself included
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS = bytes(set(range(256)) - _STEPS.keys())
# A string (also one that does not end), or a character of the structure. Possessive: linear on any input.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{},]', re.DOTALL)


def check_depth(raw: bytes, most: int = MAX_DEPTH) -> None:
    """Raises BadEvent if this JSON is nested deeper than `most` levels. It need not be valid JSON."""
    if is_deeper(raw, most):
        raise BadEvent(f"nested too deep: more than {MAX_DEPTH} levels")


def is_deeper(raw: bytes, most: int) -> bool:
    """Whether this JSON is nested deeper than `most` levels."""
    if raw.count(b"[") + raw.count(b"{") <= most:  # almost every event
        return False
    if b"\\" in raw:  # in pairs from the left, as a parser reads them
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = b"".join(raw.split(b'"')[::2]).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > most


def split_list(body: bytes) -> list[bytes]:
    """The items of a JSON list that may contain items nested too deep for a parser. Items are not checked.

    Raises BadEvent if the text is no list.
    """
    if not body.lstrip(b" \t\r\n").startswith(b"["):
        raise BadEvent("not a JSON array")
    items, depth, start = list[bytes](), 0, 0
    for token in _TOKEN.finditer(body):
        character = token[0]
        step = _STEPS.get(character[0], 0)
        depth += step
        if depth == 1 and step == 1:
            start = token.end()
        elif (depth == 1 and character == b",") or (depth == 0 and step == -1):
            items.append(body[start : token.start()])
            start = token.end()
        if depth == 0:
            break
    if depth or body[start:].strip(b" \t\r\n"):
        raise BadEvent("not a JSON array")
    return items
