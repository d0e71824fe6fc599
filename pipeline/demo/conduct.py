"""How the depots of the simulated company behave: which embellish, and how. An honest company has none that does."""

from typing import NamedTuple

from pipeline.demo.people import ASKS_NOTHING, MOVES_PROMISES, SCANS_EARLY


class Conduct(NamedTuple):
    """The depot that behaves in each way; None: no depot does."""

    scans_early: str | None = None
    """Scans deliveries before they happen."""
    moves_promises: str | None = None
    """Moves promises after they were missed, without asking the customer."""
    asks_nothing: str | None = None
    """Leaves the contacts out of its problem orders."""
    agrees_moves: str | None = None
    """Honest: agrees with the customers of half of its late orders on a new promise, and keeps it."""


EMBELLISHING = Conduct(SCANS_EARLY, MOVES_PROMISES, ASKS_NOTHING)
HONEST = Conduct()
