"""By when cases are to be settled, and whether customers are asked about it."""

import re
from datetime import timedelta
from typing import Annotated, ClassVar, get_args

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from pipeline.domain.cases.complaints import CasePolicy
from pipeline.domain.events.contract import BadEvent, ContactRole
from pipeline.domain.events.incidents import Severity
from pipeline.domain.events.times import check_zone
from pipeline.settings.asking import numbers_by_role
from pipeline.settings.base import SettingsGroup

_SEVERITIES: tuple[Severity, ...] = get_args(Severity)
_NUMBER = re.compile(r"[0-9]{1,5}(\.[0-9]{1,3})?")


class CaseSettings(SettingsGroup):
    """Due times of cases, and the question that follows the closing."""

    subject: ClassVar[str] = "Cases"

    case_due_hours: Annotated[dict[Severity, float], NoDecode] = Field(
        {"critical": 4, "major": 24, "minor": 72},
        description="hours within which a case is to be settled, by severity, as in critical=4,major=24,minor=72. "
        "Hours of Saturdays and Sundays do not count",
    )
    case_due_hours_by_role: Annotated[dict[ContactRole, float], NoDecode] = Field(
        {"decision_maker": 8},
        description="hours within which a case of a contact in these roles is to be settled at most, whatever the "
        "severity, as in decision_maker=8,purchaser=24",
    )
    case_timezone: str = Field(
        "UTC", description="IANA time zone of the people who settle cases: its Saturdays and Sundays do not count"
    )
    ask_if_settled: bool = Field(
        True,
        description="whether the customer is asked once, after the first closing of a case, if it is settled. The "
        "limits, rests and quiet hours of all questions apply",
    )

    @property
    def case_policy(self) -> CasePolicy:
        """The due times as the domain uses them."""
        hours = {"critical": 4.0, "major": 24.0, "minor": 72.0} | self.case_due_hours
        return CasePolicy(
            within=tuple((severity, timedelta(hours=hours[severity])) for severity in _SEVERITIES),
            within_of_role=tuple(
                (role, timedelta(hours=number)) for role, number in sorted(self.case_due_hours_by_role.items())
            ),
            timezone=self.case_timezone,
            asks_if_settled=self.ask_if_settled,
        )

    @field_validator("case_due_hours", mode="before")
    @classmethod
    def _parse_by_severity(cls, value: object) -> object:
        return _numbers_by_severity(value) if isinstance(value, str) else value

    @field_validator("case_due_hours_by_role", mode="before")
    @classmethod
    def _parse_due_hours_by_role(cls, value: object) -> object:
        return numbers_by_role(value) if isinstance(value, str) else value

    @field_validator("case_due_hours", "case_due_hours_by_role")
    @classmethod
    def _check_hours(cls, value: dict[str, float]) -> dict[str, float]:
        wrong = [name for name, hours in value.items() if hours <= 0]
        if wrong:
            raise ValueError(f"{wrong[0]}: a case cannot be due at once; use more than 0 hours")
        return value

    @field_validator("case_timezone")
    @classmethod
    def _check_timezone(cls, value: str) -> str:
        try:
            check_zone(value)
        except BadEvent as bad:
            raise ValueError(bad.explanation) from None
        return value


def _numbers_by_severity(text: str) -> dict[str, float]:
    """Parse hours by severity, such as "critical=4,minor=72". Raises ValueError naming the faulty part."""
    found: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        severity, _, number = (piece.strip() for piece in part.partition("="))
        if severity not in _SEVERITIES or not _NUMBER.fullmatch(number):
            raise ValueError(f"{part!r} is not like critical=4; the severities are {', '.join(_SEVERITIES)}")
        found[severity] = float(number)
    return found
