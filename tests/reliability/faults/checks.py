"""The final state of a trial, as far as it must not depend on faults and order, and its differences and problems."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from sqlalchemy import Engine, select

from pipeline.domain.orders.dialogue import Dialogue
from pipeline.store.db.engine import reading
from pipeline.store.schema.answers import answers
from pipeline.store.schema.asks import asks
from pipeline.store.schema.journal import dead_letters, handled, journal
from pipeline.store.schema.orders import orders, rollups
from tests.reliability.faults.workload import LIVE, Intake, Item
from tests.support.dump import opened
from tests.support.facts import without_places

FinalState = Mapping[str, Sequence[str]]


def final_state(engine: Engine) -> FinalState:
    """The state that must equal the reference run: facts, current claims, answers, figures, and questions."""
    with reading(engine) as connection:
        facts, claims = [], []
        for order in connection.execute(select(orders)):
            facts.append(f"{order.order_id} {without_places(order.facts)}")
            claims.append(f"{order.order_id} {msgspec.json.decode(order.dialogue, type=Dialogue).claim}")
        columns = [column for column in answers.c if column.name != "received_at"]
        # A counter that returned to 0 equals one that never changed.
        counted = select(rollups).where(rollups.c.n != 0)
        asked = select(asks.c.order_id, asks.c.contact_id, asks.c.purpose, asks.c.reason, asks.c.state)
        live = connection.execute(asked.where(asks.c.order_id.startswith(LIVE)))
        return {
            "facts": sorted(opened(connection, facts)),
            "claims": sorted(claims),
            "answers": sorted(opened(connection, [repr(tuple(row)) for row in connection.execute(select(*columns))])),
            "figures": sorted(map(repr, connection.execute(counted))),
            "asks": sorted(map(repr, live)),
        }


def as_received(engine: Engine, items: Iterable[Item]) -> list[Item]:
    """The events in the order of their receipt, each with its time of receipt in the journal."""
    by_id = {item.id: item for item in items}
    found = select(journal.c.id, journal.c.received_at).order_by(journal.c.received_at, journal.c.seq)
    with reading(engine) as connection:
        return [
            by_id[row.id]._replace(received_at=row.received_at) for row in connection.execute(found) if row.id in by_id
        ]


def differences(found: FinalState, wanted: FinalState) -> list[str]:
    """The differences, one line for each kind, with an example."""
    lines = []
    for kind in wanted:
        more, less = Counter(found[kind]), Counter(wanted[kind])
        extra, missing = more - less, less - more
        if extra or missing:
            example = min([*extra, *missing])
            lines.append(f"{kind}: {extra.total()} too many, {missing.total()} missing, as {example[:600]}")
    return lines


def check_delivery(engine: Engine, acknowledged: Iterable[Item], posts: Sequence[Mapping[str, str]]) -> list[str]:
    """The acknowledged events that were lost or handled twice. `posts`: the requests that the provider received."""
    ways: dict[str, set[Intake]] = {}
    for item in acknowledged:
        ways.setdefault(item.id, set()).add(item.intake)
    with reading(engine) as connection:
        positions = {row.id: row.seq for row in connection.execute(select(journal.c.id, journal.c.seq))}
        done = set(connection.execute(select(handled.c.seq).where(handled.c.part == "")).scalars())
        dead_letter_reasons = connection.execute(select(dead_letters.c.reason)).scalars().all()
    # An event that was also produced to its topic may have been stored from there.
    stored = [name for name, of in ways.items() if name in positions and Intake.KAFKA not in of]
    found = {
        "events are lost": [name for name in ways if name not in positions],
        "events are not handled": [name for name in stored if positions[name] not in done],
        "dead letters": list(dead_letter_reasons),
        "people are asked twice": [to for to, n in Counter(post["To"] for post in posts).items() if n > 1],
    }
    return [f"{len(names)} {what}, as {names[0]}" for what, names in found.items() if names]


def unknown_outcomes(engine: Engine) -> list[str]:
    """The orders whose question has an unknown outcome: its dispatcher was killed before it recorded the response."""
    with reading(engine) as connection:
        return list(connection.execute(select(asks.c.order_id).where(asks.c.state == "unknown")).scalars())
