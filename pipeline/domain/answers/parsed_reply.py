"""The port of every reader of replies: what a text is read as.

A reader prefers no code to a wrong code: text that it does not understand is left for a person.
"""

from typing import Literal, Protocol

from msgspec import Struct, structs

from pipeline.domain.answers.statement import Statement
from pipeline.domain.events.contract import Arrival, Condition, Score

MAX_COMMENT = 8_000  # characters of a person's comment on one order in events; every text is also stored as it came
MAX_TEXT = 1_600  # characters: the longest text a provider delivers; the rest is not parsed

Question = Literal["arrival", "score", "comment"]
Control = Literal["stop", "start", "help"]


class ReadSpan(Struct, frozen=True, array_like=True):
    """The part of a text behind a code. `code` is the field that it fills, "option" for a number that filled several.

    `start` and `end` (excluded) are positions in the text.
    """

    code: str
    start: int
    end: int


class ParsedReply(Struct, frozen=True, omit_defaults=True):
    """What one text states.

    `comment`: the writer's words, where they say more than the codes. `unclear`: there was a text, and none of it was
    understood. `automatic`: a device wrote it, or it is a reaction that quotes our own text; it states nothing.
    `spans`: the parts of the text behind the codes. `language`: the language of most of the text. A reply without
    content that is neither unclear nor automatic says "nothing to add".
    """

    arrival: Arrival | None = None
    conditions: tuple[Condition, ...] = ()
    complete: bool | None = None
    score: int | None = None
    comment: str | None = None
    control: Control | None = None
    unclear: bool = False
    automatic: bool = False
    spans: tuple[ReadSpan, ...] = ()
    language: str | None = None


class Reader(Protocol):
    """Parses a text as the answer to the question that was open when it was received.

    Pure, linear in the length of the text, and limited to its first MAX_TEXT characters. `language` is the contact's
    (BCP 47) or None: a hint that decides between words that mean different things in several languages.
    """

    def prepare(self) -> None:
        """Load what reading needs, so that the first text does not wait for it."""
        ...

    def read(self, text: str, question: Question, language: str | None) -> ParsedReply:
        """Parse one text."""
        ...


NOTHING = ParsedReply()
UNCLEAR = ParsedReply(unclear=True)


def stated_by(parsed: ParsedReply, earlier_comment: str | None) -> Statement:
    """What a text states. A new comment is appended to the earlier one."""
    comment = earlier_comment
    if parsed.comment is not None and parsed.comment not in (comment or "").split("\n\n"):
        comment = "\n\n".join(filter(None, [comment, parsed.comment]))[:MAX_COMMENT]
    score = None if parsed.score is None else Score(parsed.score)
    return Statement(parsed.arrival, parsed.complete, parsed.conditions, score, comment)


def printable_part(text: str) -> str:
    """A text without characters that databases and screens cannot represent."""
    return "".join(char for char in text[:MAX_TEXT] if char.isprintable() or char in "\n\t").strip()


def with_pictures(parsed: ParsedReply, number: int) -> ParsedReply:
    """A reading with the note that pictures came, which a person has to look at."""
    note = "[a picture was sent]" if number == 1 else f"[{number} pictures were sent]"
    words = None if parsed.automatic else parsed.comment
    return structs.replace(parsed, comment="\n".join(filter(None, [words, note])), unclear=False)
