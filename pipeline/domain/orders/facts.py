"""The facts that events report about an order. Every revision is kept.

Facts depend only on which events were received and when, not on the order of processing. No source's clock is trusted:
revisions and scans are sorted by the time that their source gives, but an event is never later than its receipt.
Promises are sorted by receipt. Facts are stored as JSON; the elements of their lists are stored as arrays: new fields
go to the end and have a default.
"""

from bisect import insort
from collections.abc import Iterable
from datetime import UTC, datetime

from msgspec import Struct, field
from msgspec.structs import replace

from pipeline.domain.events.contract import (
    Account,
    CancelledLine,
    Contact,
    DeliveredLine,
    DeliveryRetracted,
    DeliveryStatus,
    DeliveryUpdated,
    Event,
    Line,
    OrderCancelled,
    OrderCompleted,
    OrderRepromised,
    Shipment,
)
from pipeline.domain.events.times import deadline, zone
from pipeline.domain.events.tracking import normal_number


class Revision(Struct, frozen=True, array_like=True):
    """The contents of one `order.completed`."""

    time: datetime
    source: str
    id: str
    account: Account
    completed_at: datetime
    contacts: list[Contact] = []
    dimensions: dict[str, str] = {}
    lines: list[Line] = []
    shipments: int = 1  # 0: unknown
    ordered_at: datetime | None = None
    requested_by: datetime | None = None
    timezone: str | None = None
    historic: bool = False
    parcels: list[Shipment] = []  # the shipments, if the source lists them
    received_at: datetime | None = None  # None: stored by a version that did not keep it
    place: int = 0  # `Event.place`
    first_promised_at: str | None = None  # as the source wrote it


class Promise(Struct, frozen=True, array_like=True):
    """One promise, kept by a delivery until `by_when` (UTC). `stated` is the date or time as the source wrote it."""

    time: datetime
    source: str
    id: str
    by_when: datetime
    stated: str
    by: str | None = None
    reason: str | None = None
    received_at: datetime | None = None  # None: stored by a version that did not keep it
    place: int = 0  # `Event.place`
    original: bool = False  # the `first_promised_at` of an order

    def made_at(self, historic: bool) -> datetime:
        """When it was made: when we received it, in history its own time.

        The time that its source gives could be set back to before another promise had passed.
        """
        return self.time if historic or self.received_at is None else self.received_at


class Scan(Struct, frozen=True, array_like=True):
    """The contents of one `delivery.updated`; without `shipment` it concerns the whole order."""

    time: datetime
    source: str
    id: str
    status: DeliveryStatus
    at: datetime
    shipment: str | None = None
    lines: list[DeliveredLine] | None = None
    note: str | None = None
    tracking: str | None = None  # the parcel's tracking number in its normal form
    joined: bool = False  # the event named no order, and was joined by that number
    received_at: datetime | None = None  # None: stored by a version that did not keep it
    stated_at: datetime | None = None  # what the source stated, if that was ahead of the receipt: `at` is the receipt


class Cancellation(Struct, frozen=True, array_like=True):
    """The contents of one `order.cancelled`; without `lines` it concerns the whole order.

    `known_at`: when we were informed, in history when it happened; no source decides whether it was early enough.
    """

    time: datetime
    source: str
    id: str
    known_at: datetime
    lines: list[CancelledLine] | None = None
    reason: str | None = None


class Retraction(Struct, frozen=True, array_like=True):
    """The contents of one `delivery.retracted`: which event does not count."""

    time: datetime
    source: str
    id: str
    of_source: str
    of_id: str


class NumberUse(Struct, frozen=True, array_like=True, order=True):
    """Another order that has a tracking number of this one, and the time of the first event that says so."""

    number: str
    order_id: str
    since: datetime


_BEFORE = datetime.min.replace(tzinfo=UTC)  # the receipt of what an earlier version stored


def _receipt(fact: Revision | Promise) -> tuple[datetime, int]:
    """Sorts by receipt; what was received at one moment, as in one batch, by its place in the journal."""
    return (fact.received_at or _BEFORE, fact.place)


def _rank(fact: Revision | Scan) -> tuple[datetime, datetime, str, str]:
    return (fact.time, fact.received_at or _BEFORE, fact.source, fact.id)


def _rank_by_time(fact: Cancellation | Retraction) -> tuple[datetime, str, str]:
    return (fact.time, fact.source, fact.id)


def _time(event: Event) -> datetime:
    """The source's time of an event, but no later than its receipt: a clock that runs ahead wins over no correction."""
    return min(event.time, event.received_at)


class Attribution(Struct, frozen=True, array_like=True):
    """The account and the dimensions under which an order's pairs are counted."""

    account_id: str
    dimensions: dict[str, str]


class Facts(Struct, omit_defaults=True):
    """The order's facts, each list sorted by the event's own time, promises by receipt."""

    revisions: list[Revision] = field(default_factory=list)
    promises: list[Promise] = field(default_factory=list)
    """The first one first (see `_rank_promises`), the others by receipt."""
    scans: list[Scan] = field(default_factory=list)
    cancellations: list[Cancellation] = field(default_factory=list)
    retractions: list[Retraction] = field(default_factory=list)
    number_uses: list[NumberUse] = field(default_factory=list)
    """Sorted by number and order."""

    @property
    def known(self) -> bool:
        """Whether an `order.completed` was received: a scan may arrive before it."""
        return bool(self.revisions)

    @property
    def latest(self) -> Revision:
        """The current revision. Raises IndexError while the order is not `known`."""
        return self.revisions[-1]

    @property
    def first_promise(self) -> datetime | None:
        """The deadline of the first promise, UTC; None without any."""
        return self.promises[0].by_when if self.promises else None

    @property
    def latest_promise(self) -> datetime | None:
        """The deadline of the current promise, UTC; None without any."""
        return self.promises[-1].by_when if self.promises else None

    @property
    def moved_at(self) -> datetime | None:
        """When the current promise was made, if it is not the first one."""
        if not self.promises or self.latest_promise == self.first_promise:
            return None
        return self.promises[-1].made_at(self.known and self.historic)

    @property
    def contacts(self) -> list[Contact]:
        """The contacts of the current revision, with the strictest consent that the revisions state.

        A refusal stands until a consent that was received later and is later by its source's time, too.
        """
        if len(self.revisions) < 2:
            return self.latest.contacts
        return [self._with_strictest_consent(contact) for contact in self.latest.contacts]

    def _with_strictest_consent(self, contact: Contact) -> Contact:
        words = [
            (revision, said.consent)
            for revision in self.revisions
            for said in revision.contacts
            if said.id == contact.id and said.consent is not None
        ]
        if contact.consent is None or all(consent == contact.consent for _, consent in words):
            return contact
        sms = contact.consent.sms and _stands([(revision, consent.sms) for revision, consent in words])
        email = contact.consent.email and _stands([(revision, consent.email) for revision, consent in words])
        whatsapp = contact.consent.whatsapp and _stands([(revision, consent.whatsapp) for revision, consent in words])
        return replace(contact, consent=replace(contact.consent, sms=sms, email=email, whatsapp=whatsapp))

    @property
    def historic(self) -> bool:
        """Whether the order comes from historical data: its contacts are not asked."""
        return self.revisions[-1].historic

    def day(self) -> int:
        """The ordinal of the day of completion in the order's time zone: its figures belong to that day."""
        revision = self.latest
        if revision.timezone is None:
            return revision.completed_at.toordinal()
        return revision.completed_at.astimezone(zone(revision.timezone)).toordinal()

    def attribution(self) -> Attribution:
        """The account and dimensions of the current revision."""
        return Attribution(self.latest.account.id, self.dimensions)

    @property
    def dimensions(self) -> dict[str, str]:
        """The dimensions of the current revision. The tier is the account's, unless the order names one itself."""
        known, tier = self.latest.dimensions, self.latest.account.tier
        return known if tier is None or "tier" in known else known | {"tier": tier}

    def apply_completed(self, event: Event) -> None:
        """Apply an `order.completed`."""
        data: OrderCompleted = event.data
        insort(
            self.revisions,
            Revision(
                time=_time(event),
                source=event.source,
                id=event.id,
                account=data.account,
                completed_at=min(data.completed_at or event.time, event.received_at).astimezone(UTC),
                contacts=data.contacts,
                dimensions=data.dimensions,
                lines=data.lines,
                shipments=_number_of(data.shipments),
                ordered_at=data.ordered_at and data.ordered_at.astimezone(UTC),
                requested_by=None if data.requested_at is None else deadline(data.requested_at, data.timezone),
                timezone=data.timezone,
                historic=event.historic,
                parcels=data.shipments if isinstance(data.shipments, list) else [],
                received_at=event.received_at,
                place=event.place,
                first_promised_at=data.first_promised_at,
            ),
            key=_rank,
        )
        if data.promised_at is not None:
            self._add_promise(event, data.promised_at, data.timezone)
        self._rank_promises()

    def apply_repromised(self, event: Event) -> None:
        """Apply an `order.repromised`."""
        data: OrderRepromised = event.data
        self._add_promise(event, data.promised_at, data.timezone, data.by, data.reason)
        self._rank_promises()

    def _add_promise(
        self,
        event: Event,
        stated: str,
        timezone: str | None,
        by: str | None = None,
        reason: str | None = None,
    ) -> None:
        by_when = deadline(stated, timezone)
        of_event = (_time(event), event.source, event.id)
        self.promises.append(Promise(*of_event, by_when, stated, by, reason, event.received_at, event.place))

    def _rank_promises(self) -> None:
        """Sort the promises by receipt, with two exceptions. After the first `order.completed` the first one stays.

        - `first_promised_at` is the first promise. In a revision it is ignored once any promise was received.
        - An order whose promise was moved before its `order.completed` was received: the promise that this event states
          is the first one, unless it equals the latest of those moves.
        """
        promises = sorted((promise for promise in self.promises if not promise.original), key=_receipt)
        first = min(self.revisions, key=_receipt, default=None)
        original = min((one for one in self.revisions if one.first_promised_at), key=_receipt, default=None)
        if original and (original is first or not promises or _receipt(original) <= _receipt(promises[0])):
            promises.insert(0, _original(original))
        elif first and first.received_at is not None:
            places = [n for n, one in enumerate(promises) if (one.source, one.id) == (first.source, first.id)]
            if places and places[0] > 0 and promises[places[0]].by_when != promises[places[0] - 1].by_when:
                promises.insert(0, promises.pop(places[0]))
        self.promises = promises

    def apply_scan(self, event: Event) -> None:
        """Apply a `delivery.updated`."""
        data: DeliveryUpdated = event.data
        at = data.at.astimezone(UTC)
        insort(
            self.scans,
            Scan(
                _time(event),
                event.source,
                event.id,
                data.status,
                min(at, event.received_at),
                data.shipment_id,
                data.lines,
                data.note,
                tracking=None if data.tracking_number is None else normal_number(data.tracking_number),
                joined=data.order_id is None,
                received_at=event.received_at,
                stated_at=at if at > event.received_at else None,
            ),
            key=_rank,
        )

    def apply_cancelled(self, event: Event) -> None:
        """Apply an `order.cancelled`."""
        data: OrderCancelled = event.data
        known_at = event.time if event.historic else event.received_at
        insort(
            self.cancellations,
            Cancellation(_time(event), event.source, event.id, known_at, data.lines, data.reason),
            key=_rank_by_time,
        )

    def apply_retracted(self, event: Event) -> None:
        """Apply a `delivery.retracted`, which may come before the event that it retracts."""
        data: DeliveryRetracted = event.data
        retraction = Retraction(_time(event), event.source, event.id, data.source, data.id)
        insort(self.retractions, retraction, key=_rank_by_time)

    def has_event(self, source: str, event_id: str) -> bool:
        """Whether a scan or a retraction of this source and id was applied."""
        applied: Iterable[Scan | Retraction] = (*self.scans, *self.retractions)
        return any((fact.source, fact.id) == (source, event_id) for fact in applied)

    def apply_number_use(self, use: NumberUse) -> bool:
        """Note that another order has a tracking number of this one. Returns whether that is new."""
        known = next(
            (one for one in self.number_uses if (one.number, one.order_id) == (use.number, use.order_id)), None
        )
        if known is not None and known.since <= use.since:
            return False
        self.number_uses = sorted([*(one for one in self.number_uses if one is not known), use])
        return True


def _number_of(shipments: int | list[Shipment] | None) -> int:
    return len(shipments) if isinstance(shipments, list) else shipments or 0


def _original(revision: Revision) -> Promise:
    """The promise that a revision states as the first one."""
    stated = revision.first_promised_at or ""
    return Promise(
        revision.time,
        revision.source,
        revision.id,
        deadline(stated, revision.timezone),
        stated,
        received_at=revision.received_at,
        place=revision.place,
        original=True,
    )


def _stands(words: list[tuple[Revision, bool]]) -> bool:
    """Whether each refusal among these words about consent was followed by a consent, by receipt and by time."""
    consents = [revision for revision, consents in words if consents]
    refusals = [revision for revision, consents in words if not consents]
    return all(any(_receipt(yes) >= _receipt(no) and _rank(yes) > _rank(no) for yes in consents) for no in refusals)


def contact_of(facts: Facts, contact_id: str) -> Contact | None:
    """The contact of that id in the current revision; None if it names no such contact."""
    contacts: Iterable[Contact] = facts.contacts if facts.known else ()
    return next((contact for contact in contacts if contact.id == contact_id), None)
