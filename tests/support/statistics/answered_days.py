"""Days of orders of a depot that were claimed on time and answered: the start of tests of reports."""

from typing import Any

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from tests.support.builders import answered, asked, at, completed, contact, scanned
from tests.support.running.embedded import ingest
from tests.support.stored import HISTORIC


def add_orders(runtime: EmbeddedRunner, depot: str, many: int, denied: int, day: int, words: str = "") -> None:
    """Orders of one day that were claimed on time and answered; the first `denied` answers say late, with score 2."""
    events: list[bytes] = []
    for n in range(many):
        order_id, account = f"{depot}-{day}-{n}", f"A-{n % 4}"
        known: dict[str, Any] = {"account": {"id": account}, "contacts": [contact("ana")]}
        late = n < denied
        said: dict[str, Any] = {
            "arrival": "late" if late else "on_time",
            "score": {"value": 2 if late else 9, "scale": 10},
        }
        events += [
            completed(order_id, at(days=day), dimensions={"depot": depot}, **known, **HISTORIC),
            scanned(order_id, at(days=day, hours=1)),
            asked(order_id, at(days=day, hours=2), account_id=account),
            answered(order_id, at(days=day, hours=3), comment=f"{words or depot} {n} says", **said),
        ]
    ingest(runtime, *events)
