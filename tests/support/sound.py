"""What holds in every installation, whatever was told to it, in whatever order, and whatever broke meanwhile."""

from collections import Counter

import msgspec
from sqlalchemy import Engine, func, select

from pipeline.domain.detection.segments import Series
from pipeline.store.db.engine import reading
from pipeline.store.evidence.evidence import EvidenceStore
from pipeline.store.schema.evidence import evidence, pairs
from pipeline.store.schema.orders import orders, rollups
from pipeline.store.unit_of_work import Setup

_A_DAY = 3  # pairs of one account in a segment


def unsound(engine: Engine, setup: Setup) -> list[str]:
    """What is wrong: figures that are not those of the orders, evidence that is not the fold of its pairs."""
    return [*_figures(engine), *_evidence(engine, setup)]


def _figures(engine: Engine) -> list[str]:
    counted: Counter[tuple[str, str, int, str]] = Counter()
    days = select(pairs.c.dimension, pairs.c.value, pairs.c.signal, pairs.c.day, pairs.c.account_id, func.count())
    with reading(engine) as connection:
        for order in connection.execute(select(orders.c.counted)).scalars():
            known = msgspec.json.decode(order)
            for dimension, segment, day in known["places"]:
                counted.update({(dimension, segment, day, name): n for name, n in known["counts"].items() if n})
        found = {tuple(row[:4]): row.n for row in connection.execute(select(rollups))}
        crowded = [row for row in connection.execute(days.group_by(*days.selected_columns[:5])) if row[-1] > _A_DAY]
    return (["the figures are not those of the orders"] if found != dict(counted) else []) + [
        f"more than {_A_DAY} pairs of an account and a day: {row}" for row in crowded
    ]


def _evidence(engine: Engine, setup: Setup) -> list[str]:
    wrong = []
    with engine.connect() as connection:  # never committed: folding writes
        store = EvidenceStore(connection)
        for series in map(Series._make, connection.execute(select(*evidence.c[:3]).distinct()).all()):
            stands = store.state(series)
            numbers = select(pairs.c.n).where(*(pairs.c[name] == item for name, item in series._asdict().items()))
            if sorted(connection.execute(numbers).scalars()) != list(range(1, stands.pairs + 1)):
                wrong.append(f"the pairs of {series} are not numbered through")
            elif EvidenceStore(connection).fold(series, 0, setup.thresholds[series.dimension]) != stands:
                wrong.append(f"the evidence of {series} is not the fold of its pairs")
        connection.rollback()
    return wrong
