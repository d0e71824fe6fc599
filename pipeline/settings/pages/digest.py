"""Who gets the report by e-mail, and when."""

import re
from datetime import time
from email.errors import HeaderParseError
from email.headerregistry import Address
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from pipeline.domain.events.contract import BadEvent
from pipeline.domain.events.times import check_zone
from pipeline.settings.base import SettingsGroup

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)
_TIME = re.compile(r"[0-2][0-9]:[0-5][0-9]")


class DigestSettings(SettingsGroup):
    """The weekly report by e-mail: recipients and time."""

    subject: ClassVar[str] = "Report by e-mail"

    digest_to: Annotated[dict[str, str], NoDecode] = Field(
        {},
        repr=False,
        description="users who get the report of the last week by e-mail, each with an address, as in "
        "anna=anna@example.com,ben=ben@example.com. Each gets what they may see. Needs the mail server",
    )
    digest_weekday: Weekday = Field("monday", description="day of the week on which the report is sent")
    digest_at: str = Field("07:00", description="time of that day, as in 07:00")
    digest_timezone: str = Field("UTC", description="IANA time zone of that time, and of the weeks of the report")

    @property
    def digest_time(self) -> time:
        """The time of day as a time."""
        return time.fromisoformat(self.digest_at)

    @field_validator("digest_to", mode="before")
    @classmethod
    def _parse_digest_to(cls, value: object) -> object:
        return _recipients(value) if isinstance(value, str) else value

    @field_validator("digest_to")
    @classmethod
    def _check_digest_to(cls, value: dict[str, str]) -> dict[str, str]:
        for name, address in value.items():
            if not _is_address(address):
                raise ValueError(f"{name}: not an e-mail address")
        return value

    @field_validator("digest_weekday", mode="before")
    @classmethod
    def _lower_weekday(cls, value: Any) -> Any:
        return value.strip().lower() if isinstance(value, str) else value

    @field_validator("digest_at")
    @classmethod
    def _check_digest_time(cls, value: str) -> str:
        if not _TIME.fullmatch(value) or value >= "24:00":
            raise ValueError("a time of day is written as in 07:00")
        return value

    @field_validator("digest_timezone")
    @classmethod
    def _check_digest_timezone(cls, value: str) -> str:
        try:
            check_zone(value)
        except BadEvent as bad:
            raise ValueError(bad.explanation) from None
        return value


def _recipients(text: str) -> dict[str, str]:
    """Parse "NAME=ADDRESS,NAME=ADDRESS". Raises ValueError that does not repeat an address."""
    found: dict[str, str] = {}
    for number, part in enumerate(filter(None, (part.strip() for part in text.split(","))), 1):
        name, separator, address = (piece.strip() for piece in part.rpartition("="))
        if not separator or not name or not address:
            raise ValueError(f"entry {number} is not like anna=anna@example.com")
        if name in found:
            raise ValueError(f"{name} is named twice")
        found[name] = address
    return found


def _is_address(text: str) -> bool:
    try:
        address = Address(addr_spec=text)
    except (ValueError, IndexError, HeaderParseError):
        return False
    return bool(address.username and address.domain)
