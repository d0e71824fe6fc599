"""An order as its events told it: every revision kept, and the same whatever the order in which they came.

Facts depend only on which events were seen. They are stored as JSON with every change, so what stands in their lists is
written as arrays: new fields go to the end and have a default.
"""

from bisect import insort
from collections.abc import Iterable
from datetime import UTC, datetime

from msgspec import Struct, field

from pipeline.domain.events.contract import (
    Account,
    Contact,
    DeliveredLine,
    DeliveryStatus,
    DeliveryUpdated,
    Event,
    Line,
    OrderCompleted,
    OrderRepromised,
)
from pipeline.domain.events.times import deadline, zone


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


def contact_of(facts: Facts, contact_id: str) -> Contact | None:
    """The contact of that id as the order names it now."""
    contacts: Iterable[Contact] = facts.latest.contacts if facts.known else ()
    return next((contact for contact in contacts if contact.id == contact_id), None)
