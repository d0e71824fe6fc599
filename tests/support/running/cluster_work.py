"""Work for several workers at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.support.builders import answered, asked, at, completed, scanned


def side_by_side(*work: Callable[[], object]) -> None:
    """All at once, each in a thread of its own."""
    with ThreadPoolExecutor(len(work)) as pool:
        for done in [pool.submit(one) for one in work]:
            done.result(60)


def denied(n: int) -> list[bytes]:
    """A historic order whose customer denies that it was on time."""
    order_id, account, time = f"SO-{n}", f"A-{n}", at(days=n)
    return [
        completed(order_id, time, account={"id": account}, _={"historic": True}),
        scanned(order_id, time),
        asked(order_id, at(days=n, hours=1), account_id=account),
        answered(order_id, at(days=n, hours=2), arrival="late"),
    ]
