"""How customers may be asked: on which channels, how often, and at which hours."""

from dataclasses import dataclass
from datetime import time, timedelta

from pipeline.domain.asking.calendars import Calendar
from pipeline.domain.asking.channels import SMS, Channel
from pipeline.domain.events.contract import Contact, ContactRole


@dataclass(frozen=True)
class Policy:
    """How customers may be asked. Rates and periods are settings; the composition root supplies the channels."""

    roles: frozenset[ContactRole] = frozenset({"receiver", "user", "purchaser"})
    contact_rest: timedelta = timedelta(days=7)
    """Time between two questions to one contact, and to one address."""
    role_rests: tuple[tuple[ContactRole, timedelta], ...] = ()
    """Time between two questions to one contact in these roles, where it differs."""
    undeliverable_rest: timedelta = timedelta(days=180)
    """Time for which an address is not asked after the provider reported that nobody can be reached there."""
    address_daily_cap: int = 2
    """Questions to one address within a day, at most; 0: no limit."""
    account_cap: int = 10
    """Questions to one account within `account_period`, at most."""
    role_caps: tuple[tuple[ContactRole, int], ...] = ()
    """Questions to the contacts of an account in these roles within `account_period`, at most."""
    account_period: timedelta = timedelta(days=7)
    sample_rate: float = 1.0
    """Share of the orders that are asked about."""
    probe_after: timedelta = timedelta(hours=24)
    """From a missed promise without a delivery scan to the question about it."""
    answer_within: timedelta = timedelta(days=14)
    """From a question to its expiry."""
    channels: tuple[Channel, ...] = (SMS,)
    """The channels of this installation, in order of preference."""
    country_channels: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """The names of the channels in a country (ISO 3166), in order of preference."""
    # The rest applies only where questions are really sent.
    ask_after: timedelta = timedelta(0)
    """From the delivery to the question."""
    role_waits: tuple[tuple[ContactRole, timedelta], ...] = ()
    """From the delivery to the question for contacts in these roles, where it differs."""
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

    def rest_of(self, role: ContactRole | None) -> timedelta:
        """Time between two questions to one contact in that role; None: the role is not known.

        Its address rests for `contact_rest` all the same.
        """
        return self.contact_rest if role is None else dict(self.role_rests).get(role, self.contact_rest)

    def cap_of(self, role: ContactRole) -> int:
        """Questions to the contacts of an account in that role, or in any, within `account_period`, at most."""
        return dict(self.role_caps).get(role, self.account_cap)

    def wait_of(self, role: ContactRole | None) -> timedelta:
        """Time from the delivery to the question for a contact in that role; None: the role is not known."""
        return self.ask_after if role is None else dict(self.role_waits).get(role, self.ask_after)

    @property
    def longest_rest(self) -> timedelta:
        """The longest time after which an earlier question may still be a reason not to ask."""
        return max(self.contact_rest, *(rest for _, rest in self.role_rests), timedelta(0))

    def channels_for(self, contact: Contact) -> tuple[Channel, ...]:
        """The channels for a contact, in order of preference: its own first, then those of its country.

        A country with a rule has no other channels than the rule names, whatever the contact prefers.
        """
        rule = dict(self.country_channels).get(contact.country or "")
        if rule is None and contact.preferred_channel is None:
            return self.channels
        named = (self.channel(name) for name in rule) if rule is not None else self.channels
        allowed = [channel for channel in named if channel is not None]
        return tuple(sorted(allowed, key=lambda channel: channel.name != contact.preferred_channel))

    def channel(self, name: str | None) -> Channel | None:
        """The channel of that name; None if this installation does not have it."""
        return next((channel for channel in self.channels if channel.name == name), None)
