"""Invariants of every installation, for all events in any order and after any failure."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Engine, func, select

from pipeline.domain.detection.segments import Series
from pipeline.domain.orders.dialogue import Dialogue
from pipeline.domain.orders.facts import Facts
from pipeline.domain.orders.order import Order
from pipeline.domain.reports.accounts.sums import LENGTHS, Sums, period_of, place_of, risk
from pipeline.domain.reports.counts import contribution
from pipeline.domain.reports.periods.spans import SPANS, first_day
from pipeline.domain.setup import Setup
from pipeline.store.db.engine import reading
from pipeline.store.evidence import level_changes
from pipeline.store.evidence.evidence import EvidenceStore
from pipeline.store.journal.state import clock_of
from pipeline.store.schema.answers import readings
from pipeline.store.schema.evidence import evidence, pairs
from pipeline.store.schema.orders import account_sums, orders, rollup_sums, rollups

_A_DAY = 3  # pairs of one account in a segment


def violated_invariants(engine: Engine, setup: Setup) -> list[str]:
    """The violated invariants: figures equal those of the orders, and evidence equals the fold of its pairs."""
    return [*_orders(engine), *_readings(engine), *_figures(engine), *_accounts(engine), *_evidence(engine, setup)]


def _orders(engine: Engine) -> list[str]:
    """An order counts as its record says, whichever of its events changed that, and in whatever batches they came."""
    with reading(engine) as connection:
        rows = connection.execute(select(orders.c.order_id, orders.c.facts, orders.c.dialogue, orders.c.counted)).all()
    wrong = []
    for order_id, facts, dialogue, counted in rows:
        record = Order(order_id, msgspec.json.decode(facts, type=Facts), msgspec.json.decode(dialogue, type=Dialogue))
        counts = msgspec.json.decode(counted).get("counts", {})
        if counts != contribution(record):
            wrong.append(f"{order_id} counts as {counts}, and by its record as {contribution(record)}")
    return wrong


def _readings(engine: Engine) -> list[str]:
    """The readings are those of the corrections in the dialogues."""
    with reading(engine) as connection:
        dialogues = connection.execute(select(orders.c.dialogue)).scalars().all()
        found = {tuple(row) for row in connection.execute(select(readings))}
    expected = set()
    for answer in (one for text in dialogues for one in msgspec.json.decode(text, type=Dialogue).answers):
        if answer.correction is not None:
            said = answer.as_corrected().statement
            score = (None, None) if said.score is None else (said.score.value, said.score.scale)
            stated = said.arrival, said.complete, ",".join(said.conditions)
            expected.add((answer.source, answer.id, *stated, *score))
    return [] if found == expected else ["the readings differ from the corrections of the dialogues"]


def _figures(engine: Engine) -> list[str]:
    counted: Counter[tuple[str, str, int, str]] = Counter()
    days = select(pairs.c.dimension, pairs.c.value, pairs.c.signal, pairs.c.day, pairs.c.account_id, func.count())
    with reading(engine) as connection:
        for order in connection.execute(select(orders.c.counted)).scalars():
            known = msgspec.json.decode(order)
            for dimension, segment, day in known["places"]:
                counted.update({(dimension, segment, day, name): n for name, n in known["counts"].items() if n})
        found = {tuple(row[:4]): row.n for row in connection.execute(select(rollups))}
        sums = {tuple(row[:5]): row.n for row in connection.execute(select(rollup_sums)) if row.n}
        crowded = [row for row in connection.execute(days.group_by(*days.selected_columns[:5])) if row[-1] > _A_DAY]
    wrong = ["the figures differ from those of the orders"] if found != dict(counted) else []
    if sums != span_sums(found):
        wrong.append("the sums of weeks and months differ from those of their days")
    return wrong + [f"more than {_A_DAY} pairs of an account on one day: {row}" for row in crowded]


def _accounts(engine: Engine) -> list[str]:
    wanted: dict[tuple[Any, ...], Sums] = {}
    with reading(engine) as connection:
        for facts, counted in connection.execute(select(orders.c.facts, orders.c.counted)):
            known = msgspec.json.decode(facts, type=Facts)
            place = place_of(known, msgspec.json.decode(counted)["counts"])
            for length in LENGTHS if place else ():
                assert place is not None
                key = (length, period_of(length, place.day).first_day, place.account)
                wanted[key] = wanted.get(key, Sums()).plus(place.sums)
        rows = connection.execute(select(account_sums)).all()
    found = {tuple(row[:3]): Sums(*row[3:-1]) for row in rows}
    wrong = ["the sums of accounts differ from those of the orders"] if found != wanted else []
    risks = [row for row in rows if abs(row.risk / 1_000 - risk(Sums(*row[3:-1]))) > 0.001]
    return wrong + [f"the database and the domain differ about a risk: {row}" for row in risks]


def span_sums(days: Mapping[tuple[Any, ...], int]) -> dict[tuple[Any, ...], int]:
    """The rows that `rollup_sums` has to have, from those of `rollups`."""
    found: Counter[tuple[Any, ...]] = Counter()
    for (dimension, value, day, counter), n in days.items():
        for span in SPANS:
            found[dimension, span, first_day(span, day), value, counter] += n
    return {key: n for key, n in found.items() if n}


def _evidence(engine: Engine, setup: Setup) -> list[str]:
    wrong = []
    with engine.connect() as connection:  # never committed: folding writes
        store, today = EvidenceStore(connection, setup.rules_since), clock_of(connection).toordinal()
        setup = setup.with_changes(level_changes.read(connection))
        for series in map(Series._make, connection.execute(select(*evidence.c[:3]).distinct()).all()):
            stored = store.state(series)
            numbers = select(pairs.c.n).where(*(pairs.c[name] == item for name, item in series._asdict().items()))
            if sorted(connection.execute(numbers).scalars()) != list(range(1, stored.pairs + 1)):
                wrong.append(f"the pairs of {series} are not numbered without gaps")
            elif (
                EvidenceStore(connection, setup.rules_since).fold(series, 0, setup.thresholds[series.dimension], today)
                != stored
            ):
                wrong.append(f"the evidence of {series} differs from the fold of its pairs")
        connection.rollback()
    return wrong
