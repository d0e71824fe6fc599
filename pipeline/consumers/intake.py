"""The way into the journal: every event is checked, sealed and stored once; what cannot be read is a dead letter."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice
from typing import Literal, NamedTuple

from sqlalchemy import Connection

from pipeline import metrics
from pipeline.domain.events.contract import NEVER_RECEIVED, OWN_SOURCE, BadEvent, Event, key_of
from pipeline.domain.events.received import Received, read
from pipeline.store.db.bulk import Row
from pipeline.store.journal import dead_letters
from pipeline.store.journal.journal import Entry
from pipeline.store.people import word_index
from pipeline.store.people.people import save_people
from pipeline.store.people.sealing import SealedEvent, seal_events
from pipeline.store.people.vault import Vault
from pipeline.store.store import Store


class Incoming(NamedTuple):
    """The bytes of a possible event, before they are checked."""

    raw: bytes  # one CloudEvent as structured JSON, or the original bytes of something broken
    topic: str | None
    position: str  # where it came from, for the person who corrects it: "olist_orders_dataset.csv:17"
    fault: BadEvent | None = None  # the source knows already that it is broken
    received_at: datetime | None = None  # None: when the event says it happened (history)
    checked: Received | None = None  # `raw` read by the caller, received at `received_at`
    answered: bool = False  # the sender waits for the result and corrects a conflict itself: it is no dead letter


IngestOutcome = Literal["new", "duplicates", "dead", "conflicts"]
CONFLICT = BadEvent(
    "conflicting duplicate: this id was used for another event of this source (another type, subject, time or data)",
    "id",
)


class IngestResult(NamedTuple):
    """How many events of a batch are new, were stored before, or became dead letters because they are invalid.

    `conflicts`: the indexes of those whose id was used before for something else.
    """

    new: int
    duplicates: int
    dead: int
    conflicts: tuple[int, ...] = ()

    @classmethod
    def total(cls, results: Iterable["IngestResult"]) -> "IngestResult":
        """The result of several batches as one, in their order."""
        new = duplicates = dead = events = 0
        conflicts = list[int]()
        for result in results:
            conflicts += [events + index for index in result.conflicts]
            new, duplicates, dead = new + result.new, duplicates + result.duplicates, dead + result.dead
            events += result.events
        return cls(new, duplicates, dead, tuple(conflicts))

    @property
    def events(self) -> int:
        """The number of events in the batch."""
        return self.new + self.duplicates + self.dead + len(self.conflicts)


class Checked(NamedTuple):
    """An event that is valid, and the digest of what it says. Its words are not sealed yet."""

    event: Event
    raw: bytes
    content_digest: str | None


class Sealed(NamedTuple):
    """An event that can be stored, and what is stored with it."""

    event: Event
    entry: Entry
    parts: SealedEvent


def ingest(
    connection: Connection, store: Store, batch: Iterable[Incoming], now: datetime
) -> tuple[list[IngestOutcome], list[tuple[int, Event]]]:
    """Check and store a batch in the caller's transaction; `now` dates the dead letters of history.

    Returns the outcome of each, and the new events with their sequence numbers, ready for their processors.
    """
    batch = [*batch]
    outcomes: list[IngestOutcome] = []
    checked: dict[int, Checked] = {}  # by number in the batch
    dead: list[Row] = []
    for number, incoming in enumerate(batch):
        try:
            checked[number] = check(store, incoming)
            outcomes.append("new")
        except BadEvent as bad:
            outcomes.append("dead")
            dead.append(dead_letter(store.vault, incoming, bad, incoming.received_at or now))
    sealed = seal(connection, store, list(checked.values()))
    seqs = store.journal.append(connection, [one.entry for one in sealed])
    new, stored = [], list[tuple[int, Sealed]]()
    for number, one, seq in zip(checked, sealed, seqs, strict=True):
        if isinstance(seq, int):
            new.append((seq, one.event._replace(place=seq)))
            stored.append((seq, one))
        elif seq == "duplicate":
            outcomes[number] = "duplicates"
        else:
            outcomes[number] = "conflicts"
            if not batch[number].answered:
                dead.append(dead_letter(store.vault, batch[number], CONFLICT, batch[number].received_at or now))
    save_personal_data(connection, stored)
    if dead:
        dead_letters.store(connection, dead)
    return outcomes, new


def ingest_unprocessed(store: Store, batch: Iterable[Incoming]) -> list[IngestOutcome]:
    """Check and store a batch in a transaction of its own, for others to process. Returns the outcome of each."""
    with store.engine.begin() as connection:
        outcomes, _ = ingest(connection, store, batch, datetime.now(UTC))
    record_metrics(tally(outcomes))
    return outcomes


def check(store: Store, incoming: Incoming) -> Checked:
    """Check an event before it is stored. Raises BadEvent."""
    event, raw, content = _read(store, incoming)
    return Checked(event, raw, store.vault.content_digest(content))


def seal(connection: Connection, store: Store, checked: Sequence[Checked]) -> list[Sealed]:
    """Seal the words of events in the caller's transaction. Call it before any other lock is acquired."""
    sealed = seal_events(connection, store.vault, [(one.event, one.raw) for one in checked])
    return [Sealed(parts.event, _entry(one, parts), parts) for one, parts in zip(checked, sealed, strict=True)]


def _entry(checked: Checked, parts: SealedEvent) -> Entry:
    event = checked.event
    key = key_of(event.data)
    return Entry(event.source, event.id, event.type, False, event.received_at, parts.text, key, checked.content_digest)


def save_personal_data(connection: Connection, stored: Sequence[tuple[int, Sealed]]) -> None:
    """Store what belongs to new events besides themselves, by their places in the journal."""
    people = [row for _, one in stored for row in one.parts.people]
    save_people(connection, people, [row for _, one in stored for row in one.parts.person_orders])
    word_index.save(connection, [row for seq, one in stored for row in word_index.rows_of(seq, one.parts.words)])


def _read(store: Store, incoming: Incoming) -> Received:
    if incoming.fault is not None:
        raise incoming.fault
    received = incoming.checked or read(incoming.raw, incoming.topic, incoming.received_at, store.event_types)
    event = received.event
    store.check_not_ahead(event)
    if event.type in NEVER_RECEIVED:
        raise BadEvent("is a conclusion of this installation and cannot be sent to it", "type", event.type)
    if event.source == OWN_SOURCE:
        raise BadEvent(f"the source {OWN_SOURCE!r} is reserved for this installation", "source")
    return received


def dead_letter(vault: Vault, incoming: Incoming, bad: BadEvent, received_at: datetime) -> Row:
    """The row of a dead letter: the bytes as they came, where from, and why they cannot be processed."""
    identity = b"\n".join([(incoming.topic or "").encode(), incoming.position.encode(), incoming.raw])
    return {
        "digest": sha256(identity).hexdigest(),
        "received_at": received_at,
        "topic": incoming.topic or "",
        "position": incoming.position[:500],
        "field": bad.field[:500],
        "reason": bad.reason.replace("\x00", "\\0"),
        "raw": vault.seal_bytes(incoming.raw),
    }


def dead_letter_of_journal(vault: Vault, seq: int, payload: bytes, bad: BadEvent, received_at: datetime) -> Row:
    """The row of a dead letter for the event of the journal with this `seq`."""
    return dead_letter(vault, Incoming(payload, None, f"{dead_letters.JOURNAL}{seq}"), bad, received_at)


def tally(outcomes: Iterable[IngestOutcome]) -> IngestResult:
    """Count outcomes."""
    listed = [*outcomes]
    n = Counter(listed)
    conflicts = tuple(index for index, outcome in enumerate(listed) if outcome == "conflicts")
    return IngestResult(n["new"], n["duplicates"], n["dead"], conflicts)


def tally_each(batches: Iterable[Sequence[Incoming]], outcomes: Iterable[IngestOutcome]) -> list[IngestResult]:
    """Count the outcomes of several batches that were ingested together, batch by batch."""
    rest = iter(outcomes)
    return [tally(islice(rest, len(batch))) for batch in batches]


def record_metrics(result: IngestResult) -> None:
    """Count a committed batch in the metrics."""
    metrics.INTAKE.labels("new").inc(result.new)
    metrics.INTAKE.labels("duplicates").inc(result.duplicates)
    metrics.INTAKE.labels("dead").inc(result.dead)
    metrics.INTAKE.labels("conflicts").inc(len(result.conflicts))
