"""Replies that a person has to read: why they wait, and the reading that is suggested for them."""

from enum import StrEnum
from typing import Self

from msgspec import Struct

from pipeline.domain.answers.parsed_reply import ParsedReply, Question, Reader
from pipeline.domain.answers.statement import Statement
from pipeline.domain.events.contract import Arrival, Condition, Score


class InboxReason(StrEnum):
    """Why a reply waits for a person."""

    UNCLEAR = "unclear"  # nothing of the text was understood
    UNCODED = "uncoded"  # words that state nothing codable
    UNASKED = "unasked"  # no question of ours was open to the sender
    PICTURE = "picture"  # a picture came, which nothing here can read


ENDED_BY_ANSWER = (InboxReason.UNCLEAR, InboxReason.UNCODED)
"""Reasons that no longer hold once the same person has stated something codable about the order."""


class Reading(Struct, frozen=True):
    """What a person reads in an answer, as `feedback.corrected` carries it. None and (): not stated."""

    arrival: Arrival | None = None
    complete: bool | None = None
    condition: tuple[Condition, ...] = ()
    score: Score | None = None

    @classmethod
    def of(cls, parsed: ParsedReply) -> Self:
        """What the reader understood of a text."""
        score = None if parsed.score is None else Score(parsed.score)
        return cls(parsed.arrival, parsed.complete, parsed.conditions, score)

    @property
    def statement(self) -> Statement:
        """The same as a statement without words."""
        return Statement(self.arrival, self.complete, self.condition, self.score)


NOTHING_STATED = Reading()
_QUESTIONS: tuple[Question, ...] = ("comment", "arrival", "score")


def suggested(reader: Reader, words: str, language: str | None) -> ParsedReply:
    """The reading to suggest for words whose question is not known: the first that states something codable.

    As a comment first, because a number alone is read as an option or a score only if nothing else is said.
    """
    readings = [reader.read(words, question, language) for question in _QUESTIONS]
    return next((one for one in readings if Reading.of(one) != NOTHING_STATED), readings[0])
