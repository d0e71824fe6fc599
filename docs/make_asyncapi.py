"""Writes `asyncapi.json` from the types of the events, so that the documented contract is the one in the code."""

import json
from pathlib import Path
from typing import Any

import msgspec

from pipeline import __version__
from pipeline.consumers.routing import PROCESSORS
from pipeline.domain.detection.pairs import Experience
from pipeline.domain.events.contract import (
    EVIDENCE,
    KINDS,
    MAX_EVENT_BYTES,
    NEVER_RECEIVED,
    OWN_SOURCE,
    Envelope,
    WrittenQuantity,
)
from pipeline.domain.orders.claims import Claim

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "asyncapi.json"

# Events that the product sends. It receives every event with a processor, except what only it creates.
_CONCLUDED = tuple(name for name, kind in KINDS.items() if kind.topic in ("alerts", "cases"))
SENT = ("feedback.requested", "feedback.corrected", *EVIDENCE, *_CONCLUDED)
RECEIVED = tuple(kind for kind in PROCESSORS if kind not in NEVER_RECEIVED)

TOPICS = {
    "orders": "Orders, as the supplier's systems report them.",
    "deliveries": "Delivery scans of orders and their shipments. A scan may arrive before its order.",
    "feedback": "Questions that were sent, and the answers to them.",
    "truth": "Pairs: the claim about an order, and what its customer experienced. Signs in its record.",
    "alerts": "Segments whose answers contradict their claims, with the evidence; and incidents: causes with an owner.",
    "cases": "What people have to settle with customers: complaints, requests and incidents, by ids and codes.",
}
KEYS = dict.fromkeys(TOPICS, "the order's id") | {
    "alerts": "the segment, as dimension=value; of incidents their id",
    "cases": "the order's id; of an incident's case the id of the case",
}
DEAD_LETTERS = "dead-letters"
_KAFKA = "0.5.0"  # the version of AsyncAPI's bindings for it
_DATE_OR_TIME = "A date (2026-11-20: the end of that day in the order's `timezone`, needed then) or a time with offset."
_DATE_FIELDS = ("requested_at", "promised_at", "first_promised_at", "estimated_at")
_SCHEMAS = "#/components/schemas/"
_DECIMAL = {"type": "string", "format": "decimal"}  # what msgspec says of a decimal; ours are numbers (`decoding`)


def document() -> dict[str, Any]:
    """The whole AsyncAPI document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Unvarnished",
            "version": __version__,
            "description": (
                f"Events are CloudEvents 1.0 in structured JSON, at most {MAX_EVENT_BYTES:,} bytes. `(source, id)` "
                "identifies an event: received twice, it counts once. Unknown fields are kept, not refused. In a "
                "cluster the channels are Kafka topics, and received events may also be in binary mode. In embedded "
                "mode they are names only, and the events are in the journal."
            ),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": {topic: _channel(topic, text) for topic, text in TOPICS.items()} | {DEAD_LETTERS: _dead_letters()},
        "operations": dict(
            sorted([*_operations("receive", RECEIVED), *_operations("send", SENT), _sending_dead_letters()])
        ),
        "components": {"messages": {kind: _message(kind) for kind in KINDS}, "schemas": _schemas()},
    }


def text() -> str:
    """The document as JSON text."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def _channel(topic: str, description: str) -> dict[str, Any]:
    kinds = [kind for kind, spec in KINDS.items() if spec.topic == topic]
    messages = {kind: {"$ref": f"#/components/messages/{kind}"} for kind in kinds}
    return {"address": topic, "description": description, "messages": messages}


def _dead_letters() -> dict[str, Any]:
    """The topic of records that cannot be processed: encrypted, because their content is unknown."""
    named = {
        "topic": "topic of the record",
        "partition": "partition of the record",
        "offset": "offset of the record",
        "seq": "instead of partition and offset: place in the journal of an event that became a dead letter later",
        "reason": "why it cannot be processed",
        "field": "path of the invalid field; empty if it is not one field",
    }
    headers = {name: {"type": "string", "description": text} for name, text in named.items()}
    message = {
        "name": "dead.letter",
        "title": "dead.letter",
        "summary": "A record that cannot be processed, encrypted with its key and headers, and why.",
        "contentType": "application/octet-stream",
        "headers": {"type": "object", "properties": headers, "required": ["topic", "reason", "field"]},
        "payload": {"type": "string", "format": "binary"},
    }
    return {
        "address": DEAD_LETTERS,
        "description": "Records of any topic that cannot be processed.",
        "messages": {"dead.letter": message},
    }


def _sending_dead_letters() -> tuple[str, dict[str, Any]]:
    channel = f"#/channels/{DEAD_LETTERS}"
    refs = [{"$ref": f"{channel}/messages/dead.letter"}]
    return "send_dead_letters", {"action": "send", "channel": {"$ref": channel}, "messages": refs}


def _operations(action: str, kinds: tuple[str, ...]) -> list[tuple[str, dict[str, Any]]]:
    """One operation per topic that has a message of those kinds."""
    found = []
    for topic in TOPICS:
        refs = [{"$ref": f"#/channels/{topic}/messages/{kind}"} for kind in kinds if KINDS[kind].topic == topic]
        if refs:
            channel = {"$ref": f"#/channels/{topic}"}
            found.append((f"{action}_{topic}", {"action": action, "channel": channel, "messages": refs}))
    return found


def _message(kind: str) -> dict[str, Any]:
    data = KINDS[kind].data
    properties: dict[str, Any] = {"type": {"const": kind}, "data": {"$ref": f"{_SCHEMAS}{data.__name__}"}}
    if kind in SENT and kind not in RECEIVED:
        properties["source"] = {"const": OWN_SOURCE}
    key = {"type": "string", "description": KEYS[KINDS[kind].topic]}
    return {
        "name": kind,
        "title": kind,
        "summary": " ".join((data.__doc__ or "").split()),
        "bindings": {"kafka": {"key": key, "bindingVersion": _KAFKA}},
        "payload": {"allOf": [{"$ref": f"{_SCHEMAS}Envelope"}, {"type": "object", "properties": properties}]},
    }


def _schemas() -> dict[str, Any]:
    """The schemas of the data, completed with what the types alone do not say."""
    structs = [Envelope, Claim, Experience, *dict.fromkeys(kind.data for kind in KINDS.values())]
    _, decimal = msgspec.json.schema_components(structs, ref_template=_SCHEMAS + "{name}")
    found: dict[str, Any] = _replaced(decimal, _DECIMAL, msgspec.json.schema(WrittenQuantity))
    for schema in found.values():
        for name in _DATE_FIELDS:
            if name in schema["properties"]:
                schema["properties"][name]["description"] = _DATE_OR_TIME
    pair = found["FulfilmentCompared"]["properties"]
    pair["claim"] = {"$ref": f"{_SCHEMAS}Claim"}
    pair["experience"] = {"$ref": f"{_SCHEMAS}Experience"}
    envelope = found["Envelope"]["properties"]
    envelope["historic"]["description"] = "Extension attribute: a historic event, about which no question is sent."
    # Ids of our own events are an order's id and a counter, so they may be longer than received ids.
    del envelope["id"]["maxLength"]
    return found


def _replaced(value: Any, old: object, new: object) -> Any:
    """A copy with one part replaced wherever it is."""
    if value == old:
        return new
    if isinstance(value, dict):
        return {name: _replaced(item, old, new) for name, item in value.items()}
    return [_replaced(item, old, new) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
