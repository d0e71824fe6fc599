"""The messages that this installation sends, and what each costs."""

from collections.abc import Iterator
from typing import NamedTuple

from pipeline.notifiers.wording.gsm import plain, segments, unsupported
from pipeline.notifiers.wording.languages import languages, translate
from pipeline.notifiers.wording.questions import MIN_ORDER, QUESTIONS, question_text
from pipeline.notifiers.wording.reply_texts import REPLIES

_ORDER = "SO-10001"  # as long as the part of an order's number that every question shows
_TOKEN = "x" * 22  # as long as the token of a link


class PreviewedMessage(NamedTuple):
    """One text in one language, and the number of its segments, each of which is charged."""

    template: str
    language: str
    text: str
    segments: int


def preview(company: str, public_url: str) -> Iterator[PreviewedMessage]:
    """Every text that is sent to customers, each question with an example of an order's number and of a link."""
    link = f"{public_url.rstrip('/')}/f/{_TOKEN}"
    for language in languages():
        questions = {name: question_text(language, name, company, _ORDER[:MIN_ORDER], link) for name in QUESTIONS}
        replies = {name: translate(text, language) for name, text in REPLIES.items()}
        for name, text in (questions | replies).items():
            yield PreviewedMessage(name, language, text, segments(text))


def why_long(company: str, public_url: str) -> str:
    """Why questions need more than one segment, and what to do about it."""
    missing = unsupported(plain(company + public_url))
    if missing:
        return f"write UNVARNISHED_COMPANY_NAME without {' '.join(missing)}: a text message has no such character"
    return "set a shorter UNVARNISHED_COMPANY_NAME, or a UNVARNISHED_PUBLIC_URL with a shorter host name"
