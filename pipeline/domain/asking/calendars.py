"""Days on which nothing is sent where a recipient is. Which days those are comes from outside the domain."""

from datetime import date
from typing import NamedTuple, Protocol


class Calendar(Protocol):
    """The closed days of countries (ISO 3166 codes): public holidays, and weekdays on which messages are not allowed.

    A policy with a calendar is compared by the calendar's identity, so there is one for an installation.
    """

    def country_of(self, timezone: str) -> str | None:
        """The country of an IANA time zone; None if it belongs to none or is unknown."""
        ...

    def is_closed(self, country: str, day: date) -> bool:
        """Whether nothing may be sent on that local day. False for an unknown country."""
        ...


class Place(NamedTuple):
    """Where a recipient may be: an IANA time zone, and a country (ISO 3166) if it is known."""

    zone: str
    country: str | None = None
