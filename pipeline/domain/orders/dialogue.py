"""What we did about an order: whom we asked on which claim, what was answered, which pairs came of it.

Stored like the facts: what stands in the lists is written as arrays, new fields go to the end and have a default.
"""

from bisect import insort
from collections.abc import Sequence
from datetime import UTC, datetime

from msgspec import Struct, field, structs

from pipeline.domain.events.contract import Arrival, Condition, Event, FeedbackReceived, Purpose, Score
from pipeline.domain.orders.claims import NO_CLAIM, Claim
from pipeline.domain.orders.facts import Whereabouts


class Ask(Struct, frozen=True, array_like=True):
    """One question that went out, and the claim as it stood then: editing the record afterwards changes nothing."""

    contact_id: str
    purpose: Purpose
    at: datetime
    claim: Claim


class Due(Struct, frozen=True, array_like=True):
    """One question that is to be put and was not yet: its claim is frozen when it is."""

    contact_id: str
    purpose: Purpose


class Refusal(Struct, frozen=True, array_like=True):
    """One question that was not asked, and why (see `eligibility.Reason`)."""

    contact_id: str
    purpose: Purpose
    reason: str


class Answer(Struct, frozen=True, array_like=True):
    """One answer, without its words (those stay in the store). `answered_at` None: before all others."""

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


_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


def _answer_rank(answer: Answer) -> tuple[datetime, str, str]:
    return (answer.answered_at or _BEFORE_ALL, answer.source, answer.id)


def _amended(earlier: Answer, later: Answer) -> Answer:
    """A later answer of the same person: what it does not speak of stays said."""
    speaks_of_goods = later.complete is not None or bool(later.condition)
    return structs.replace(
        later,
        arrival=later.arrival or earlier.arrival,
        arrived_at=later.arrived_at or earlier.arrived_at,
        complete=later.complete if speaks_of_goods else earlier.complete,
        condition=later.condition if speaks_of_goods else earlier.condition,
        score=later.score or earlier.score,
    )


class Placed(Struct, frozen=True, array_like=True):
    """Where an order's pair stands in one signal's evidence: the day of its first answer, and its `x` so far."""

    day: int
    x: float


class Dialogue(Struct, omit_defaults=True):
    """What was asked, refused and answered about an order, and the pairs that came of it."""

    asks: list[Ask] = field(default_factory=list)
    due: list[Due] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    placed: dict[str, Placed] = field(default_factory=dict)
    placed_in: Whereabouts | None = None  # where the pairs stand, if the order was moved since
    claim: Claim = NO_CLAIM  # the claim as it was last recorded: the current one
    claims: int = 0  # revisions of the claim recorded so far
    compared: int = 0  # pairs told so far
    probed: bool = False  # whether the missing scan was followed up

    def hear(self, event: Event) -> None:
        """Take in a `feedback.received`."""
        data: FeedbackReceived = event.data
        insort(
            self.answers,
            Answer(
                data.contact_id,
                event.source,
                event.id,
                data.answered_at and data.answered_at.astimezone(UTC),
                data.arrival,
                data.arrived_at and data.arrived_at.astimezone(UTC),
                data.complete,
                data.condition,
                data.score,
                data.opt_out,
            ),
            key=_answer_rank,
        )

    def put(self, ask: Ask) -> None:
        """A question went out."""
        self.asks.append(ask)
        self._settle(ask.contact_id, ask.purpose)

    def lose(self, refusal: Refusal) -> None:
        """A question that was due will not be put."""
        self.refusals.append(refusal)
        self._settle(refusal.contact_id, refusal.purpose)

    def _settle(self, contact_id: str, purpose: Purpose) -> None:
        self.due = [due for due in self.due if (due.contact_id, due.purpose) != (contact_id, purpose)]

    def asked(self, contact_id: str, purpose: Purpose) -> bool:
        """Whether this contact was already asked for this purpose."""
        return any(ask.contact_id == contact_id and ask.purpose == purpose for ask in self.asks)

    def awaits(self, contact_id: str, purpose: Purpose) -> bool:
        """Whether a question to this contact is on its way."""
        return any(due.contact_id == contact_id and due.purpose == purpose for due in self.due)

    def refused(self, contact_id: str, purpose: Purpose) -> bool:
        """Whether it was decided not to ask this contact for this purpose."""
        return any(no.contact_id == contact_id and no.purpose == purpose for no in self.refusals)

    def decided(self, purpose: Purpose) -> bool:
        """Whether it was decided whom to ask for this purpose, and whom not."""
        known: tuple[Sequence[Ask | Due | Refusal], ...] = (self.asks, self.due, self.refusals)
        return any(said.purpose == purpose for kind in known for said in kind)

    def standing(self) -> list[Answer]:
        """The answers that stand: of each contact what they said last of each thing, in the order of their latest."""
        if len(self.answers) < 2:
            return self.answers
        latest: dict[str, Answer] = {}
        for answer in self.answers:
            earlier = latest.get(answer.contact_id)
            latest[answer.contact_id] = answer if earlier is None else _amended(earlier, answer)
        return sorted(latest.values(), key=_answer_rank)

    def claim_when_asked(self) -> Claim | None:
        """The claim as it stood when the first question was sent; None if none was."""
        return min(self.asks, key=lambda ask: (ask.at, ask.contact_id)).claim if self.asks else None
