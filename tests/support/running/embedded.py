"""Embedded installations for tests, and the intake of events."""

from datetime import datetime

import msgspec
from sqlalchemy import Engine, QueuePool

from pipeline.consumers.intake import Incoming
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.asking.policy import Policy
from pipeline.domain.detection.segments import parse_levels
from pipeline.domain.events.contract import KINDS
from pipeline.domain.setup import Setup
from pipeline.store.people.vault import Vault
from tests.support.limits import until
from tests.support.running import steps

VAULT = Vault(bytes(range(32)))
LEVELS = parse_levels("depot:20,carrier:10")


def incoming(raw: bytes, received_at: datetime | None = None) -> Incoming:
    """An event as the intake receives it, on the topic of its type."""
    kind = KINDS[msgspec.json.decode(raw)["type"]]
    return Incoming(raw, kind.topic, "test:1", None, received_at)


def embedded(
    url: str,
    policy: Policy | None = None,
    levels: str = "depot:20,carrier:10",
    batch: int = 100,
    *,
    rules_since: int = 0,
) -> EmbeddedRunner:
    """The embedded runner on a migrated database, or its equivalent on a cluster's database."""
    setup = Setup(parse_levels(levels), 1.0, policy or Policy(), rules_since=rules_since)
    return steps.runtime(url, VAULT, setup, batch)


def close(engine: Engine) -> None:
    """Close an engine. A thread that has done its work may still have to return its connection: it would stay open."""
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    until(lambda: pool.checkedout() == 0, "every connection returned")
    engine.dispose()


def ingest(runtime: EmbeddedRunner, *raws: bytes, received_at: datetime | None = None) -> None:
    """Store and process these events. By default each is received at its own time."""
    for _ in runtime.ingest_all(incoming(raw, received_at) for raw in raws):
        pass
