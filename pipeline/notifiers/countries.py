"""What applies to messages by country: public holidays, and the rules in countries.toml."""

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import lru_cache
from importlib import resources

import msgspec
from babel.core import get_global

from pipeline.domain.asking.channels import SMS, Channel

RULES = "countries.toml"
_ISO_3166 = 2  # letters of a country's code; Babel also has codes of regions


class CountryRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What applies to messages in one country. Weekdays as in `date.weekday`: 0 is Monday."""

    closed_weekdays: frozenset[int] = frozenset()
    two_way_sms: bool = True


class CountryCalendar:
    """Public holidays of whole countries (not those of regions), and weekdays that the rules of a country exclude."""

    def __init__(self, rules: Mapping[str, CountryRule]) -> None:
        self._closed_weekdays = {country: rule.closed_weekdays for country, rule in rules.items()}

    def country_of(self, timezone: str) -> str | None:
        """The country of an IANA time zone, under any of its names; None if it belongs to none."""
        name = get_global("zone_aliases").get(timezone, timezone)
        territory = get_global("zone_territories").get(name)
        return territory if territory and len(territory) == _ISO_3166 and territory != "ZZ" else None

    def is_closed(self, country: str, day: date) -> bool:
        """Whether nothing may be sent on that local day. False for an unknown country."""
        return day.weekday() in self._closed_weekdays.get(country, ()) or day in _public_holidays(country, day.year)


@lru_cache(maxsize=1)
def calendar() -> CountryCalendar:
    """The calendar with the rules of this version."""
    return CountryCalendar(_rules())


def with_countries(channel: Channel) -> Channel:
    """The channel with the countries where nobody can reply on it."""
    if channel.name != SMS.name:
        return channel
    return replace(channel, one_way_in=frozenset(code for code, rule in _rules().items() if not rule.two_way_sms))


@lru_cache(maxsize=1)
def _rules() -> dict[str, CountryRule]:
    text = (resources.files(__package__) / RULES).read_text()
    return msgspec.convert(tomllib.loads(text), dict[str, CountryRule])


@lru_cache(maxsize=1_024)
def _public_holidays(country: str, year: int) -> frozenset[date]:
    import holidays  # takes a noticeable part of a second, which only sending needs

    if country not in holidays.list_supported_countries(include_aliases=False):
        return frozenset()
    return frozenset(holidays.country_holidays(country, years=year))
