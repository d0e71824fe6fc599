"""Dead letters once more: after a release that reads more, or a correction, some of them are events after all."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Engine, delete, select

from pipeline.consumers.intake import Incoming, Taken
from pipeline.consumers.runtime.write_queue import Absorber
from pipeline.store.db.engine import reading
from pipeline.store.people.vault import Vault
from pipeline.store.schema.tables import dead_letters

_AT_ONCE = 500  # letters a transaction
_OURS = "journal:"  # the place of an event that was taken in, and refused later: taken in again it would be known


def retry(engine: Engine, vault: Vault, absorber: Absorber, now: Callable[[], datetime]) -> Taken:
    """Take dead letters in as if they came now. Those that fail again stay; returns what became of all.

    Killed in between, it can be repeated: what was taken in is known then.
    """
    letters = dead_letters.c
    with reading(engine) as connection:
        places = select(letters.digest).where(letters.position.not_like(f"{_OURS}%"))
        digests = list(connection.execute(places.order_by(letters.received_at, letters.digest)).scalars())
    done = [
        _retry_some(engine, vault, absorber, now(), digests[start : start + _AT_ONCE])
        for start in range(0, len(digests), _AT_ONCE)
    ]
    return Taken(*(sum(each) for each in zip(*done, strict=True))) if done else Taken(0, 0, 0)


def _retry_some(engine: Engine, vault: Vault, absorber: Absorber, now: datetime, digests: Sequence[str]) -> Taken:
    columns = (dead_letters.c.digest, dead_letters.c.topic, dead_letters.c.position, dead_letters.c.raw)
    with reading(engine) as connection:
        rows = connection.execute(select(*columns).where(dead_letters.c.digest.in_(digests))).all()
    # Each as a batch of its own, all in one transaction: so it is told what became of each.
    batches = [[Incoming(vault.open_letter(row.raw), row.topic or None, row.position, None, now)] for row in rows]
    outcomes = absorber.absorb_all(batches)
    gone = [row.digest for row, outcome in zip(rows, outcomes, strict=True) if not outcome.dead]
    with engine.begin() as connection:
        connection.execute(delete(dead_letters).where(dead_letters.c.digest.in_(gone)))
    return Taken(*(sum(each) for each in zip(*outcomes, strict=True)))
