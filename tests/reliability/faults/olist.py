"""Real history through HTTP, Kafka and two workers: `make faults HISTORY=PATH`.

What is left has to be what a replay in one process leaves, apart from what depends on the order of receipt. Reviews
cannot be sent to the web role: they are stored as a form's answer is, and go the same way from there. Exit code 1:
something differs.
"""

import sys
import tempfile
from collections import Counter
from pathlib import Path

import msgspec
from sqlalchemy import Engine, func, select

from pipeline.sources.olist import LEVELS, OlistHistory
from pipeline.store.db.engine import reading
from pipeline.store.schema.tables import answers, dead_letters, journal, orders
from tests.reliability.faults.told import Item, Way
from tests.reliability.faults.trial import Result, Trial, fresh, ground
from tests.reliability.history import PLAIN, record, run

ROLES = ("web", "relay", "worker", "worker")
_LONGEST_SECONDS = 3_600.0


class _Named(msgspec.Struct):
    id: str


def items(path: Path) -> list[Item]:
    """All of the history, in its order."""
    name = msgspec.json.Decoder(_Named).decode
    return [
        Item(Way.JOURNAL if one.topic == "feedback" else Way.HTTP, name(one.raw).id, one.topic or "", one.raw, None)
        for one in OlistHistory(path)
    ]


def counts(engine: Engine) -> dict[str, int]:
    """How much there is of what was told, and of what came of it."""
    told = select(journal.c.type, func.count()).where(journal.c.outgoing.is_(False)).group_by(journal.c.type)
    with reading(engine) as connection:
        found = {str(kind): n for kind, n in connection.execute(told)}
        for table in (orders, answers, dead_letters):
            found[table.name] = connection.execute(select(func.count()).select_from(table)).scalar_one()
    return found


def main(path: Path) -> int:
    """Returns how many things differ."""
    result = Result("olist", 0)
    with tempfile.TemporaryDirectory() as folder, ground() as found, fresh(found, LEVELS=LEVELS) as (made, _):
        trial = Trial(found, made, items(path), result, ROLES)
        try:
            trial.settle(_LONGEST_SECONDS)
        finally:
            trial.close()
        plain = run(f"sqlite:///{folder}/plain.db", path, PLAIN)
        known = counts(plain)
        wanted, there = Counter(record(plain)), Counter(record(made.engine))
        if counts(made.engine) != known:
            result.wrong.append(f"{counts(made.engine)} instead of {known}")
        for what, lines in (("too many", there - wanted), ("missing", wanted - there)):
            if lines:
                result.wrong.append(f"{lines.total():,} {what}, as {min(lines)[:400]}")
        plain.dispose()
    for line in result.wrong or [f"the same: {wanted.total():,} rows, {known}"]:
        print(line)
    return len(result.wrong)


if __name__ == "__main__":
    sys.exit(bool(main(Path(sys.argv[1]))))
