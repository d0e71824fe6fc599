"""How customers may be asked: on which channels, how often, and at which hours."""

from dataclasses import dataclass
from datetime import time, timedelta

from pipeline.domain.asking.calendars import Calendar
from pipeline.domain.asking.channels import SMS, Channel
from pipeline.domain.events.contract import ContactRole


@dataclass(frozen=True)
class Policy:
    """How customers may be asked. Rates and periods are settings; the composition root supplies the channels."""

    roles: frozenset[ContactRole] = frozenset({"receiver", "user", "purchaser"})
    contact_rest: timedelta = timedelta(days=7)
    """Time between two questions to one contact, and to one address."""
    undeliverable_rest: timedelta = timedelta(days=180)
    """Time for which an address is not asked after the provider reported that nobody can be reached there."""
    address_daily_cap: int = 2
    """Questions to one address within a day, at most; 0: no limit."""
    account_cap: int = 10
    """Questions to one account within `account_period`, at most."""
    account_period: timedelta = timedelta(days=7)
    sample_rate: float = 1.0
    """Share of the orders that are asked about."""
    probe_after: timedelta = timedelta(hours=24)
    """From a missed promise without a delivery scan to the question about it."""
    answer_within: timedelta = timedelta(days=14)
    """From a question to its expiry."""
    channels: tuple[Channel, ...] = (SMS,)
    """The channels of this installation, in order of preference."""
    # The rest applies only where questions are really sent.
    ask_after: timedelta = timedelta(0)
    """From the delivery to the question."""
    send_within: timedelta = timedelta(hours=48)
    """From the decision to the latest time of sending, closed days not counted: afterwards it is given up."""
    remind_after: timedelta | None = timedelta(hours=48)
    """From the question to its only reminder; None: no reminder."""
    quiet_from: time = time(20)
    """Start of quiet hours, local time of the recipient."""
    quiet_until: time = time(8)
    zones: frozenset[str] = frozenset({"UTC"})
    """Time zones assumed for recipients whose zone is unknown."""
    calendar: Calendar | None = None
    """Days on which nothing is sent, by country; None: every day is open."""

    def channel(self, name: str | None) -> Channel | None:
        """The channel of that name; None if this installation does not have it."""
        return next((channel for channel in self.channels if channel.name == name), None)
