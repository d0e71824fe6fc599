"""One order as its events told it: every revision kept, and the same whatever the order in which they came.

`Facts` depends only on which events were seen. `Dialogue` is what we did about them: whom we asked on which claim,
what was answered, which pairs were settled. Both are stored as JSON with every change, so what stands in their lists is
written as arrays: new fields go to the end and have a default.
"""

from bisect import insort
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from msgspec import Struct, field, structs

from pipeline.domain.events import (
    Account,
    Arrival,
    Condition,
    Contact,
    DeliveredLine,
    DeliveryStatus,
    DeliveryUpdated,
    Event,
    FeedbackReceived,
    Line,
    OrderCompleted,
    OrderRepromised,
    Purpose,
    Score,
    deadline,
    zone,
)


class Revision(Struct, frozen=True, array_like=True):
    """What one `order.completed` said."""

    time: datetime
    source: str
    id: str
    account: Account
    completed_at: datetime
    contacts: list[Contact] = []
    dimensions: dict[str, str] = {}
    lines: list[Line] = []
    shipments: int = 1
    ordered_at: datetime | None = None
    requested_by: datetime | None = None
    timezone: str | None = None
    historic: bool = False


class Promise(Struct, frozen=True, array_like=True):
    """One promise: delivered by `by_when` keeps it. `stated` is what the source wrote."""

    time: datetime
    source: str
    id: str
    by_when: datetime
    stated: str
    by: str | None = None
    reason: str | None = None


class Scan(Struct, frozen=True, array_like=True):
    """What one `delivery.updated` said; without `shipment` it speaks of the whole order."""

    time: datetime
    source: str
    id: str
    status: DeliveryStatus
    at: datetime
    shipment: str | None = None
    lines: list[DeliveredLine] | None = None
    note: str | None = None


def _rank(said: Revision | Promise | Scan) -> tuple[datetime, str, str]:
    return (said.time, said.source, said.id)


class Whereabouts(Struct, frozen=True, array_like=True):
    """The account and the dimensions under which an order's pairs are counted."""

    account_id: str
    dimensions: dict[str, str]


class Facts(Struct, omit_defaults=True):
    """The order's facts, each list sorted by when its source said it (ties: source, id)."""

    revisions: list[Revision] = field(default_factory=list)
    promises: list[Promise] = field(default_factory=list)
    scans: list[Scan] = field(default_factory=list)

    @property
    def known(self) -> bool:
        """Whether the order itself was heard of: a scan may come before it."""
        return bool(self.revisions)

    @property
    def latest(self) -> Revision:
        """What is said of the order now."""
        return self.revisions[-1]

    @property
    def first_promise(self) -> datetime | None:
        """The end of the first promise ever stated, UTC."""
        return self.promises[0].by_when if self.promises else None

    @property
    def latest_promise(self) -> datetime | None:
        """The end of the promise that stands now, UTC."""
        return self.promises[-1].by_when if self.promises else None

    @property
    def historic(self) -> bool:
        """Whether the order comes from the past, so that nobody may be asked about it."""
        return self.revisions[-1].historic

    def day(self) -> int:
        """The ordinal of the day the order was completed, where it is delivered: the day its figures belong to."""
        revision = self.latest
        if revision.timezone is None:
            return revision.completed_at.toordinal()
        return revision.completed_at.astimezone(zone(revision.timezone)).toordinal()

    def whereabouts(self) -> Whereabouts:
        """Where the order belongs now."""
        return Whereabouts(self.latest.account.id, self.latest.dimensions)

    def complete(self, event: Event) -> None:
        """Take in an `order.completed`."""
        data: OrderCompleted = event.data
        insort(
            self.revisions,
            Revision(
                time=event.time,
                source=event.source,
                id=event.id,
                account=data.account,
                completed_at=(data.completed_at or event.time).astimezone(UTC),
                contacts=data.contacts,
                dimensions=data.dimensions,
                lines=data.lines,
                shipments=data.shipments,
                ordered_at=data.ordered_at and data.ordered_at.astimezone(UTC),
                requested_by=None if data.requested_at is None else deadline(data.requested_at, data.timezone),
                timezone=data.timezone,
                historic=event.historic,
            ),
            key=_rank,
        )
        if data.promised_at is not None:
            self._promise(event, data.promised_at, data.timezone)

    def repromise(self, event: Event) -> None:
        """Take in an `order.repromised`."""
        data: OrderRepromised = event.data
        self._promise(event, data.promised_at, data.timezone, data.by, data.reason)

    def _promise(
        self,
        event: Event,
        stated: str,
        timezone: str | None,
        by: str | None = None,
        reason: str | None = None,
    ) -> None:
        by_when = deadline(stated, timezone)
        insort(
            self.promises,
            Promise(event.time, event.source, event.id, by_when, stated, by, reason),
            key=_rank,
        )

    def scan(self, event: Event) -> None:
        """Take in a `delivery.updated`."""
        data: DeliveryUpdated = event.data
        insort(
            self.scans,
            Scan(
                event.time,
                event.source,
                event.id,
                data.status,
                data.at.astimezone(UTC),
                data.shipment_id,
                data.lines,
                data.note,
            ),
            key=_rank,
        )

    def delivered_at(self) -> datetime | None:
        """When the last shipment arrived according to operations, UTC; None while one is missing or came back.

        A later statement about a shipment corrects an earlier one. A scan without a shipment speaks for all.
        """
        arrived: dict[str | None, datetime] = {}
        back: set[str | None] = set()
        for scan in self.scans:
            if scan.status == "delivered":
                arrived[scan.shipment] = scan.at
                back = back - {scan.shipment} if scan.shipment else set()
            elif scan.status == "returned":
                back.add(scan.shipment)
                if scan.shipment is None:
                    arrived.clear()
                else:
                    arrived.pop(scan.shipment, None)
        if back or not arrived or (None not in arrived and len(arrived) < self.latest.shipments):
            return None
        return max(arrived.values())


class Claim(Struct, frozen=True, omit_defaults=True):
    """What operations says of an order. None where it says nothing (not delivered, no such date, no quantities)."""

    delivered_at: datetime | None = None
    on_time_first: bool | None = None
    on_time_latest: bool | None = None
    on_time_requested: bool | None = None
    in_full: bool | None = None

    @property
    def on_time(self) -> bool | None:
        """The claim as it is reported upstairs: against the promise that stood last."""
        return self.on_time_latest


NO_CLAIM = Claim()


def claim_of(facts: Facts) -> Claim:
    """The claim as the record stands now."""
    if not facts.known:
        return NO_CLAIM
    delivered_at = facts.delivered_at()
    if delivered_at is None:
        return NO_CLAIM
    return Claim(
        delivered_at,
        _kept(delivered_at, facts.first_promise),
        _kept(delivered_at, facts.latest_promise),
        _kept(delivered_at, facts.latest.requested_by),
        _in_full(facts),
    )


def _kept(delivered_at: datetime, by_when: datetime | None) -> bool | None:
    return None if by_when is None else delivered_at <= by_when


def _in_full(facts: Facts) -> bool | None:
    """Whether every line came whole: by the shipments' own quantities where they give them, else by the order's."""
    lines = facts.latest.lines
    if not lines:
        return None
    by_shipment = {(scan.shipment, line.sku): line.delivered for scan in facts.scans for line in scan.lines or ()}
    if by_shipment:
        brought: dict[str, float] = {}
        for (_, sku), quantity in by_shipment.items():
            brought[sku] = brought.get(sku, 0.0) + quantity
        wanted: dict[str, float] = {}
        for line in lines:
            wanted[line.sku] = wanted.get(line.sku, 0.0) + line.ordered
        return all(brought.get(sku, 0.0) >= ordered for sku, ordered in wanted.items())
    if any(line.delivered is None for line in lines):
        return None
    return all((line.delivered or 0.0) >= line.ordered for line in lines)


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


class Order(Struct):
    """An order: its facts and the dialogue about it."""

    order_id: str
    facts: Facts = field(default_factory=Facts)
    dialogue: Dialogue = field(default_factory=Dialogue)


def contact_of(facts: Facts, contact_id: str) -> Contact | None:
    """The contact of that id as the order names it now."""
    contacts: Iterable[Contact] = facts.latest.contacts if facts.known else ()
    return next((contact for contact in contacts if contact.id == contact_id), None)
