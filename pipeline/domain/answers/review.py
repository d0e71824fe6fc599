"""Replies that a person has to read: why they wait, and the reading that is suggested for them."""

from enum import StrEnum

from pipeline.domain.answers.parsed_reply import ParsedReply, Question, Reader
from pipeline.domain.answers.statement import Statement
from pipeline.domain.events.contract import Reading, Score


class InboxReason(StrEnum):
    """Why a reply waits for a person."""

    UNCLEAR = "unclear"  # nothing of the text was understood
    UNCODED = "uncoded"  # words that state nothing codable
    UNASKED = "unasked"  # no question of ours was open to the sender
    PICTURE = "picture"  # a picture came, which nothing here can read


ENDED_BY_ANSWER = (InboxReason.UNCLEAR, InboxReason.UNCODED)
"""Reasons that no longer hold once the same person has stated something codable about the order."""

NOTHING_STATED = Reading()
_QUESTIONS: tuple[Question, ...] = ("comment", "arrival", "score")


def reading_of(parsed: ParsedReply) -> Reading:
    """What the reader understood of a text."""
    score = None if parsed.score is None else Score(parsed.score)
    return Reading(parsed.arrival, parsed.complete, list(parsed.conditions), score)


def states_something(parsed: ParsedReply) -> bool:
    """Whether the reader understood anything codable in a text."""
    return reading_of(parsed) != NOTHING_STATED


def as_statement(reading: Reading) -> Statement:
    """A reading as a statement without words."""
    return Statement(reading.arrival, reading.complete, tuple(reading.condition), reading.score)


def suggested(reader: Reader, words: str, language: str | None) -> ParsedReply:
    """The reading to suggest for words whose question is not known: the first that states something codable.

    As a comment first, because a number alone is read as an option or a score only if nothing else is said.
    """
    readings = [reader.read(words, question, language) for question in _QUESTIONS]
    return next(filter(states_something, readings), readings[0])
