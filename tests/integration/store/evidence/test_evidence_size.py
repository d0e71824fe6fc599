"""The evidence of many segments stays small, and another answer costs the same however many there were before."""

import random
import time
from collections.abc import Callable

from sqlalchemy import Connection, func, select, text

from pipeline.domain.detection import alerting
from pipeline.domain.detection.pairs import SIGNALS
from pipeline.domain.detection.segments import Series
from pipeline.store.db.engine import connect
from pipeline.store.evidence.evidence import EvidenceStore
from pipeline.store.schema.evidence import evidence
from tests.support.builders import MONDAY

SEGMENTS = 200
OF_A_LARGE_FLEET = 10_000 / SEGMENTS
ROUNDS = 12


def test_the_newest_states_of_ten_thousand_segments_are_under_a_hundred_megabytes_and_an_answer_costs_the_same(
    database_url: str, record_property: Callable[[str, object], None]
) -> None:
    engine = connect(database_url)
    all_series = [Series("depot", f"Depot {n:05}", signal) for n in range(SEGMENTS) for signal in SIGNALS]
    seconds = []
    try:
        for number in range(ROUNDS):
            started = time.process_time()
            with engine.begin() as connection:
                answer_each(connection, all_series, number)
            seconds.append(time.process_time() - started)
        with engine.begin() as connection:
            assert connection.execute(select(func.count()).select_from(evidence)).scalar_one() < ROUNDS * len(
                all_series
            )
            newest = select(func.max(evidence.c.day)).scalar_subquery()
            connection.execute(evidence.delete().where(evidence.c.day < newest))
        size = size_of_evidence(database_url)
    finally:
        engine.dispose()
    mega = size * OF_A_LARGE_FLEET / 1e6
    record_property("megabytes", round(mega, 1))
    record_property("microseconds", [round(each / len(all_series) * 1e6) for each in seconds])
    assert mega < 100.0
    assert min(seconds[-4:]) < 2 * min(seconds[1:5])


def answer_each(connection: Connection, all_series: list[Series], number: int) -> None:
    """A pair for each series, three days after the last. Every fourth segment diverges."""
    store = EvidenceStore(connection)
    rng = random.Random(number)
    day = MONDAY.toordinal() + 3 * number
    for place, series in enumerate(all_series):
        x = float(rng.random() < (0.9 if place % 4 == 0 else 0.1))
        pair = alerting.Pair(day, x, 0.05, f"A-{rng.randrange(500)}", f"SO-{number}-{place}")
        state = store.append(series, pair, MONDAY)
        alerting.observe(state, pair, 20_000.0, *store.context(series, state.pairs + 1))
    store.flush()


def size_of_evidence(url: str) -> int:
    """Bytes of the table with its index, without free space."""
    engine = connect(url)
    try:
        if engine.dialect.name == "postgresql":
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM FULL evidence"))
                return int(connection.execute(text("SELECT pg_total_relation_size('evidence')")).scalar_one())
        with engine.connect() as connection:
            pages = "SELECT SUM(pgsize) FROM dbstat WHERE name IN ('evidence', 'sqlite_autoindex_evidence_1')"
            return int(connection.execute(text(pages)).scalar_one())
    finally:
        engine.dispose()
