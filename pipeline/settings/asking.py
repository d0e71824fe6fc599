"""Whom to ask, when, and how often."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar, Self, get_args

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode

from pipeline.domain.asking.calendars import Place
from pipeline.domain.asking.channels import EMAIL, SMS, WHATSAPP
from pipeline.domain.asking.policy import Policy
from pipeline.domain.asking.quiet_hours import open_from, parse_hours
from pipeline.domain.events.contract import BadEvent, ContactRole
from pipeline.domain.events.times import check_zone
from pipeline.settings.base import Fraction, SettingsGroup


class AskingSettings(SettingsGroup):
    """Limits, delays and quiet hours of questions."""

    subject: ClassVar[str] = "Asking customers"

    ask_roles: Annotated[frozenset[ContactRole], NoDecode] = Field(
        frozenset({"receiver", "user", "purchaser"}), description="contact roles that are asked, separated by commas"
    )
    channels_by_country: Annotated[dict[str, tuple[str, ...]], NoDecode] = Field(
        {},
        description="channels that may be used in a country (ISO 3166), the preferred one first, as in "
        "IN=email,whatsapp;CN=email. Other countries: all of UNVARNISHED_NOTIFIER",
    )
    sample_rate: Fraction = Field(1.0, description="share of contacts that are asked")
    contact_rest_days: float = Field(
        7,
        ge=0,
        description="minimum number of days between two questions to one contact, and to one phone number or address "
        "whatever contacts and accounts it belongs to. 0: none",
    )
    contact_rest_days_by_role: Annotated[dict[ContactRole, float], NoDecode] = Field(
        {},
        description="minimum number of days between two questions to one contact in these roles, instead of "
        "UNVARNISHED_CONTACT_REST_DAYS, as in purchaser=30,user=14. Addresses rest as before",
    )
    address_daily_cap: int = Field(
        2,
        ge=0,
        description="maximum number of questions to one phone number or address within 24 hours, over all contacts and "
        "accounts. 0: no limit",
    )
    account_cap: int = Field(
        10, ge=1, description="maximum number of questions to one account within UNVARNISHED_ACCOUNT_PERIOD_DAYS"
    )
    account_cap_by_role: Annotated[dict[ContactRole, Annotated[int, Field(ge=0)]], NoDecode] = Field(
        {},
        description="maximum number of questions to all contacts of an account in these roles within "
        "UNVARNISHED_ACCOUNT_PERIOD_DAYS, as in purchaser=1,user=5. UNVARNISHED_ACCOUNT_CAP counts them, too",
    )
    account_period_days: float = Field(
        7, gt=0, description="length in days of the period that the caps of an account count"
    )
    ask_after_minutes: float = Field(
        0, ge=0, description="minutes from the reported delivery until the customer is asked about it"
    )
    ask_after_minutes_by_role: Annotated[dict[ContactRole, float], NoDecode] = Field(
        {},
        description="minutes from the reported delivery until contacts in these roles are asked, instead of "
        "UNVARNISHED_ASK_AFTER_MINUTES, as in user=1440,purchaser=2000. Less than UNVARNISHED_SEND_WITHIN_HOURS",
    )
    overdue_ask_after_hours: float = Field(
        24,
        ge=0,
        description="hours from the first promised time until the customer is asked although no delivery was reported",
    )
    send_within_hours: float = Field(
        48,
        gt=0,
        description="hours after which a question that could not be sent is given up, without those of closed days",
    )
    remind_after_hours: float = Field(
        48, ge=0, description="hours from a question to its only reminder. 0: no reminder is sent"
    )
    answer_within_days: float = Field(14, gt=0, description="days after which an unanswered question expires")
    quiet_hours: str = Field(
        "20:00-08:00",
        description="daily period, in the recipient's local time, in which nothing is sent. 00:00-00:00: none",
    )
    skip_holidays: bool = Field(
        True,
        description="whether nothing is sent on closed days of the recipient's country: public holidays, and in France "
        "Sundays. The country is that of the contact (`country`, or their phone number), else of the time zone",
    )
    customer_timezones: Annotated[frozenset[str], NoDecode] = Field(
        frozenset({"UTC"}),
        description="IANA time zones in which your customers live, separated by commas. If neither the contact's nor "
        "the order's zone is known, a question waits until quiet hours are over in all of them",
    )
    default_country: str | None = Field(
        None,
        description="country of phone numbers that are sent without a country code, as in FR (ISO 3166), unless the "
        "event's `account.country` names one. Without it such numbers cannot be used",
    )
    undeliverable_rest_days: float = Field(
        180,
        ge=0,
        description="days for which an address is not asked after the provider reported that it cannot be reached at "
        "all (unknown, a landline, blocked), unless a text comes from it. 0: it is asked again",
    )

    @property
    def policy(self) -> Policy:
        """The limits, delays and quiet hours as the domain uses them."""
        quiet_from, quiet_until = parse_hours(self.quiet_hours)
        return Policy(
            roles=self.ask_roles,
            country_channels=tuple(sorted(self.channels_by_country.items())),
            contact_rest=timedelta(days=self.contact_rest_days),
            role_rests=_by_role(self.contact_rest_days_by_role, timedelta(days=1)),
            role_waits=_by_role(self.ask_after_minutes_by_role, timedelta(minutes=1)),
            undeliverable_rest=timedelta(days=self.undeliverable_rest_days),
            address_daily_cap=self.address_daily_cap,
            role_caps=tuple(sorted(self.account_cap_by_role.items())),
            account_cap=self.account_cap,
            account_period=timedelta(days=self.account_period_days),
            sample_rate=self.sample_rate,
            probe_after=timedelta(hours=self.overdue_ask_after_hours),
            answer_within=timedelta(days=self.answer_within_days),
            ask_after=timedelta(minutes=self.ask_after_minutes),
            send_within=timedelta(hours=self.send_within_hours),
            remind_after=timedelta(hours=self.remind_after_hours) if self.remind_after_hours else None,
            quiet_from=quiet_from,
            quiet_until=quiet_until,
            zones=self.customer_timezones,
        )

    @field_validator("ask_roles", mode="before")
    @classmethod
    def _parse_roles(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        roles = frozenset(filter(None, (item.strip() for item in value.split(","))))
        unknown = roles - set(get_args(ContactRole))
        if unknown:
            raise ValueError(f"unknown roles {sorted(unknown)}; the known roles are {', '.join(get_args(ContactRole))}")
        return roles

    @field_validator("contact_rest_days_by_role", "ask_after_minutes_by_role", "account_cap_by_role", mode="before")
    @classmethod
    def _parse_by_role(cls, value: object) -> object:
        return numbers_by_role(value) if isinstance(value, str) else value

    @field_validator("channels_by_country", mode="before")
    @classmethod
    def _parse_channels_by_country(cls, value: object) -> object:
        return channels_by_country(value) if isinstance(value, str) else value

    @field_validator("quiet_hours")
    @classmethod
    def _parse_quiet_hours(cls, value: str) -> str:
        parse_hours(value)
        return value

    @field_validator("customer_timezones", mode="before")
    @classmethod
    def _parse_timezones(cls, value: object) -> object:
        names = frozenset(item.strip() for item in value.split(",")) if isinstance(value, str) else value
        for name in names if isinstance(names, frozenset) else ():
            try:
                check_zone(name)
            except BadEvent as bad:
                raise ValueError(bad.explanation) from None
        return names

    @model_validator(mode="after")
    def _check_waits(self) -> Self:
        late = [role for role, wait in self.ask_after_minutes_by_role.items() if wait >= self.send_within_hours * 60]
        if late:
            raise ValueError(
                f"ask_after_minutes_by_role: questions to the role {late[0]} would be given up before they are sent; "
                "use less than send_within_hours"
            )
        return self

    @model_validator(mode="after")
    def _check_open_hours(self) -> Self:
        places = {Place(name) for name in self.customer_timezones}
        if open_from(datetime.now(UTC), places, self.policy) is None:
            raise ValueError(
                "quiet_hours and customer_timezones leave no hour of the day in which a message may be sent"
            )
        return self


def numbers_by_role(text: str) -> dict[str, float]:
    """Parse numbers by role, such as "user=2,purchaser=30". Raises ValueError naming the faulty part."""
    found: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        role, _, number = (piece.strip() for piece in part.partition("="))
        if role not in get_args(ContactRole) or not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", number):
            roles = ", ".join(get_args(ContactRole))
            raise ValueError(f"{part!r} is not like purchaser=30; the roles are {roles}")
        found[role] = float(number)
    return found


def _by_role(numbers: Mapping[ContactRole, float], unit: timedelta) -> tuple[tuple[ContactRole, timedelta], ...]:
    return tuple(sorted((role, number * unit) for role, number in numbers.items()))


def channels_by_country(text: str) -> dict[str, tuple[str, ...]]:
    """Parse channels by country, such as "IN=email,whatsapp;CN=email". Raises ValueError naming the faulty part."""
    found: dict[str, tuple[str, ...]] = {}
    known = [channel.name for channel in (SMS, WHATSAPP, EMAIL)]
    for part in filter(None, (part.strip() for part in text.split(";"))):
        country, equals, names = part.partition("=")
        channels = tuple(name.strip() for name in names.split(",") if name.strip())
        if not equals or not re.fullmatch("[A-Z]{2}", country.strip()) or not set(channels) <= set(known):
            raise ValueError(f"{part!r} is not like IN=email,whatsapp; the channels are {', '.join(known)}")
        found[country.strip()] = channels
    return found
