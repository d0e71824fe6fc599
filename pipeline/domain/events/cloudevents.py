"""CloudEvents in structured JSON: from binary mode (HTTP and Kafka carry attributes as headers), and of our own."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from pipeline.domain.events.contract import BadEvent
from pipeline.domain.events.depth import check_depth

BOM = b"\xef\xbb\xbf"  # editors and some Windows software put it before a text
STRUCTURED, BATCH, JSON = "application/cloudevents+json", "application/cloudevents-batch+json", "application/json"


def is_json(media: str) -> bool:
    """Whether the data of a binary-mode event is JSON, by its media type; without one it is taken to be."""
    return media in ("", JSON, "text/json") or media.endswith("+json")


def structured(attributes: Mapping[str, str], data: bytes) -> bytes:
    """One event in structured JSON, from its attributes by name and its data. Raises BadEvent if `data` is no JSON."""
    data = data.removeprefix(BOM)
    try:
        check_depth(data)
        checked = msgspec.json.decode(data, type=msgspec.Raw)
    except BadEvent as bad:
        raise BadEvent(bad.reason, "data") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadEvent(f"not JSON: {error}", "data") from None
    envelope: dict[str, object] = {**attributes, "datacontenttype": JSON, "data": checked}
    if envelope.get("historic") in ("true", "false"):
        envelope["historic"] = envelope["historic"] == "true"
    return msgspec.json.encode(envelope)


_encode = msgspec.json.Encoder().encode


def envelope(source: str, event_id: str, kind: str, time: datetime, data: object) -> bytes:
    """One CloudEvent of ours in structured JSON. `data` is anything msgspec encodes, or `msgspec.Raw`."""
    return _encode({"specversion": "1.0", "id": event_id, "source": source, "type": kind, "time": time, "data": data})
