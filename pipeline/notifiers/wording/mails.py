"""The e-mail of a question, as text and as HTML: each option is a link to the form, where the person confirms it."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from pipeline.domain.events.contract import RESPONSE, SETTLED, ContactRole, FixedResponse, Purpose
from pipeline.notifiers.port import MailContent
from pipeline.notifiers.wording.languages import is_right_to_left, translations
from pipeline.notifiers.wording.questions import OwnWords, subject

ONE_TAP = "1234"  # the options of a text message, in its order
_TAPS: Mapping[Purpose, Sequence[str]] = {SETTLED: ("yes", "no"), RESPONSE: ()}


class AskedQuestion(NamedTuple):
    """A question as it is worded: the parameters of `questions.question_text`."""

    language: str
    purpose: Purpose
    company: str
    order_id: str
    link: str
    role: ContactRole | None = None
    own_words: OwnWords | None = None
    response: FixedResponse | None = None


def question_mail(asked: AskedQuestion, unsubscribe_url: str) -> MailContent:
    """The e-mail of a question, or of a response, which has no options. The subject names the company first."""
    question = subject(asked.language, asked.purpose, asked.order_id, asked.role, asked.own_words, asked.response)
    values = {
        "language": asked.language,
        "right_to_left": is_right_to_left(asked.language),
        "company": asked.company,
        "question": question,
        "link": asked.link,
        "options": [(option, f"{asked.link}?a={option}") for option in _TAPS.get(asked.purpose, ONE_TAP)],
        "unsubscribe_url": unsubscribe_url,
    }
    return MailContent(
        subject=f"{asked.company}: {question}",
        text=_environment(asked.language).get_template("question.txt.j2").render(values),
        html=_environment(asked.language).get_template("question.html.j2").render(values),
        unsubscribe_url=unsubscribe_url,
    )


@lru_cache
def _environment(language: str) -> Environment:
    made = Environment(
        loader=PackageLoader("pipeline.notifiers.wording", "mail"),
        undefined=StrictUndefined,
        autoescape=select_autoescape(enabled_extensions=("html", "html.j2"), default=False),
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
    return made
