"""Embedded installations for tests, and the intake of events."""

from datetime import UTC, datetime, timedelta
from typing import Any
import msgspec
from pipeline.consumers.intake import Incoming
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.asking.policy import Policy
from pipeline.domain.detection.segments import parse_levels
from pipeline.domain.events.contract import KINDS, Event
from pipeline.domain.events.decoding import decode
from pipeline.store.people.vault import Vault
from pipeline.store.unit_of_work import Setup
from tests.support.running import steps


VAULT = Vault(bytes(range(32)))
LEVELS = parse_levels("depot:20,carrier:10")


def incoming(raw: bytes, received_at: datetime | None = None) -> Incoming:
    """An event at the door, on the topic where its type belongs."""
    kind = KINDS[msgspec.json.decode(raw)["type"]]
    return Incoming(raw, kind.topic, "test:1", None, received_at)


def embedded(
    url: str, policy: Policy | None = None, levels: str = "depot:20,carrier:10", batch: int = 100
) -> EmbeddedRunner:
    """The embedded runtime on a migrated database, or its like on a cluster's."""
    setup = Setup(parse_levels(levels), 1.0, policy or Policy())
    return steps.runtime(url, VAULT, setup, batch)


def take(runtime: EmbeddedRunner, *raws: bytes, received_at: datetime | None = None) -> None:
    """Store and process these events, received when they happened unless said otherwise."""
    for _ in runtime.ingest_all(incoming(raw, received_at) for raw in raws):
        pass
