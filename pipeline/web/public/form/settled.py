"""The form of the question whether a case is settled: yes or no, and a comment. Its answer amends no other."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

from pipeline.consumers.cases.following_up import SettledReply, answer_data
from pipeline.consumers.intake import Incoming
from pipeline.domain.answers.replies import MAX_TEXT
from pipeline.domain.events.cloudevents import envelope
from pipeline.web.http.forms import printable
from pipeline.web.public.form.links import SOURCE, Link

OPTIONS: Mapping[str, bool] = {"yes": True, "no": False}


class SettledSubmission(NamedTuple):
    """The fields as sent, or as first shown, and what is wrong with them ("": nothing)."""

    chosen: str = ""
    comment: str = ""
    error: str = ""

    @property
    def too_long(self) -> bool:
        """Whether the comment has more characters than are read."""
        return len(self.comment) > MAX_TEXT


def validate_settled(fields: Sequence[tuple[str, str]], gettext: Callable[[str], str]) -> SettledSubmission:
    """The submission in these form fields, with its error in the reader's language (`gettext` translates)."""
    last = dict(fields)
    sent = SettledSubmission(last.get("settled", ""), printable(last.get("comment", "")))
    if sent.chosen not in OPTIONS:
        return sent._replace(error=gettext("Please tell us whether it is settled."))
    if sent.too_long:
        text = gettext("Please use at most %(most)d characters. Your comment has %(n)d.")
        return sent._replace(error=text % {"most": MAX_TEXT, "n": len(sent.comment)})
    return sent


def settled_event(link: Link, form_id: str, sent: SettledSubmission, now: datetime) -> tuple[str, Incoming]:
    """The `feedback.received` event of a submission, and its id: one that is sent again has the same."""
    content = "\n".join([link.token_hash, form_id, repr(sent.chosen), repr(sent.comment)])
    event_id = sha256(content.encode("utf-8", "replace")).hexdigest()[:32]
    said = SettledReply(OPTIONS[sent.chosen], sent.comment or None)
    data = answer_data(link.order_id, link.contact_id, "form", now, said)
    raw = envelope(SOURCE, event_id, "feedback.received", now, data)
    return event_id, Incoming(raw, "feedback", "form", None, now)
