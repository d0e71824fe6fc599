"""Work for several workers at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.support.builders import answered, asked, at, completed, scanned
from tests.support.limits import PATIENCE


def side_by_side(*work: Callable[[], object]) -> None:
    """Run all in parallel, each in a separate thread."""
    with ThreadPoolExecutor(len(work)) as pool:
        for done in [pool.submit(one) for one in work]:
            done.result(PATIENCE)


def denied(n: int) -> list[bytes]:
    """The events of a historic order whose customer denies that it was on time."""
    order_id, account, time = f"SO-{n}", f"A-{n}", at(days=n)
    return [
        completed(order_id, time, account={"id": account}, _={"historic": True}),
        scanned(order_id, time),
        asked(order_id, at(days=n, hours=1), account_id=account),
        answered(order_id, at(days=n, hours=2), arrival="late"),
    ]
