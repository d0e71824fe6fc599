"""Start of the demo: which simulated company a database contains, and the simulation of its past days."""

from collections.abc import Callable
from datetime import date, timedelta

import msgspec

from pipeline.app.installation import DatabaseMismatch, Installation, now
from pipeline.demo import backfill
from pipeline.demo.company import Company
from pipeline.demo.installation_view import LocalInstallation
from pipeline.store.journal import state

DEMO_DAYS = 90
_START_KEY = "demo.begun"


class DemoStart(msgspec.Struct, frozen=True):
    """The simulated company of a database: its seed, its first day, and the days to simulate asked for at first."""

    seed: int
    start: date
    days: int


def begin_demo(installation: Installation, seed: int, start: date | None, days: int | None) -> DemoStart:
    """Return the stored start of the demo, or store one: by default `DEMO_DAYS` days that end yesterday.

    Raises DatabaseMismatch if the database contains the company of another seed or another first day.
    """
    with installation.store.engine.begin() as connection:
        text = state.get(connection, _START_KEY, lock=True)
        if text is not None:
            stored = msgspec.json.decode(text, type=DemoStart)
        else:
            wanted = days or DEMO_DAYS
            stored = DemoStart(seed, start or now().date() - timedelta(days=wanted), wanted)
            state.put(connection, _START_KEY, msgspec.json.encode(stored).decode())
    if (stored.seed, stored.start) != (seed, start or stored.start):
        raise DatabaseMismatch(
            f"this database contains the company of --seed {stored.seed} --start {stored.start}; "
            "for another company, set another UNVARNISHED_DATA_DIR"
        )
    return stored


def play_demo(
    installation: Installation, company: Company, days: int, progress: Callable[[int, int], None] | None = None
) -> None:
    """Simulate the company's first `days` days, from where an earlier run stopped.

    `progress` gets the finished blocks and the number of all blocks.
    """
    backfill.run(LocalInstallation(installation.runner), company, days, progress)


def days_before_live(installation: Installation, company: Company, days: int) -> int:
    """Days to simulate before the live part: at least `days`, and every later day up to yesterday.

    Raises ConfigurationError if `days` reaches beyond yesterday.
    """
    view = LocalInstallation(installation.runner)
    checkpoint = backfill.read_checkpoint(view.get(backfill.CHECKPOINT_KEY))
    return backfill.days_before_live(company.start, days, checkpoint, now().date())
