"""How much a customer may be asked: limits, waits and quiet hours, as values."""

from dataclasses import dataclass
from datetime import time, timedelta

from pipeline.domain.events.contract import Role


@dataclass(frozen=True)
class Policy:
    """How much a customer may be asked. Rates and periods are settings, so that they can be shown and changed."""

    roles: frozenset[Role] = frozenset({"receiver", "user", "purchaser"})
    contact_rest: timedelta = timedelta(days=7)
    account_cap: int = 10
    account_period: timedelta = timedelta(days=7)
    sample_rate: float = 1.0
    probe_after: timedelta = timedelta(hours=24)
    answer_within: timedelta = timedelta(days=14)
    # The rest is for a world in which questions are really sent.
    ask_after: timedelta = timedelta(0)  # from the delivery to the question
    send_within: timedelta = timedelta(hours=48)  # from the decision: what could not be sent by then is given up
    remind_after: timedelta | None = timedelta(hours=48)  # from the question to its only reminder; None: no reminder
    quiet_from: time = time(20)  # local time of the recipient
    quiet_until: time = time(8)
    zones: frozenset[str] = frozenset({"UTC"})  # where people of unknown zone may live
