"""The facts that events report about an order. Every revision is kept.

Facts depend only on which events were received, not on their order. They are stored as JSON; the elements of their
lists are stored as arrays: new fields go to the end and have a default.
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
    """The contents of one `order.completed`."""

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
    """One promise, kept by a delivery until `by_when` (UTC). `stated` is the date or time as the source wrote it."""

    time: datetime
    source: str
    id: str
    by_when: datetime
    stated: str
    by: str | None = None
    reason: str | None = None


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


def _rank(fact: Revision | Promise | Scan) -> tuple[datetime, str, str]:
    return (fact.time, fact.source, fact.id)


class Attribution(Struct, frozen=True, array_like=True):
    """The account and the dimensions under which an order's pairs are counted."""

    account_id: str
    dimensions: dict[str, str]


class Facts(Struct, omit_defaults=True):
    """The order's facts, each list sorted by the event's own time, then source and id."""

    revisions: list[Revision] = field(default_factory=list)
    promises: list[Promise] = field(default_factory=list)
    scans: list[Scan] = field(default_factory=list)

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
        return Attribution(self.latest.account.id, self.latest.dimensions)

    def apply_completed(self, event: Event) -> None:
        """Apply an `order.completed`."""
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
            self._add_promise(event, data.promised_at, data.timezone)

    def apply_repromised(self, event: Event) -> None:
        """Apply an `order.repromised`."""
        data: OrderRepromised = event.data
        self._add_promise(event, data.promised_at, data.timezone, data.by, data.reason)

    def _add_promise(
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

    def apply_scan(self, event: Event) -> None:
        """Apply a `delivery.updated`."""
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
        """When the last shipment arrived according to operations, UTC; None while one is missing or was returned.

        A later scan of a shipment corrects an earlier one. A scan without a shipment counts for all shipments.
        """
        arrived: dict[str | None, datetime] = {}
        returned: set[str | None] = set()
        for scan in self.scans:
            if scan.status == "delivered":
                arrived[scan.shipment] = scan.at
                returned = returned - {scan.shipment} if scan.shipment else set()
            elif scan.status == "returned":
                returned.add(scan.shipment)
                if scan.shipment is None:
                    arrived.clear()
                else:
                    arrived.pop(scan.shipment, None)
        if returned or not arrived or (None not in arrived and len(arrived) < self.latest.shipments):
            return None
        return max(arrived.values())


def contact_of(facts: Facts, contact_id: str) -> Contact | None:
    """The contact of that id in the current revision; None if it names no such contact."""
    contacts: Iterable[Contact] = facts.latest.contacts if facts.known else ()
    return next((contact for contact in contacts if contact.id == contact_id), None)
