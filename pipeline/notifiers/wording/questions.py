"""The text of a question: company, what is asked about which order, the options, the link, and how to end messages.

The options, the link and the way out are fixed, so every reply can be read and everybody can opt out. What is asked
depends on the purpose and the role of the contact, and a company may word it itself (`own_words`). No text that a
customer or a colleague wrote enters a message; of the order's number only harmless characters do.

A text of one segment in the GSM alphabet is charged once, and no part of it can get lost. So typographic characters are
replaced by plain ones, and a longer wording gives way to the general one. Scripts outside that alphabet need more.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import product

from pipeline.domain.events.contract import SETTLED, ContactRole, FixedResponse, Purpose
from pipeline.notifiers.wording.gsm import plain, segments, unsupported
from pipeline.notifiers.wording.languages import (
    best_language,
    is_right_to_left,
    translatable,
    translate,
    translations,
)

QUESTIONS: Mapping[Purpose, str] = {
    "delivery": translatable("how was order %(order)s?"),
    "missing_scan": translatable("is order %(order)s here?"),
    "reminder": translatable("reminder: order %(order)s?"),
    "settled": translatable("is the problem with order %(order)s settled?"),
}
# The question about a delivery to roles that see another part of it than who receives the goods.
ROLE_QUESTIONS: Mapping[ContactRole, str] = {
    "user": translatable("is order %(order)s as you need it?"),
    "purchaser": translatable("did order %(order)s go well?"),
    "decision_maker": translatable("how did we do on order %(order)s?"),
}
RESPONSES: Mapping[FixedResponse, str] = {
    "looking_into_it": translatable("order %(order)s: we are looking into it."),
    "will_call": translatable("order %(order)s: we will call you."),
    "on_its_way": translatable("order %(order)s: what was missing is on its way."),
    "put_right": translatable("order %(order)s: we have put it right."),
    "please_call": translatable("order %(order)s: please call us, we need to know more."),
}
_SUBJECTS: Mapping[Purpose, str] = {  # of e-mails, as the form's titles
    "delivery": translatable("How was your delivery?"),
    "missing_scan": translatable("Your order should have arrived"),
    "reminder": translatable("How was your delivery?"),
    "settled": translatable("Is it settled?"),
}
OPTIONS = translatable("1 OK 2 late 3 missing/damaged 4 not received")
SETTLED_OPTIONS = translatable("1 yes 2 no")
TELL_US = translatable("Tell us more:")
WAY_OUT = translatable("STOP=end")
MAX_COMPANY = 30  # characters
MAX_ORDER, MIN_ORDER = 20, 8  # characters of an order's number: shown if there is room, and shown in any case
MAX_SEGMENTS = 3  # of a text in a script that the GSM alphabet lacks
RIGHT_TO_LEFT_MARK = "\u200f"  # first in a message, so that phones lay it out in its own direction
_UNSAFE = re.compile(r"[^A-Za-z0-9 ._#-]")
_INNER_DOTS = re.compile(r"\.+(?=[A-Za-z0-9_#-])")  # phones make a link of "4711.de"

OwnWords = Mapping[str, Mapping[str, str]]
"""A company's own wording of the question about a delivery, with `%(order)s`: by language, then by role or "all"."""


def question_text(
    language: str | None,
    purpose: Purpose,
    company: str,
    order_id: str,
    link: str,
    role: ContactRole | None = None,
    own_words: OwnWords | None = None,
    response: FixedResponse | None = None,
    unsubscribe_url: str | None = None,
) -> str:
    """The question, or the fixed `response`, in the contact's language if there is a catalogue for it, else in English.

    The first wording that fits is used: the company's own for the role, its general one, ours for the role, ours. The
    order's number is cut to what fits with the company and the link, to `MIN_ORDER` at least.
    `unsubscribe_url`: for who cannot reply, so it has links only: to the form, and to end messages.
    """
    language = best_language(language)
    company, number = _one_line(plain(company), MAX_COMPANY), _order_number(order_id)
    options = TELL_US if response is not None else SETTLED_OPTIONS if purpose == SETTLED else OPTIONS
    end = f"{translate(options, language)} {link} {translate(WAY_OUT, language)}"
    if unsubscribe_url is not None:
        end = f"{link} STOP: {unsubscribe_url}"
    if response is not None:
        wordings = [translate(RESPONSES[response], language)]
    else:
        wordings = list(_wordings(language, purpose, role, own_words or {}))
    lengths = range(len(number), min(MIN_ORDER, len(number)) - 1, -1)
    text = ""
    for affordable, words, length in product(_affordable(language), wordings, lengths):
        asked = plain(words) % {"order": number[:length].rstrip()}
        text = named(f"{asked} {end}", language, company)
        if segments(text) <= affordable:
            break
    return text


def subject(
    language: str,
    purpose: Purpose,
    order_id: str,
    role: ContactRole | None,
    own_words: OwnWords | None = None,
    response: FixedResponse | None = None,
) -> str:
    """What is asked, or the response, without options: the subject of an e-mail. The order's number is whole."""
    say, number = translations(language).gettext, _order_number(order_id)
    if response is not None:
        return response_text(language, response, order_id)
    special = list(_special_wordings(language, purpose, role, own_words or {}, say))
    if special:
        asked = special[0] % {"order": number}
        return asked[:1].upper() + asked[1:]
    return f"{say(_SUBJECTS[purpose])} ({say('Order %(order)s') % {'order': number}})"


def response_text(language: str, response: FixedResponse, order_id: str) -> str:
    """A fixed response as a sentence: "Order SO-1: we will call you." The order's number is whole."""
    said = translations(language).gettext(RESPONSES[response]) % {"order": _order_number(order_id)}
    return said[:1].upper() + said[1:]


def named(text: str, language: str, company: str) -> str:
    """A text message that begins with its sender: "Acme: how was ..."."""
    mark = RIGHT_TO_LEFT_MARK if is_right_to_left(language) else ""
    return f"{mark}{company}: {text}"


def most_segments(language: str) -> int:
    """The number of segments that a message may need: one, or `MAX_SEGMENTS` if its language lacks the GSM alphabet."""
    return _affordable(language)[-1]


@lru_cache
def _affordable(language: str) -> tuple[int, ...]:
    """The numbers of segments to try to fit a question into, the cheapest first."""
    return (2, MAX_SEGMENTS) if unsupported(translate(OPTIONS, language)) else (1,)


def _wordings(language: str, purpose: Purpose, role: ContactRole | None, own_words: OwnWords) -> Iterator[str]:
    """The wordings of a question in a text message, the most specific first."""
    yield from _special_wordings(language, purpose, role, own_words, lambda message: translate(message, language))
    yield translate(QUESTIONS[purpose], language)


def _special_wordings(
    language: str, purpose: Purpose, role: ContactRole | None, own_words: OwnWords, say: Callable[[str], str]
) -> Iterator[str]:
    """The wordings of the company and for the role; `say` translates."""
    if purpose == "delivery":
        own = own_words.get(language, {})
        yield from (own[name] for name in (role or "", "all") if name in own)
        if role is not None and role in ROLE_QUESTIONS:
            yield say(ROLE_QUESTIONS[role])


def _order_number(order_id: str) -> str:
    """The order's number without anything that could be a link, another alphabet or a line end; "-" if none is left.

    A dot before another character becomes a hyphen: "4711-de".
    """
    return _INNER_DOTS.sub("-", _one_line(_UNSAFE.sub("", order_id), MAX_ORDER)) or "-"


def _one_line(text: str, max_length: int) -> str:
    return " ".join(text.split())[:max_length]
