"""The text of a question: a fixed sentence with the company's name, the order's number and the link filled in.

No text that a customer or a colleague wrote enters a message; of the order's number only harmless characters do.
A text of one segment in the GSM alphabet is charged once, and no part of it can get lost. So typographic characters are
replaced by plain ones.
"""

import re
from collections.abc import Mapping

from pipeline.domain.events.contract import Purpose
from pipeline.notifiers.wording.gsm import plain, segments
from pipeline.notifiers.wording.languages import translatable, translate

QUESTIONS: Mapping[Purpose, str] = {
    "delivery": translatable(
        "%(company)s: how was order %(order)s? 1 OK 2 late 3 missing/damaged 4 not received %(link)s STOP=end"
    ),
    "missing_scan": translatable(
        "%(company)s: is order %(order)s here? 1 OK 2 late 3 missing/damaged 4 not received %(link)s STOP=end"
    ),
    "reminder": translatable(
        "%(company)s reminder: order %(order)s? 1 OK 2 late 3 missing/damaged 4 not received %(link)s STOP=end"
    ),
}
MAX_COMPANY = 30  # characters
MAX_ORDER, MIN_ORDER = 20, 8  # characters of an order's number: shown if there is room, and shown in any case
_UNSAFE = re.compile(r"[^A-Za-z0-9 ._#-]")
_INNER_DOTS = re.compile(r"\.+(?=[A-Za-z0-9_#-])")  # phones make a link of "4711.de"


def question_text(language: str | None, purpose: Purpose, company: str, order_id: str, link: str) -> str:
    """The question in the contact's language if there is a catalogue for it, else in English.

    The order's number is cut to what fits into one segment with the company and the link, to `MIN_ORDER` at least.
    """
    template = plain(translate(QUESTIONS[purpose], language))
    company, number = _one_line(plain(company), MAX_COMPANY), _order_number(order_id)
    for length in range(len(number), MIN_ORDER, -1):
        text = template % {"company": company, "order": number[:length].rstrip(), "link": link}
        if segments(text) == 1:
            return text
    return template % {"company": company, "order": number[:MIN_ORDER].rstrip(), "link": link}


def _order_number(order_id: str) -> str:
    """The order's number without anything that could be a link, another alphabet or a line end; "-" if none is left.

    A dot before another character becomes a hyphen: "4711-de".
    """
    return _INNER_DOTS.sub("-", _one_line(_UNSAFE.sub("", order_id), MAX_ORDER)) or "-"


def _one_line(text: str, max_length: int) -> str:
    return " ".join(text.split())[:max_length]
