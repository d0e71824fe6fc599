"""Real history through HTTP, Kafka and two workers: `make bench WHAT=history-cluster HISTORY=PATH`.

The final state must equal that of a replay in one process, apart from what depends on the time and order of receipt.
The web process does not accept reviews, so they are stored in the journal, as a form's answer is.

Exit code 1: something differs.
"""

import sys
import tempfile
from collections import Counter
from pathlib import Path

import msgspec
from sqlalchemy import Engine, func, select

from pipeline.sources.histories.olist.history import LEVELS, OlistHistory
from pipeline.store.db.engine import reading
from pipeline.store.schema.answers import answers
from pipeline.store.schema.journal import dead_letters, journal
from pipeline.store.schema.orders import orders
from tests.reliability.faults.trial import Result, Trial, fresh, servers
from tests.reliability.faults.workload import Intake, Item
from tests.reliability.history import PLAIN, record, run
from tests.support.facts import without_receipts

ROLES = ("web", "relay", "worker", "worker")
_TIMEOUT_SECONDS = 3_600.0


class _Named(msgspec.Struct):
    id: str


def items(path: Path) -> list[Item]:
    """All of the history, in its order."""
    name = msgspec.json.Decoder(_Named).decode
    return [
        Item(
            Intake.JOURNAL if one.topic == "feedback" else Intake.HTTP, name(one.raw).id, one.topic or "", one.raw, None
        )
        for one in OlistHistory(path)
    ]


def counts(engine: Engine) -> dict[str, int]:
    """The number of events by type, and of rows in the tables that result from them."""
    received = select(journal.c.type, func.count()).where(journal.c.outgoing.is_(False)).group_by(journal.c.type)
    with reading(engine) as connection:
        found = {str(kind): n for kind, n in connection.execute(received)}
        for table in (orders, answers, dead_letters):
            found[table.name] = connection.execute(select(func.count()).select_from(table)).scalar_one()
    return found


def main(path: Path) -> int:
    """Returns the number of differences."""
    result = Result("olist", 0)
    with tempfile.TemporaryDirectory() as folder, servers() as found, fresh(found, SEGMENT_LEVELS=LEVELS) as (made, _):
        trial = Trial(found, made, items(path), result, ROLES)
        try:
            trial.settle(_TIMEOUT_SECONDS)
        finally:
            trial.close()
        plain = run(f"sqlite:///{folder}/plain.db", path, PLAIN)
        known = counts(plain)
        wanted, actual = (Counter(record(engine, without_receipts)) for engine in (plain, made.engine))
        if counts(made.engine) != known:
            result.wrong.append(f"{counts(made.engine)} instead of {known}")
        for what, lines in (("too many", actual - wanted), ("missing", wanted - actual)):
            if lines:
                result.wrong.append(f"{lines.total():,} {what}, as {min(lines)[:400]}")
        plain.dispose()
    for line in result.wrong or [f"the same: {wanted.total():,} rows, {known}"]:
        print(line)
    return len(result.wrong)


if __name__ == "__main__":
    sys.exit(bool(main(Path(sys.argv[1]))))
