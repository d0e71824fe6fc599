"""Answers to our questions, and the one rule that says which answer of a person is current."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Self, TypeVar

from msgspec import Struct, structs

from pipeline.domain.answers.statement import Statement
from pipeline.domain.events.contract import Arrival, Condition, Event, FeedbackReceived, Reading, Score

_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


def answered_at(event: Event) -> datetime | None:
    """When a `feedback.received` was answered, UTC: as its source states it, but no later than its receipt.

    A source whose clock runs ahead would otherwise win over every later answer.
    """
    data: FeedbackReceived = event.data
    return None if data.answered_at is None else min(data.answered_at.astimezone(UTC), event.received_at)


class Correction(Struct, frozen=True, array_like=True):
    """What a person read in an answer, and since when that counts. Stored with the answer: new fields go to the end."""

    at: datetime
    id: str
    reading: Reading


class Answer(Struct, frozen=True, array_like=True):
    """One answer without its comment, which only the table of answers holds. `answered_at` None: before all others.

    Stored as an array in the order's dialogue: new fields go to the end and have a default.
    """

    contact_id: str
    source: str
    id: str
    answered_at: datetime | None = None
    arrival: Arrival | None = None
    arrived_at: datetime | None = None
    complete: bool | None = None
    condition: list[Condition] = []
    score: Score | None = None
    opt_out: bool = False
    correction: Correction | None = None

    @property
    def statement(self) -> Statement:
        """What the answer states."""
        return Statement(
            arrival=self.arrival,
            complete=self.complete,
            conditions=tuple(self.condition),
            score=self.score,
            arrived_at=self.arrived_at,
        )

    def as_corrected(self) -> Self:
        """This answer with its correction, which amends it as a later answer of the customer would."""
        if self.correction is None:
            return self
        reading = self.correction.reading
        later = Statement(
            arrival=reading.arrival,
            complete=reading.complete,
            conditions=tuple(reading.condition),
            score=reading.score,
        )
        return self.with_statement(self.statement.amended_by(later))

    def with_statement(self, statement: Statement) -> Self:
        """This answer, stating `statement` instead."""
        return structs.replace(
            self,
            arrival=statement.arrival,
            arrived_at=statement.arrived_at,
            complete=statement.complete,
            condition=list(statement.conditions),
            score=statement.score,
        )


class CommentedAnswer(Answer, frozen=True, array_like=True, kw_only=True):
    """An answer with its comment. A subclass may carry more: when and on which channel the answer was received."""

    comment: str | None = None

    @property
    def statement(self) -> Statement:
        """What the answer states, the comment included."""
        return structs.replace(super().statement, comment=self.comment)

    def with_statement(self, statement: Statement) -> Self:
        """This answer, stating `statement` instead."""
        return structs.replace(super().with_statement(statement), comment=statement.comment)


_AnyAnswer = TypeVar("_AnyAnswer", bound=Answer)


def answer_rank(answer: Answer) -> tuple[datetime, str, str]:
    """Sort key: by the time of the answer; source and id decide between answers of one instant."""
    return (answer.answered_at or _BEFORE_ALL, answer.source, answer.id)


def current_answers(answers: Iterable[_AnyAnswer]) -> list[_AnyAnswer]:
    """One answer per contact, sorted by the time of their latest: what each contact states now.

    A contact's answers, each as corrected, are folded in their order (`answer_rank`), each amending the one before; the
    result carries the source, id and time of the latest. The order of `answers` does not matter.
    """
    ordered = [answer.as_corrected() for answer in sorted(answers, key=answer_rank)]
    if len(ordered) < 2:
        return ordered
    current: dict[str, _AnyAnswer] = {}
    for answer in ordered:
        earlier = current.pop(answer.contact_id, None)  # popped, so that the dict stays in the order of the latest
        current[answer.contact_id] = answer if earlier is None else _amended(earlier, answer)
    return list(current.values())


def _amended(earlier: _AnyAnswer, later: _AnyAnswer) -> _AnyAnswer:
    return later.with_statement(earlier.statement.amended_by(later.statement))
