"""The events of the contract: the data of each, its topic and its bounds. `decoding` checks them."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct

from pipeline.domain.events.cases import CaseChanged
from pipeline.domain.events.incidents import IncidentChanged

MAX_EVENT_BYTES = 1 << 20  # 1 MiB: a larger event is refused before it is parsed
MAX_STORED_BYTES = MAX_EVENT_BYTES * 3 // 2  # of an event whose words are sealed: base64 needs a third more

SPELLED = {"spelled": True}  # marks types whose values have one spelling (`spelling.normal`): ids, dimension values
Id = Annotated[str, Meta(min_length=1, max_length=200, extra=SPELLED)]
EventId = Annotated[
    str, Meta(min_length=1, max_length=500, extra=SPELLED)
]  # ids of our own events join those of an order and a contact
Word = Annotated[str, Meta(min_length=1, max_length=100, extra=SPELLED)]
WORDS = "words"  # marks types of text that people wrote: it is sealed before it is stored (`words.SHAPES`)


def _words(limit: int) -> Meta:
    """Text of at most `limit` characters as it is received; sealed, it is longer (`words.check_lengths`)."""
    return Meta(extra={WORDS: limit}, extra_json_schema={"maxLength": limit})


Text = Annotated[str, _words(8_000)]
Instant = Annotated[datetime, Meta(tz=True)]
# A date ("2026-11-20") or a time with offset: msgspec cannot express the union, `times.deadline` distinguishes them.
DateOrInstant = Annotated[str, Meta(min_length=10, max_length=40)]
# A number in JSON. As a decimal it is what was written: 0.7 + 0.1 is 0.8. `decoding` checks the bounds.
Quantity = Decimal
WrittenQuantity = Annotated[float, Meta(ge=0, le=1e12)]

MAX_TRACKING_NUMBER = 100
TrackingNumber = Annotated[str, Meta(min_length=1, max_length=MAX_TRACKING_NUMBER)]

ContactRole = Literal["receiver", "user", "purchaser", "decision_maker", "gatekeeper"]
DeliveryStatus = Literal[
    "dispatched",
    "out_for_delivery",
    "attempted",
    "available_for_pickup",
    "delivered",
    "exception",
    "returned",
]
Purpose = Literal["delivery", "missing_scan", "reminder", "settled", "response"]
SETTLED: Purpose = "settled"  # asked once after the first closing of a case: is it settled?
RESPONSE: Purpose = "response"  # no question: a fixed text that a person sends to whoever has answered
FixedResponse = Literal["looking_into_it", "will_call", "on_its_way", "put_right", "please_call"]
Request = Literal["call", "question"]  # what the words of an answer ask for
Arrival = Literal["on_time", "late", "not_received"]
QR = "qr"  # the channel of answers by the code on a delivery note, and the purpose of its link: anybody may scan it
QR_CONTACT = "(qr)"  # who gave them, as no contact can be named
Condition = Literal["damaged", "incomplete", "wrong", "papers_missing"]


class BadEvent(Exception):
    """An invalid event: `field` is the path of the invalid field ("" for the whole event), `reason` a sentence.

    The reason quotes nothing of the event, because it is stored and published. `value` is the invalid value, for the
    sender only; None: there is no single one.
    """

    def __init__(self, reason: str, field: str = "", value: object = None) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.reason = reason
        self.field = field
        self.value = value

    @property
    def explanation(self) -> str:
        """The reason with the invalid value in front: for the sender only."""
        return self.reason if self.value is None else f"{self.value!r:.200} {self.reason}"


class Account(Struct, frozen=True, omit_defaults=True):
    """The customer company an order belongs to.

    `country` (ISO 3166, as in "FR") is that of its contacts' phone numbers where they have no country code.
    """

    id: Id
    name: Annotated[str, Meta(max_length=300)] | None = None
    tier: Word | None = None
    country: Annotated[str, Meta(max_length=100)] | None = None


class Consent(Struct, frozen=True, omit_defaults=True):
    """What the contact agreed to, where that is recorded and since when. Without a record they are never asked."""

    sms: bool = False
    email: bool = False
    source: Annotated[str, Meta(max_length=200)] | None = None
    at: Instant | None = None
    whatsapp: bool = False


class Contact(Struct, frozen=True, omit_defaults=True):
    """One person at the account. After intake `phone` and `email` are keyed digests, never the address itself."""

    id: Id
    role: ContactRole
    name: Annotated[str, Meta(max_length=500)] | None = None
    phone: Annotated[str, Meta(max_length=500)] | None = None
    email: Annotated[str, Meta(max_length=500)] | None = None
    language: Annotated[str, Meta(max_length=35)] | None = None
    timezone: Annotated[str, Meta(max_length=64)] | None = None
    consent: Consent | None = None
    unusable_addresses: list[str] = []  # set by intake: "phone", "email", whatever was named and cannot be written to
    preferred_channel: Literal["sms", "whatsapp", "email"] | None = None
    country: Annotated[str, Meta(max_length=100)] | None = None  # ISO 3166; without it intake sets the phone's, if any


class Line(Struct, frozen=True, omit_defaults=True):
    """One line of an order, quantities in the line's own unit."""

    sku: Word
    ordered: Quantity
    delivered: Quantity | None = None


class DeliveredLine(Struct, frozen=True):
    """The quantity of a line that one shipment delivered."""

    sku: Word
    delivered: Quantity


class Shipment(Struct, frozen=True, omit_defaults=True):
    """One parcel of an order, by the supplier's id, by the carrier's tracking number, or by both."""

    shipment_id: Id | None = None
    tracking_number: TrackingNumber | None = None
    carrier: Annotated[str, Meta(max_length=200)] | None = None


class CancelledLine(Struct, frozen=True, omit_defaults=True):
    """A line that was cancelled. Without `cancelled`, a quantity, it is the whole line."""

    sku: Word
    cancelled: Quantity | None = None


class OrderCompleted(Struct, frozen=True):
    """`order.completed`: fulfilment finished on the supplier's side. A later one revises the earlier ones."""

    order_id: Id
    account: Account
    contacts: Annotated[list[Contact], Meta(max_length=200)] = []
    dimensions: Annotated[dict[Word, Id], Meta(max_length=32)] = {}
    lines: Annotated[list[Line], Meta(max_length=5_000)] = []
    shipments: Annotated[int, Meta(ge=1, le=1_000)] | Annotated[list[Shipment], Meta(max_length=1_000)] | None = None
    ordered_at: Instant | None = None
    requested_at: DateOrInstant | None = None
    promised_at: DateOrInstant | None = None
    completed_at: Instant | None = None
    timezone: str | None = None
    first_promised_at: DateOrInstant | None = None


class OrderRepromised(Struct, frozen=True):
    """`order.repromised`: the promise was moved; the first one is kept."""

    order_id: Id
    promised_at: DateOrInstant
    reason: Annotated[str, _words(1_000)] | None = None
    by: Annotated[str, _words(200)] | None = None
    timezone: str | None = None


class OrderCancelled(Struct, frozen=True):
    """`order.cancelled`: the whole order, or the named `lines`. A later `order.completed` reinstates a known order."""

    order_id: Id
    reason: Annotated[str, _words(1_000)] | None = None
    lines: Annotated[list[CancelledLine], Meta(min_length=1, max_length=5_000)] | None = None


class DeliveryUpdated(Struct, frozen=True):
    """`delivery.updated`: one scan, of an order or of a `tracking_number` that orders name.

    Without `shipment_id` and `tracking_number` it concerns the whole order, however many parcels.
    """

    status: DeliveryStatus
    at: Instant
    order_id: Id | None = None
    shipment_id: Id | None = None
    tracking_number: TrackingNumber | None = None
    estimated_at: DateOrInstant | None = None
    carrier: Annotated[str, Meta(max_length=200)] | None = None
    signed_by: Annotated[str, _words(500)] | None = None
    lines: Annotated[list[DeliveredLine], Meta(max_length=5_000)] | None = None
    note: Text | None = None


class DeliveryRetracted(Struct, frozen=True):
    """`delivery.retracted`: the `delivery.updated` with this `source` and `id` was sent by mistake. May precede it."""

    source: Id
    id: EventId
    order_id: Id | None = None
    tracking_number: TrackingNumber | None = None


class FeedbackRequested(Struct, frozen=True):
    """`feedback.requested`: one question was sent to one contact about one order.

    With the purpose `response` it is none, but the fixed text `response` to a contact who has answered: only this
    installation sends such texts.
    """

    order_id: Id
    contact_id: Id
    purpose: Purpose = "delivery"
    channel: Word = "sms"
    account_id: Id | None = None
    role: ContactRole | None = None
    language: str | None = None
    claim: Any = msgspec.UNSET  # our own questions: the claim frozen when it was sent (orders.claims.Claim)
    response: FixedResponse | None = None


class Score(Struct, frozen=True):
    """A score on its scale: 0-10 (`scale` 10) or 1-5 (`scale` 5)."""

    value: Annotated[int, Meta(ge=0, le=10)]
    scale: Literal[5, 10] = 10


class FeedbackReceived(Struct, frozen=True):
    """`feedback.received`: one answer. Without `answered_at` it counts as given before all others of its order.

    As we publish it, `comment` is null and `has_comment` says whether there is one: words are read through /v1.
    `request`: what the words ask for, and so a case is opened. `settled` answers the question whether a case is
    settled: such an event states nothing about the delivery, and changes no other answer.
    """

    order_id: Id
    contact_id: Id
    channel: Word = "sms"
    answered_at: Instant | None = None
    arrival: Arrival | None = None
    arrived_at: Instant | None = None
    complete: bool | None = None
    condition: Annotated[list[Condition], Meta(max_length=4)] = []
    score: Score | None = None
    comment: Text | None = None
    opt_out: bool = False
    has_comment: bool = False
    request: Request | None = None
    settled: bool | None = None


class AnswerRef(Struct, frozen=True):
    """One answer: the `source` and `id` of its `feedback.received`."""

    source: Id
    id: EventId


class Reading(Struct, frozen=True, omit_defaults=True):
    """What a person reads in an answer. What it does not mention stays as it was."""

    arrival: Arrival | None = None
    complete: bool | None = None
    condition: Annotated[list[Condition], Meta(max_length=4)] = []
    score: Score | None = None


class FeedbackCorrected(Struct, frozen=True):
    """`feedback.corrected`: a person read an answer, and that counts. An empty reading: there is nothing to code in it.

    `by` and `confirmed_by` are names of users; without the second, the first had no stake in the order, or nobody
    without one could confirm it within seven days.
    """

    order_id: Id
    contact_id: Id
    answer: AnswerRef
    reading: Reading
    by: Word
    at: Instant
    confirmed_by: Word | None = None


class Observation(Struct, frozen=True):
    """What one order's pair contributes to one signal: `x` in [0, 1], and the `previous` x if it was changed."""

    x: float
    day: int
    previous: float | None = None


class FulfilmentCompared(Struct, frozen=True):
    """`fulfilment.compared`: the pair. The claim is the one frozen when the question was sent."""

    order_id: Id
    account_id: Id
    dimensions: dict[str, str]
    claim: Any  # orders.claims.Claim
    experience: Any  # detection.pairs.Experience
    verdict: Literal["agrees", "embellished", "understated", "not_comparable"]
    observations: dict[str, Observation]


class EmbellishmentObserved(Struct, frozen=True):
    """`embellishment.observed`: what an order says about ways to embellish, when it is first known.

    `observations`: `x` is 1 if the order shows the sign. `moved`: the promise was moved after it was missed. `early`:
    the goods arrived well after the scan. `no_question`: nobody could be asked about a late or re-dated order.
    """

    order_id: Id
    account_id: Id
    dimensions: dict[str, str]
    observations: dict[str, Observation]


class SilenceObserved(Struct, frozen=True):
    """`silence.observed`: whether the customers of an order were heard, five days after it was decided whom to ask.

    `observations`: `x` is 1 for silence. `unasked`: nobody was asked, for a reason that lies in the order's contacts.
    `unanswered`: nobody answered whom a question reached. `undelivered`: a message did not arrive; its only dimension
    is `message_route`, the channel and the recipient's country.
    """

    order_id: Id
    account_id: Id
    dimensions: dict[str, str]
    observations: dict[str, Observation]


class AlertRaised(Struct, frozen=True):
    """`alert.opened`, `alert.escalated`, `alert.resolved`: a segment's alert with its evidence."""

    alert_id: str
    signal: str
    dimension: str
    value: str
    kind: Literal["divergence", "single_account_dispute", "single_account", "single_day", "watch"]
    state: Literal["open", "resolved"]
    severity: Literal["minor", "major", "critical"] | None
    evidence: dict[str, Any]


class Kind(NamedTuple):
    """The topic of a type of event, and the type of its `data`."""

    topic: str
    data: type[Struct]


KINDS: Mapping[str, Kind] = {
    "order.completed": Kind("orders", OrderCompleted),
    "order.repromised": Kind("orders", OrderRepromised),
    "order.cancelled": Kind("orders", OrderCancelled),
    "delivery.updated": Kind("deliveries", DeliveryUpdated),
    "delivery.retracted": Kind("deliveries", DeliveryRetracted),
    "feedback.requested": Kind("feedback", FeedbackRequested),
    "feedback.received": Kind("feedback", FeedbackReceived),
    "feedback.corrected": Kind("feedback", FeedbackCorrected),
    "fulfilment.compared": Kind("truth", FulfilmentCompared),
    "embellishment.observed": Kind("truth", EmbellishmentObserved),
    "silence.observed": Kind("truth", SilenceObserved),
    "alert.opened": Kind("alerts", AlertRaised),
    "alert.escalated": Kind("alerts", AlertRaised),
    "alert.resolved": Kind("alerts", AlertRaised),
    "incident.opened": Kind("alerts", IncidentChanged),
    "incident.acknowledged": Kind("alerts", IncidentChanged),
    "incident.assigned": Kind("alerts", IncidentChanged),
    "incident.snoozed": Kind("alerts", IncidentChanged),
    "incident.closed": Kind("alerts", IncidentChanged),
    "incident.reopened": Kind("alerts", IncidentChanged),
    "incident.changed": Kind("alerts", IncidentChanged),
    "case.opened": Kind("cases", CaseChanged),
    "case.changed": Kind("cases", CaseChanged),
    "case.closed": Kind("cases", CaseChanged),
}


# What the evidence of segments is made of.
EVIDENCE = ("fulfilment.compared", "embellishment.observed", "silence.observed")
# Only we emit evidence, alerts and cases: from other sources they would be forged.
CONCLUSIONS = frozenset(name for name, kind in KINDS.items() if kind.topic in ("truth", "alerts", "cases"))
# Nor are corrections accepted from outside: the rule of two people decides when one counts.
NEVER_RECEIVED = CONCLUSIONS | {"feedback.corrected"}
OWN_SOURCE = "unvarnished"


def key_of(data: Struct) -> str:
    """The partition key of an event: events with the same key are published in the order in which they were emitted."""
    if isinstance(data, AlertRaised):
        return f"{data.dimension}={data.value}"
    if isinstance(data, IncidentChanged):
        return data.incident_id
    if isinstance(data, CaseChanged):
        return data.order_id or data.case_id
    return str(getattr(data, "order_id", None) or getattr(data, "tracking_number", ""))


class Event(NamedTuple):
    """A checked event. `time`: when it happened, as its source states; `received_at`: when we received it; both UTC."""

    source: str
    id: str
    type: str
    time: datetime
    received_at: datetime
    historic: bool
    data: Any
    place: int = 0  # in the journal: orders what was received at one moment


class Envelope(Struct, frozen=True):
    """The CloudEvents attributes that the product reads; others remain in the stored text."""

    specversion: Literal["1.0"]
    id: EventId
    source: Id
    type: Word
    time: Instant
    data: msgspec.Raw
    historic: bool = False  # extension attribute: from historical data, no contact is asked about it
