"""The way into the journal: every event is checked, sealed and stored once; what nobody can read is kept aside."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from operator import itemgetter
from typing import Literal, NamedTuple

from sqlalchemy import Connection

from pipeline import metrics
from pipeline.domain.events.contract import CONCLUSIONS, OWN_SOURCE, BadEvent, Event, key_of
from pipeline.domain.events.decoding import decode
from pipeline.store.db.bulk import Row, insert_new
from pipeline.store.journal import journal
from pipeline.store.people.people import remember, seal
from pipeline.store.people.vault import Vault
from pipeline.store.schema.tables import dead_letters


class Incoming(NamedTuple):
    """Something that claims to be an event, before anybody looked into it."""

    raw: bytes  # one CloudEvent as structured JSON, or the original bytes of something broken
    topic: str | None
    position: str  # where it came from, for whoever has to mend it: "olist_orders_dataset.csv:17"
    fault: BadEvent | None = None  # the source already knows that it is broken
    received_at: datetime | None = None  # None: when the event says it happened (history)
    checked: Event | None = None  # the door has decoded `raw` already, received at `received_at`


Outcome = Literal["new", "duplicates", "dead"]


class Taken(NamedTuple):
    """What became of a batch."""

    new: int
    duplicates: int
    dead: int


def tally(outcomes: Iterable[Outcome]) -> Taken:
    """What became of some events, counted."""
    n = Counter(outcomes)
    return Taken(n["new"], n["duplicates"], n["dead"])


class Checked(NamedTuple):
    """An event that can be stored: without names and addresses, and whose they are beside it."""

    event: Event
    entry: journal.Entry
    people: list[Row]


def check(vault: Vault, incoming: Incoming) -> Checked:
    """Look into an event before it is stored. Raises BadEvent."""
    event = _check(incoming)
    sealed = seal(vault, event, incoming.raw)
    if sealed is not None:
        event = decode(sealed.text.encode(), None, event.received_at)
    text = sealed.text if sealed else incoming.raw.decode()
    entry = journal.Entry(event.source, event.id, event.type, False, event.received_at, text, key_of(event.data))
    return Checked(event, entry, sealed.people if sealed else [])


def take(
    connection: Connection, vault: Vault, batch: Iterable[Incoming], now: datetime
) -> tuple[list[Outcome], list[tuple[int, Event]]]:
    """Store a batch in the caller's transaction; `now` dates the dead letters.

    Returns what became of each, and the new events with their places in the journal, as processors may see them.
    """
    outcomes: list[Outcome] = []
    checked: dict[int, Checked] = {}  # by where in the batch it was
    letters: list[Row] = []
    for number, incoming in enumerate(batch):
        try:
            checked[number] = check(vault, incoming)
            outcomes.append("new")
        except BadEvent as bad:
            outcomes.append("dead")
            letters.append(letter(vault, incoming, bad, now))
    places = journal.append(connection, [one.entry for one in checked.values()])
    new, named = [], list[Row]()
    for (number, one), place in zip(checked.items(), places, strict=True):
        if place is None:
            outcomes[number] = "duplicates"
        else:
            new.append((place, one.event))
            named.extend(one.people)
    remember(connection, named)
    keep(connection, letters)
    return outcomes, new


def keep(connection: Connection, letters: Iterable[Row]) -> None:
    """Keep dead letters, each once."""
    insert_new(connection, dead_letters, sorted(letters, key=itemgetter("digest")))


def count(outcomes: Iterable[Outcome]) -> None:
    """Take a batch into the metrics, once it is committed."""
    for outcome, n in tally(outcomes)._asdict().items():
        metrics.INTAKE.labels(outcome).inc(n)


def letter(vault: Vault, incoming: Incoming, bad: BadEvent, received_at: datetime) -> Row:
    """A dead letter: the bytes as they came, why nobody can process them, and where they were."""
    identity = b"\n".join([(incoming.topic or "").encode(), incoming.position.encode(), incoming.raw])
    return {
        "digest": sha256(identity).hexdigest(),
        "received_at": received_at,
        "topic": incoming.topic or "",
        "position": incoming.position[:500],
        "field": bad.field[:500],
        "reason": bad.reason.replace("\x00", "\\0"),
        "raw": vault.seal_letter(incoming.raw),
    }


def _check(incoming: Incoming) -> Event:
    if incoming.fault is not None:
        raise incoming.fault
    event = incoming.checked or decode(incoming.raw, incoming.topic, incoming.received_at)
    if event.type in CONCLUSIONS:
        raise BadEvent(f"{event.type!r} is what we conclude ourselves, nobody can tell it to us", "type")
    if event.source == OWN_SOURCE:
        raise BadEvent(f"{OWN_SOURCE!r} is our own name", "source")
    return event
