"""How the company appears to its customers: on forms, in e-mails, in its own words."""

import json
import re
from pathlib import Path
from typing import ClassVar, Self, get_args

from pydantic import Field, field_validator, model_validator

from pipeline.domain.events.contract import ContactRole
from pipeline.settings.base import SettingsGroup

MAX_LOGO_BYTES = 100_000
LOGO_TYPES = {
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
}
MAX_OWN_WORDS = 60  # characters
_OTHER_TEXT = re.compile(r"[\d{}<>\n\r]|https?:|www\.|\.\w")  # no options, placeholders or links of one's own
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


class CompanySettings(SettingsGroup):
    """Name, logo, colour and contact of the company that asks."""

    subject: ClassVar[str] = "Your company"

    company_name: str = Field(
        "Your supplier", min_length=1, max_length=30, description="name of the sender in questions and on forms"
    )
    company_logo: Path | None = Field(
        None,
        description="image file shown on forms, 32 pixels high: .svg, .png, .jpg or .webp, at most 100 KB",
    )
    company_colour: str | None = Field(
        None,
        description="colour of buttons and links on forms, as in #0b5c8e. It is darkened or lightened as far as "
        "people need to read it",
    )
    contact_phone: str | None = Field(
        None,
        max_length=30,
        description="phone number that customers may call, shown on forms and sent after a complaint",
    )
    contact_email: str | None = Field(
        None, max_length=200, description="e-mail address for customers' questions, shown on forms"
    )
    privacy_url: str | None = Field(
        None, max_length=300, description="address of your privacy notice (https), linked on forms"
    )
    question_words: Path | None = Field(
        None,
        description="JSON file with your own wording of the question about a delivery, by language and by role (or "
        '`all`): {"en": {"all": "how did order {order} go?"}}. Options, link and STOP are added and cannot be changed',
    )

    @property
    def own_words(self) -> dict[str, dict[str, str]]:
        """The wordings in `question_words`, with `%(order)s` for the order's number."""
        return {} if self.question_words is None else _own_words(self.question_words)

    @field_validator("company_colour")
    @classmethod
    def _check_colour(cls, value: str | None) -> str | None:
        if value is not None and not _COLOUR.fullmatch(value):
            raise ValueError("write a colour as in #0b5c8e")
        return value

    @field_validator("privacy_url")
    @classmethod
    def _check_privacy_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("https://"):
            raise ValueError("write an address that begins with https://")
        return value

    @field_validator("contact_phone")
    @classmethod
    def _check_contact_phone(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"\+?[0-9][0-9 ()/.-]*", value):
            raise ValueError("write a phone number with digits and spaces, as in +33 1 23 45 67 89")
        return value

    @field_validator("company_logo")
    @classmethod
    def _check_logo(cls, value: Path | None) -> Path | None:
        if value is None:
            return None
        if value.suffix.lower() not in LOGO_TYPES:
            raise ValueError(f"the file must be one of {', '.join(LOGO_TYPES)}")
        if not value.is_file() or value.stat().st_size > MAX_LOGO_BYTES:
            raise ValueError(f"{value} is no file of at most {MAX_LOGO_BYTES} bytes")
        return value

    @model_validator(mode="after")
    def _check_question_words(self) -> Self:
        if self.question_words is not None:
            _own_words(self.question_words)
        return self


def _own_words(path: Path) -> dict[str, dict[str, str]]:
    """The wordings in a file. Raises ValueError naming the file and the wording that cannot be used."""
    try:
        stated = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"UNVARNISHED_QUESTION_WORDS: {path} cannot be read as JSON ({error})") from None
    if not isinstance(stated, dict) or not all(isinstance(by_role, dict) for by_role in stated.values()):
        raise ValueError(
            f'UNVARNISHED_QUESTION_WORDS: {path} must be like {{"en": {{"all": "how did {{order}} go?"}}}}'
        )
    return {
        language: {role: _template(f"{path}: {language}.{role}", role, words) for role, words in by_role.items()}
        for language, by_role in stated.items()
    }


def _template(where: str, role: str, words: object) -> str:
    """A wording as a template. Raises ValueError if it could be misread or lacks the order."""
    if role not in ("all", *get_args(ContactRole)):
        raise ValueError(f"{where}: unknown role; the roles are all, {', '.join(get_args(ContactRole))}")
    if not isinstance(words, str) or words.count("{order}") != 1 or len(words) > MAX_OWN_WORDS:
        raise ValueError(f"{where}: write a sentence of at most {MAX_OWN_WORDS} characters with {{order}} in it once")
    if _OTHER_TEXT.search(words.replace("{order}", "")):
        raise ValueError(f"{where}: digits, links, line ends and other placeholders are not allowed")
    return words.replace("%", "%%").replace("{order}", "%(order)s")
