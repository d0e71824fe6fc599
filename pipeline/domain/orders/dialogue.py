"""What we did about an order: whom we asked on which claim, what was answered, and the pairs that followed.

Stored as JSON with the order. The elements of its lists are stored as arrays: new fields go to the end and have a
default. Fields whose name in JSON differs from the one here carry it as `name`.
"""

from bisect import insort
from collections.abc import Sequence
from datetime import UTC, datetime

from msgspec import Struct, field, structs

from pipeline.domain.answers.answer import Answer, Correction, answer_rank, answered_at, current_answers
from pipeline.domain.events.contract import Event, FeedbackCorrected, FeedbackReceived, Purpose
from pipeline.domain.orders.claims import NO_CLAIM, Claim
from pipeline.domain.orders.facts import Attribution


class Ask(Struct, frozen=True, array_like=True):
    """One question that was sent, with the claim of that moment: later edits of the record do not change it."""

    contact_id: str
    purpose: Purpose
    at: datetime
    claim: Claim


class Due(Struct, frozen=True, array_like=True):
    """One question that is decided and not sent yet. Its claim is frozen when it is sent.

    `delivered_at`: the delivery by which it was scheduled; None: by none, or by one that was taken back.
    """

    contact_id: str
    purpose: Purpose
    delivered_at: datetime | None = None


class Refusal(Struct, frozen=True, array_like=True):
    """One question that is not asked, and why (see `eligibility.Reason`)."""

    contact_id: str
    purpose: Purpose
    reason: str


class CountedPair(Struct, frozen=True, array_like=True):
    """An order's pair in the evidence of one signal: the day of its first answer, and its current `x`."""

    day: int
    x: float


class Dialogue(Struct, omit_defaults=True):
    """What was asked, refused and answered about an order, and the pairs that followed."""

    asks: list[Ask] = field(default_factory=list)
    due: list[Due] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    """Sorted by `answer_rank`."""
    pairs: dict[str, CountedPair] = field(default_factory=dict, name="placed")
    """By signal."""
    pairs_attribution: Attribution | None = field(default=None, name="placed_in")
    """Where the pairs are counted, if the order was moved since the first of them; None: where the order belongs."""
    claim: Claim = NO_CLAIM
    """The current claim."""
    claim_revisions: int = field(default=0, name="claims")
    """Number of revisions of the claim so far."""
    comparisons: int = field(default=0, name="compared")
    """Number of `fulfilment.compared` events emitted so far."""
    probed: bool = False
    """Whether the missing delivery scan was followed up."""
    decided_at: dict[Purpose, datetime] = field(default_factory=dict)
    """When we first decided whom to ask, by purpose."""
    shared_addresses: list[str] = field(default_factory=list)
    """Contacts whose address also served other accounts when we decided about them."""
    changed_addresses: list[str] = field(default_factory=list)
    """Contacts who had another address shortly before we decided about them."""
    signs: dict[str, float] = field(default_factory=dict)
    """By signal, what the order said about a way to embellish when that was first known."""
    qr_answers: int = 0
    """Number of answers by the code on the delivery note. Who gave them is unknown, so they are no evidence."""

    erased: list[str] = field(default_factory=list)
    """Contacts who were erased, each as often as it happened: their scores and codes stay."""
    last_answer_at: datetime | None = None
    """When the last answer or correction was received; None: none since versions that keep it."""

    def note_answer_at(self, received_at: datetime) -> None:
        """Note when an answer or a correction was received, in whatever order they are processed."""
        self.last_answer_at = max(self.last_answer_at or received_at, received_at)

    def apply_answer(self, event: Event) -> None:
        """Apply a `feedback.received`, in whatever order they arrive."""
        data: FeedbackReceived = event.data
        self.note_answer_at(event.received_at)
        insort(
            self.answers,
            Answer(
                data.contact_id,
                event.source,
                event.id,
                answered_at(event),
                data.arrival,
                data.arrived_at and data.arrived_at.astimezone(UTC),
                data.complete,
                data.condition,
                data.score,
                data.opt_out,
            ),
            key=answer_rank,
        )

    def apply_correction(self, event: Event) -> str | None:
        """Apply a `feedback.corrected`; of two about one answer the later counts. Returns why it is refused, if it is:
        the answer is unknown, or its contact has given a later one.
        """
        data: FeedbackCorrected = event.data
        answers = [answer for answer in self.answers if answer.contact_id == data.contact_id]
        if not any((answer.source, answer.id) == (data.answer.source, data.answer.id) for answer in answers):
            return "names no answer of this contact to this order"
        latest = max(answers, key=answer_rank)
        if (latest.source, latest.id) != (data.answer.source, data.answer.id):
            return "was replaced by a later answer of the same contact"
        correction = Correction(data.at.astimezone(UTC), event.id, data.reading)
        self.note_answer_at(event.received_at)
        former = latest.correction
        if former is None or (former.at, former.id) < (correction.at, correction.id):
            self.answers[self.answers.index(latest)] = structs.replace(latest, correction=correction)
        return None

    def correction_of(self, source: str, answer_id: str) -> Correction | None:
        """The correction of an answer that counts."""
        return next(
            (answer.correction for answer in self.answers if (answer.source, answer.id) == (source, answer_id)), None
        )

    def add_ask(self, ask: Ask) -> None:
        """Record that a question was sent. It is no longer due."""
        self.asks.append(ask)
        self._remove_due(ask.contact_id, ask.purpose)

    def add_refusal(self, refusal: Refusal) -> None:
        """Record that a question will not be sent. It is no longer due."""
        self.refusals.append(refusal)
        self._remove_due(refusal.contact_id, refusal.purpose)

    def _remove_due(self, contact_id: str, purpose: Purpose) -> None:
        self.due = [due for due in self.due if (due.contact_id, due.purpose) != (contact_id, purpose)]

    def asked(self, contact_id: str, purpose: Purpose) -> bool:
        """Whether this contact was already asked for this purpose."""
        return any(ask.contact_id == contact_id and ask.purpose == purpose for ask in self.asks)

    def is_due(self, contact_id: str, purpose: Purpose) -> bool:
        """Whether a question to this contact for this purpose is decided and not sent yet."""
        return any(due.contact_id == contact_id and due.purpose == purpose for due in self.due)

    def refused(self, contact_id: str, purpose: Purpose) -> bool:
        """Whether it was decided not to ask this contact for this purpose."""
        return self.refusal_of(contact_id, purpose) is not None

    def refusal_of(self, contact_id: str, purpose: Purpose) -> Refusal | None:
        """The newest refusal to ask this contact for this purpose; a question may have followed it."""
        return next(
            (no for no in reversed(self.refusals) if no.contact_id == contact_id and no.purpose == purpose), None
        )

    def current_refusals(self) -> list[Refusal]:
        """The newest refusal of each contact and purpose. That there was no contact is forgotten once there is one."""
        newest = {(refusal.purpose, refusal.contact_id): refusal for refusal in self.refusals}
        return [
            refusal
            for (purpose, contact_id), refusal in newest.items()
            if contact_id or not any(other == purpose and who for other, who in newest)
        ]

    def decided(self, purpose: Purpose) -> bool:
        """Whether it was decided, for any contact, to ask or not to ask for this purpose."""
        decisions: tuple[Sequence[Ask | Due | Refusal], ...] = (self.asks, self.due, self.refusals)
        return any(decision.purpose == purpose for kind in decisions for decision in kind)

    def current_answers(self) -> list[Answer]:
        """What each contact states now, sorted by the time of their latest answer (see `answer.current_answers`)."""
        return current_answers(self.answers)

    def original_answers(self) -> list[Answer]:
        """The same without the corrections."""
        return current_answers(structs.replace(answer, correction=None) for answer in self.answers)

    def is_understood(self) -> bool:
        """Whether anybody has stated something codable, as far as their words were understood."""
        return any(answer.statement.is_codable for answer in self.current_answers())

    def claim_when_asked(self) -> Claim | None:
        """The claim at the moment the first question was sent; None if none was sent."""
        return min(self.asks, key=lambda ask: (ask.at, ask.contact_id)).claim if self.asks else None
