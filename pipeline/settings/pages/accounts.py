"""Weights of influence on an account's page, and how long the link of a scorecard opens."""

from typing import Annotated, ClassVar

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from pipeline.domain.events.contract import ContactRole
from pipeline.settings.asking import numbers_by_role
from pipeline.settings.base import SettingsGroup

_MOST = 100.0


class AccountSettings(SettingsGroup):
    """The page of an account, and scorecards."""

    subject: ClassVar[str] = "Accounts"

    influence_weights: Annotated[dict[ContactRole, float], NoDecode] = Field(
        {"receiver": 1, "user": 1, "purchaser": 2, "decision_maker": 3, "gatekeeper": 1},
        description="how much the score of each role counts in the score of an account, as in "
        "purchaser=2,decision_maker=3; roles that are left out count 1. The page of the account shows them, and they "
        "change no figure and no evidence",
    )

    scorecard_link_days: int = Field(
        30, ge=1, le=365, description="days for which a link to a scorecard works from when it is made, unless revoked"
    )

    @field_validator("influence_weights", mode="before")
    @classmethod
    def _parse_weights(cls, value: object) -> object:
        return numbers_by_role(value) if isinstance(value, str) else value

    @field_validator("influence_weights")
    @classmethod
    def _check_weights(cls, value: dict[ContactRole, float]) -> dict[ContactRole, float]:
        wrong = [role for role, weight in value.items() if not 0 <= weight <= _MOST]
        if wrong:
            raise ValueError(f"{wrong[0]}: must be from 0 to {_MOST:g}")
        return value
