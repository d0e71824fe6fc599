"""What a message says: fixed sentences with fixed places for the company's name, the order's number and the link.

Nothing that a customer or a colleague wrote gets into a message, and the order's number only with harmless characters.
A text in the GSM alphabet that is short enough is one segment: it costs once, and no part of it can get lost.
"""

import re
from collections.abc import Mapping
from math import ceil

from pipeline.domain.events.contract import Purpose
from pipeline.notifiers.wording.languages import marked, spoken, translations

QUESTIONS: Mapping[Purpose, str] = {
    "delivery": marked(
        "%(company)s: order %(order)s delivered: on time, complete? "
        "Reply 1 yes 2 late 3 part/damaged 4 not here, or %(link)s STOP to end"
    ),
    "missing_scan": marked(
        "%(company)s: order %(order)s was due. Is it here? "
        "Reply 1 yes, on time 2 late 3 part/damaged 4 no, or %(link)s STOP to end"
    ),
    "reminder": marked(
        "%(company)s, once more: order %(order)s on time, complete? "
        "Reply 1 yes 2 late 3 part/damaged 4 not here, or %(link)s STOP to end"
    ),
}
_SEGMENT, _PART = 160, 153  # characters of the GSM alphabet in a message alone, and in one of several
_WIDE_SEGMENT, _WIDE_PART = 70, 67  # the same where one character is outside of it
_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TWICE = frozenset("^{}\\[~]|€\f")  # they take two places
_UNSAFE = re.compile(r"[^A-Za-z0-9 ._#-]")
_MAX_ORDER, _MAX_COMPANY = 20, 30  # characters


def sms(language: str | None, purpose: Purpose, company: str, order_id: str, link: str) -> str:
    """The text of a question, in the person's own language if we speak it, else in English."""
    text = translations(spoken(language)).gettext(QUESTIONS[purpose])
    return text % {"company": _plain(company, _MAX_COMPANY), "order": _number(order_id), "link": link}


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
