"""What a trial leaves behind, as far as it does not depend on what happened on the way, and what is wrong with it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from sqlalchemy import Engine, select

from pipeline.domain.orders.dialogue import Dialogue
from pipeline.store.db.engine import reading
from pipeline.store.schema.tables import answers, asks, dead_letters, handled, journal, orders, rollups
from tests.reliability.faults.told import LIVE, Item, Way

Essence = Mapping[str, Sequence[str]]


def essence(engine: Engine) -> Essence:
    """What must be the same: facts, current claims, answers, figures, and who was asked."""
    with reading(engine) as connection:
        facts, claims = [], []
        for order in connection.execute(select(orders)):
            facts.append(f"{order.order_id} {order.facts}")
            claims.append(f"{order.order_id} {msgspec.json.decode(order.dialogue, type=Dialogue).claim}")
        heard = [column for column in answers.c if column.name != "received_at"]
        # A counter that went up and down again is the same as one that never moved.
        counted = select(rollups).where(rollups.c.n != 0)
        asked = select(asks.c.order_id, asks.c.contact_id, asks.c.purpose, asks.c.reason, asks.c.state)
        live = connection.execute(asked.where(asks.c.order_id.startswith(LIVE)))
        return {
            "facts": sorted(facts),
            "claims": sorted(claims),
            "answers": sorted(map(repr, connection.execute(select(*heard)))),
            "figures": sorted(map(repr, connection.execute(counted))),
            "asks": sorted(map(repr, live)),
        }


def differences(found: Essence, wanted: Essence) -> list[str]:
    """What differs, in a line a kind, with an example."""
    lines = []
    for kind in wanted:
        more, less = Counter(found[kind]), Counter(wanted[kind])
        extra, missing = more - less, less - more
        if extra or missing:
            example = min([*extra, *missing])
            lines.append(f"{kind}: {extra.total()} too many, {missing.total()} missing, as {example[:600]}")
    return lines


def faults(engine: Engine, acknowledged: Iterable[Item], posts: Sequence[Mapping[str, str]]) -> list[str]:
    """What is lost, or done twice, of what was acknowledged; `posts` are the provider's."""
    ways: dict[str, set[Way]] = {}
    for item in acknowledged:
        ways.setdefault(item.id, set()).add(item.way)
    with reading(engine) as connection:
        places = {row.id: row.seq for row in connection.execute(select(journal.c.id, journal.c.seq))}
        done = set(connection.execute(select(handled.c.seq).where(handled.c.part == "")).scalars())
        letters = connection.execute(select(dead_letters.c.reason)).scalars().all()
    # What also came straight to a topic may have been taken from there.
    stored = [name for name, of in ways.items() if name in places and Way.KAFKA not in of]
    found = {
        "events are lost": [name for name in ways if name not in places],
        "events are not handled": [name for name in stored if places[name] not in done],
        "dead letters": list(letters),
        "people are asked twice": [to for to, n in Counter(post["To"] for post in posts).items() if n > 1],
    }
    return [f"{len(names)} {what}, as {names[0]}" for what, names in found.items() if names]


def unknown(engine: Engine) -> list[str]:
    """The orders whose question is looked for: its dispatcher died before it knew whether it was sent."""
    with reading(engine) as connection:
        return list(connection.execute(select(asks.c.order_id).where(asks.c.state == "unknown")).scalars())
