"""Whether a reply says that a case is settled."""

from pipeline.domain.answers.reading.envelope import opened
from pipeline.domain.answers.reading.numerals import numerals
from pipeline.domain.answers.replies import MAX_TEXT

_YES = ("yes", "ok", "all_good")
_DOUBT = (
    *("no", "not", "not_yet", "but", "problem", "late", "not_received", "missing", "damaged", "wrong", "papers"),
    *("if", "sarcasm", "partial", "only", "or"),
)
_QUESTION = frozenset("?\uff1f\u061f")


def settled_of(text: str, language: str | None) -> bool | None:
    """True: a clear yes, in words or as option 1. False: a no, or option 2. None: neither is clear."""
    _, passage = opened(text[:MAX_TEXT], language)
    options = {one.value for one in numerals(passage) if one.kind != "quantity"}
    doubt = passage.says(*_DOUBT) or not _QUESTION.isdisjoint(text)
    if options == {1} and not doubt:
        return True
    if options == {2}:
        return False
    if options:
        return None
    if passage.says(*_YES) and not doubt:
        return True
    return False if passage.says("no", "not_yet") and not passage.says(*_YES) else None
