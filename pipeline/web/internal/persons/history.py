"""What the page of an export shows of a person: per order, in the order of time, what was recorded, asked and said."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import structs

from pipeline.domain.answers.statement import Statement
from pipeline.domain.events.contract import Score
from pipeline.store.people.persons import PersonData
from pipeline.web.internal.words import (
    STATES,
    channel_in_words,
    plain_word,
    response_in_words,
    response_state,
    statement_in_words,
    why_not,
)

_Row = Mapping[str, Any]


class Step(NamedTuple):
    """One entry. `voice`: whose doing it was."""

    at: datetime
    voice: Literal["operations", "unvarnished", "customer"]
    title: str
    words: str | None = None
    details: tuple[str, ...] = ()


class OrderHistory(NamedTuple):
    """What concerns one order. `order_id` None: texts that belong to no question of ours."""

    order_id: str | None
    steps: list[Step]


def histories_of(data: PersonData) -> list[OrderHistory]:
    """All that is known, order by order; the order with the newest entry first, and what belongs to no order last."""
    found: dict[str | None, list[Step]] = {}
    for order_id, step in _steps(data):
        found.setdefault(order_id, []).append(step)
    for steps in found.values():
        steps.sort(key=lambda step: step.at)
    newest_first = sorted(found, key=lambda order_id: found[order_id][-1].at, reverse=True)
    return [OrderHistory(order_id, found[order_id]) for order_id in sorted(newest_first, key=lambda one: one is None)]


def _steps(data: PersonData) -> Iterator[tuple[str | None, Step]]:
    for row in data.orders:
        yield row["order_id"], _named(row)
    for row in data.questions:
        yield row["order_id"], _question(row)
    for row in data.messages:
        yield row["order_id"], Step(row["at"], "unvarnished", "Message on the page of phones", row["text"])
    for row in data.answers:
        yield row["order_id"], _answer(row)
    for row in data.texts:
        yield row["order_id"], Step(row["received_at"], "customer", "Text message", row["text"])
        if row["reply"] is not None:
            yield row["order_id"], Step(row["received_at"], "unvarnished", "Reply to the text", row["reply"])


def _named(row: _Row) -> Step:
    known = {"language": row["language"], "time zone": row["timezone"], "consent": _consent(row["consent"])}
    known |= dict(_other(row))
    details = tuple(f"{name}: {value}" for name, value in known.items() if value)
    return Step(row["at"], "operations", f"The order names this person as {plain_word(row['role'])}", details=details)


def _other(row: _Row) -> Iterator[tuple[str, str]]:
    """The fields of the contact that the contract does not know; what is no text as JSON."""
    other = row.get("other")
    for name, value in other.items() if isinstance(other, dict) else ():
        yield str(name), value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _consent(given: _Row | None) -> str:
    """A consent in one line: "sms, by contract, since 5 January 2026"."""
    if given is None:
        return "none on record"
    kinds = [name for name, agreed in given.items() if agreed is True] or ["none"]
    source, since = given.get("source"), given.get("at")
    return ", ".join(
        [" and ".join(kinds), *([f"by {source}"] if source else []), *([f"since {since}"] if since else [])]
    )


def _question(row: _Row) -> Step:
    if row["reason"] is not None:
        title = f"Not asked ({plain_word(row['purpose'])})"
        return Step(row["decided_at"], "unvarnished", title, details=(f"because {why_not(row['reason'])}",))
    if row["response"] is not None:
        details = response_in_words(row["response"]), response_state(row["state"])
        title = f"Response by {channel_in_words(row['channel'])}"
        return Step(row["sent_at"] or row["decided_at"], "unvarnished", title, details=details)
    title = f"Question ({plain_word(row['purpose'])}) by {channel_in_words(row['channel'])}"
    return Step(row["sent_at"] or row["decided_at"], "unvarnished", title, details=(STATES[row["state"]],))


def _answer(row: _Row) -> Step:
    stated = structs.replace(_stated(row), arrived_at=row["arrived_at"])
    read = "" if row["read_as"] is None else f"a person reads it as: {statement_in_words(_stated(row['read_as']))}"
    details = tuple(filter(None, [statement_in_words(stated), _arrived(stated), read]))
    return Step(
        row["received_at"], "customer", f"Answer by {channel_in_words(row['channel'])}", row["comment"], details
    )


def _stated(row: _Row) -> Statement:
    return Statement(
        row["arrival"],
        row["complete"],
        tuple(name for name in row["condition"].split(",") if name),
        None if row["score"] is None else Score(row["score"], row["scale"]),
    )


def _arrived(stated: Statement) -> str:
    return "" if stated.arrived_at is None else f"arrived at {stated.arrived_at.isoformat(' ', 'minutes')}"
