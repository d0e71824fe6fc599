"""What a company may set of its appearance, and which errors name the setting."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.settings import Settings
from pipeline.settings.company import MAX_LOGO_BYTES


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("company_colour", "blue"),
        ("company_colour", "#0b5c8"),
        ("privacy_url", "http://a.example"),
        ("privacy_url", "javascript:alert(1)"),
        ("contact_phone", "call me"),
        ("company_logo", "no-such-file.svg"),
        ("company_logo", "/etc/hostname"),
    ],
)
def test_what_cannot_be_shown_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings.model_validate({name: value})
    assert [error["loc"] for error in refused.value.errors()] == [(name,)]


def test_a_logo_that_is_too_large_is_refused(tmp_path: Path) -> None:
    logo = tmp_path / "logo.png"
    logo.write_bytes(b"x" * (MAX_LOGO_BYTES + 1))
    with pytest.raises(ValidationError, match=str(MAX_LOGO_BYTES)):
        Settings(company_logo=logo)


def test_own_words_become_templates(tmp_path: Path) -> None:
    file = tmp_path / "words.json"
    file.write_text(json.dumps({"en": {"all": "was order {order} 100% fine?".replace("100", "")}}), "utf-8")
    assert Settings(question_words=file).own_words == {"en": {"all": "was order %(order)s %% fine?"}}


@pytest.mark.parametrize(
    ("stated", "complaint"),
    [
        ("[]", "must be like"),
        ("{", "cannot be read as JSON"),
        ({"en": {"all": "how was it?"}}, r"en\.all: write a sentence"),
        ({"en": {"all": "{order} {order}"}}, r"en\.all: write a sentence"),
        ({"en": {"all": "order {order}? 1 good 2 bad"}}, r"en\.all: digits, links"),
        ({"en": {"all": "order {order}? https:evil"}}, r"en\.all: digits, links"),
        ({"en": {"all": "order {order}? evil.example"}}, r"en\.all: digits, links"),
        ({"en": {"all": "order {order} {link}"}}, r"en\.all: digits, links"),
        ({"en": {"boss": "order {order}?"}}, r"en\.boss: unknown role"),
        ({"en": {"all": "x" * 61 + "{order}"}}, r"en\.all: write a sentence"),
    ],
)
def test_own_words_cannot_change_options_or_links(tmp_path: Path, stated: Any, complaint: str) -> None:
    file = tmp_path / "words.json"
    file.write_text(stated if isinstance(stated, str) else json.dumps(stated), "utf-8")
    with pytest.raises(ValidationError, match=complaint):
        Settings(question_words=file)
