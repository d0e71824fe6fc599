"""The page behind the link in a response: what we said, and a field for words, which a person reads."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from pipeline.domain.answers.replies import MAX_TEXT
from pipeline.domain.answers.statement import Statement
from pipeline.web.http.forms import printable
from pipeline.web.public.form.links import Link
from pipeline.web.public.form.submission import Submission, SubmittedEvent, event_of


class WrittenBack(NamedTuple):
    """The words as sent, or as first shown, and what is wrong with them ("": nothing)."""

    words: str = ""
    error: str = ""


def validate_words(fields: Sequence[tuple[str, str]], gettext: Callable[[str], str]) -> WrittenBack:
    """The words in these form fields, with their error in the reader's language (`gettext` translates)."""
    sent = WrittenBack(printable(dict(fields).get("comment", "")))
    if not sent.words:
        return sent._replace(error=gettext("Please write what we should know."))
    if len(sent.words) > MAX_TEXT:
        text = gettext("Please use at most %(most)d characters. Your comment has %(n)d.")
        return sent._replace(error=text % {"most": MAX_TEXT, "n": len(sent.words)})
    return sent


def words_event(link: Link, form_id: str, sent: WrittenBack, now: datetime) -> SubmittedEvent:
    """The `feedback.received` event of valid words, and its id: words that are sent again have the same."""
    return event_of(link, form_id, Submission(comment=sent.words), Statement(comment=sent.words), now)
