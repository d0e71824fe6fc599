"""What a message says: fixed sentences with fixed places for the company's name, the order's number and the link.

Nothing that a customer or a colleague wrote gets into a message, and the order's number only with harmless characters.
A text in the GSM alphabet that is short enough is one segment: it costs once, and no part of it can get lost.
"""

import re
from functools import lru_cache
from math import ceil

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape

LANGUAGES = ("en", "fr")
_SEGMENT, _PART = 160, 153  # characters of the GSM alphabet in a message alone, and in one of several
_WIDE_SEGMENT, _WIDE_PART = 70, 67  # the same where one character is outside of it
_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TWICE = frozenset("^{}\\[~]|€\f")  # they take two places
_UNSAFE = re.compile(r"[^A-Za-z0-9 ._#-]")
_MAX_ORDER, _MAX_COMPANY = 20, 30  # characters


def sms(language: str | None, purpose: str, company: str, order_id: str, link: str) -> str:
    """The text of a question."""
    text = _template(spoken(language)).render(
        purpose=purpose, company=_plain(company, _MAX_COMPANY), order=_number(order_id), link=link
    )
    return " ".join(text.split())


def spoken(language: str | None) -> str:
    """The language a question is put in: the person's own if we speak it, else English."""
    primary = re.split(r"[-_]", (language or "").lower())[0]
    return primary if primary in LANGUAGES else LANGUAGES[0]


def segments(text: str) -> int:
    """How many messages the text is cut into on its way."""
    if any(character not in _GSM and character not in _GSM_TWICE for character in text):
        places = len(text.encode("utf-16-le")) // 2
        return 1 if places <= _WIDE_SEGMENT else ceil(places / _WIDE_PART)
    places = sum(2 if character in _GSM_TWICE else 1 for character in text)
    return 1 if places <= _SEGMENT else ceil(places / _PART)


def _number(order_id: str) -> str:
    """The order's number as far as it is safe to repeat it: no link, no other alphabet, no end of line."""
    return _plain(_UNSAFE.sub("", order_id), _MAX_ORDER).replace("..", ".") or "-"


def _plain(text: str, most: int) -> str:
    return " ".join(text.split())[:most]


@lru_cache
def _template(language: str) -> Template:
    return _environment.get_template(f"sms.{language}.j2")


_environment = Environment(
    loader=PackageLoader("pipeline.notifiers"),
    undefined=StrictUndefined,
    autoescape=select_autoescape(enabled_extensions=("html", "html.j2"), default=False),
)
