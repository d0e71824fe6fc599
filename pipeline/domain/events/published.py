"""Events as they are published: without words, which are read through /v1 by those who may."""

from typing import Any

from pipeline.domain.events.received import encode, parse
from pipeline.domain.events.words import SEALED


def for_publication(kind: str, payload: bytes) -> bytes:
    """An event of the journal as other systems get it: an answer says whether it has a comment, not which."""
    if kind != "feedback.received":
        return payload
    event: dict[str, Any] = parse(payload)
    data = event["data"]
    for container in (event, data):
        container.pop(SEALED, None)
    data["has_comment"] = data.get("comment") is not None
    data["comment"] = None
    return encode(event)
