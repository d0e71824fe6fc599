"""The course of a conversation: which question follows a text, and what is said in reply."""

from datetime import datetime

from pipeline.domain.answers.parsed_reply import ParsedReply
from pipeline.domain.answers.statement import Statement
from pipeline.domain.cases.complaints import reasons_of
from pipeline.notifiers.wording import reply_texts
from pipeline.store.asks.conversations import DONE, Conversation

MAX_REPEATS = 1
"""How often a question that was not answered is repeated."""


def next_after(
    before: Conversation, statement: Statement, parsed: ParsedReply, now: datetime
) -> tuple[Conversation, str | None]:
    """The conversation after a text, and the reply to it; None: no reply."""
    missing = _missing(before, statement)
    if before.question == DONE:
        # A number after the end may mean anything: a person reads it, and that is said once.
        reply = reply_texts.READ_BY_PERSON if parsed.unclear and before.tries == 0 else None
        tries = before.tries + (reply is not None)
        if _has_problem(statement) and not _has_problem(before.statement):  # a complaint is not left without a word
            reply = reply_texts.DONE_AFTER_PROBLEM
        return before._replace(tries=tries, statement=statement, changed_at=now), reply
    if missing == before.question:
        if before.tries < MAX_REPEATS:
            again = before._replace(tries=before.tries + 1, statement=statement, changed_at=now)
            return again, _repeated(missing, parsed)
        return Conversation(DONE, 1, now, statement), reply_texts.READ_BY_PERSON  # which is said once
    after = Conversation(missing, 0, now, statement)
    problem = _has_problem(statement)
    if missing == "score":
        return after, reply_texts.SCORE_AFTER_PROBLEM if problem else reply_texts.SCORE
    done = reply_texts.DONE_AFTER_PROBLEM if problem else reply_texts.DONE
    replies = {"arrival": reply_texts.ARRIVAL_AGAIN, "comment": reply_texts.COMMENT, DONE: done}
    return after, replies[missing]


def _has_problem(statement: Statement) -> bool:
    """Whether somebody will have to look into what a person states: it opens a case."""
    return bool(reasons_of(statement))


def _repeated(question: str, parsed: ParsedReply) -> str:
    """The text that repeats a question."""
    if question == "score":
        return reply_texts.SCORE_AGAIN
    return reply_texts.ARRIVAL_AGAIN if parsed.comment is None else reply_texts.ARRIVAL_AFTER_COMMENT


def next_after_late(before: Conversation, statement: Statement, now: datetime) -> Conversation:
    """The conversation after a text that became known late. Its open question is not repeated because of that text."""
    missing = _missing(before, statement)
    if before.question == DONE or missing == before.question:
        return before._replace(statement=statement, changed_at=now)
    return Conversation(missing, 0, now, statement)


def _missing(before: Conversation, statement: Statement) -> str:
    """The next question: the first of arrival, score and comment that is not stated, or DONE."""
    if statement.arrival is None and statement.complete is None:
        return "arrival"
    if statement.score is None:
        return "score"
    if statement.comment is None and before.question != "comment":
        return "comment"
    return DONE
