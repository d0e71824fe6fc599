"""The messages that this installation sends, and what each costs."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pipeline.domain.events.contract import RESPONSE
from pipeline.notifiers.wording.gsm import plain, segments, unsupported
from pipeline.notifiers.wording.languages import languages
from pipeline.notifiers.wording.questions import (
    QUESTIONS,
    RESPONSES,
    ROLE_QUESTIONS,
    OwnWords,
    most_segments,
    question_text,
)
from pipeline.notifiers.wording.reply_texts import REPLIES, Speaker

_ORDER = "SO-10001"  # as long as the part of an order's number that every question shows
_TOKEN = "x" * 22  # as long as the token of a link
_PHONE = "+33 1 23 45 67 89"
CONVERSATION = ("delivery", "score", "comment", "done")  # the texts to a customer who answers everything


class PreviewedMessage(NamedTuple):
    """One text in one language, the number of its segments, each of which is charged, and its cost.

    `alphabet` is GSM-7 (160 characters in a segment) or UCS-2 (70). `cost`: None if no price is known.
    """

    template: str
    language: str
    text: str
    segments: int
    alphabet: str
    cost: float | None


class LanguageCost(NamedTuple):
    """What one language costs: segments of a question, of a conversation in which everything is answered, and prices.

    `too_long`: the messages that need more segments than their language should.
    """

    language: str
    alphabet: str
    question_segments: int
    conversation_segments: int
    question_cost: float | None
    conversation_cost: float | None
    too_long: tuple[str, ...]


def preview(
    company: str,
    public_url: str,
    price: float | None = None,
    own_words: OwnWords | None = None,
    phone: str | None = None,
) -> Iterator[PreviewedMessage]:
    """Every text that is sent to customers, each question with an example of an order's number and of a link.

    `price` is that of one segment, in any currency; `phone` the number that complaining customers may call.
    """
    speaker = Speaker(company, phone or _PHONE)
    link = f"{public_url.rstrip('/')}/f/{_TOKEN}"
    for language in languages():
        texts: dict[str, str] = {}
        texts |= {name: question_text(language, name, company, _ORDER, link, None, own_words) for name in QUESTIONS}
        texts |= {
            f"delivery:{role}": question_text(language, "delivery", company, _ORDER, link, role, own_words)
            for role in ROLE_QUESTIONS
        }
        texts |= {
            f"response:{name}": question_text(language, RESPONSE, company, _ORDER, link, response=name)
            for name in RESPONSES
        }
        texts |= {name: speaker.say(text, language) for name, text in REPLIES.items()}
        for name, text in texts.items():
            yield _previewed(name, language, text, price)


def costs(messages: Iterable[PreviewedMessage]) -> list[LanguageCost]:
    """The previewed messages summed up by language."""
    by_language: dict[str, dict[str, PreviewedMessage]] = defaultdict(dict)
    for message in messages:
        by_language[message.language][message.template] = message
    return [_cost_of(language, found) for language, found in by_language.items()]


def why_long(company: str, public_url: str) -> str:
    """Why questions need more segments than they should, and what to do about it."""
    missing = unsupported(plain(company + public_url))
    if missing:
        return f"write UNVARNISHED_COMPANY_NAME without {' '.join(missing)}: a text message has no such character"
    return "set a shorter UNVARNISHED_COMPANY_NAME, or a UNVARNISHED_PUBLIC_URL with a shorter host name"


def _previewed(template: str, language: str, text: str, price: float | None) -> PreviewedMessage:
    n = segments(text)
    alphabet = "UCS-2" if unsupported(text) else "GSM-7"
    return PreviewedMessage(template, language, text, n, alphabet, None if price is None else round(n * price, 6))


def _cost_of(language: str, messages: dict[str, PreviewedMessage]) -> LanguageCost:
    question, conversation = messages["delivery"], [messages[name] for name in CONVERSATION]
    prices = [message.cost for message in conversation if message.cost is not None]
    return LanguageCost(
        language,
        question.alphabet,
        question.segments,
        sum(message.segments for message in conversation),
        question.cost,
        round(sum(prices), 6) if prices else None,
        tuple(name for name, message in messages.items() if message.segments > most_segments(language)),
    )
