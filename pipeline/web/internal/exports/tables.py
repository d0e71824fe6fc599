"""The tables that can be had as files: their columns and how their rows are read, bounded by the viewer's scope."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import Connection

from pipeline.domain.access.principal import Principal
from pipeline.domain.cases.case import Case
from pipeline.domain.detection.segments import TOTAL
from pipeline.domain.incidents.incident import Incident
from pipeline.domain.reports.alerts import Alert
from pipeline.domain.reports.cases import CaseOut, case_out
from pipeline.domain.reports.figures import Row, row_of
from pipeline.domain.reports.scenario_nps import Figure
from pipeline.store.acts import acts
from pipeline.store.acts.acts import StoredAct
from pipeline.store.cases import reads as cases
from pipeline.store.journal.state import clock_of
from pipeline.store.people.vault import Vault
from pipeline.store.reads import inbox, incidents
from pipeline.store.reads.alerts import alerts_page
from pipeline.store.reads.inbox import Position
from pipeline.store.reads.listing import order_list
from pipeline.store.reads.listing.order_list import OrderFilter
from pipeline.store.store import Store
from pipeline.store.users import users
from pipeline.store.users.users import User
from pipeline.web.internal.accounts import account_list
from pipeline.web.internal.accounts.account_list import AccountFigures, Wanted
from pipeline.web.internal.exports.sheet import Column, Kind, Sheet
from pipeline.web.internal.filters import ReportFilter
from pipeline.web.internal.inbox.views import WHY, InboxEntry, entries_of, reading_in_words
from pipeline.web.internal.orders.list_rows import OrderRow, rows_of
from pipeline.web.internal.verbatims import stream
from pipeline.web.internal.verbatims.stream import Verbatim
from pipeline.web.internal.verbatims.stream import Wanted as VerbatimsWanted
from pipeline.web.public.inbound import READER

BATCH = 500  # rows read at once

_Rows = Iterator[Sequence[object]]


def orders(connection: Connection, viewer: Principal, vault: Vault, wanted: OrderFilter) -> Sheet:
    """The list of orders."""
    columns = (
        Column("order_id"),
        Column("last_event_at", "moment"),
        Column("account_id"),
        Column("account"),
        Column("dimensions"),
        Column("timezone"),
        Column("first_promise", "moment"),
        Column("promise", "moment"),
        Column("delivered_at", "moment"),
        Column("claimed_on_time", "yes_no"),
        Column("claimed_in_full", "yes_no"),
        Column("claim"),
        Column("answer"),
        Column("verdict"),
        Column("not_asked_because"),
        Column("words"),
    )

    def _read() -> _Rows:
        after = None
        while True:
            page = order_list.page(connection, viewer, vault, wanted, BATCH, after)
            for row in rows_of(connection, viewer, vault, page):
                yield _order(row)
            if len(page) < BATCH:
                return
            after = page[-1].position

    return Sheet("orders", columns, _read())


def _order(row: OrderRow) -> Sequence[object]:
    return (
        row.order_id,
        row.last_event_at,
        row.account_id,
        row.account,
        "; ".join(f"{name}={value}" for name, value in row.dimensions.items()),
        row.timezone,
        row.first_promise,
        row.promise,
        row.delivered_at,
        row.on_time,
        row.in_full,
        row.claim,
        row.answer,
        row.verdict,
        row.reason,
        None if row.words is None else "\n".join(row.words),
    )


def segments(connection: Connection, viewer: Principal, wanted: ReportFilter) -> Sheet:
    """The figures of the segments of a level, and of all orders (the level is empty there)."""
    counted = ("delivered", "claimed_on_time", "answered", "answered_claimed_on_time", "claimed_on_time_but_detractor")
    figures = ("mean_score", "nps", "experienced_on_time")
    columns = [Column("level"), Column("segment"), *(Column(name, "whole") for name in counted)]
    columns += [Column(f"{name}{end}", "number") for name in figures for end in ("", "_low", "_high")]
    columns += [Column(f"{name}_n", "whole") for name in figures]

    def _line(level: str, value: str, row: Row) -> Sequence[object]:
        found: list[Figure | None] = [getattr(row, name) for name in figures]
        shown = [part for one in found for part in ((None,) * 3 if one is None else (one.value, one.low, one.high))]
        return (level, value, *(getattr(row, name) for name in counted), *shown, *(one and one.n for one in found))

    def _read() -> _Rows:
        yield _line(*TOTAL, row_of(wanted.fleet(connection, viewer)))
        for value, counts in wanted.segments(connection, viewer).items():
            yield _line(wanted.by or "", value, row_of(counts))

    return Sheet("segments", columns, _read())


def accounts(connection: Connection, viewer: Principal, wanted: Wanted) -> Sheet:
    """Accounts with their sums over one period."""
    kinds: dict[str, Kind] = {"account_id": "text", "name": "text", "tier": "text", "risk": "number"}
    columns = [Column("period"), *(Column(name, kinds.get(name, "whole")) for name in AccountFigures.__struct_fields__)]

    def _read() -> _Rows:
        after = None
        while page := account_list.read(connection, viewer, wanted, BATCH, after):
            for one in account_list.out(connection, viewer, page):
                yield (str(wanted.period), *msgspec.structs.astuple(one))
            after = page[-1].position(wanted.sorting)

    return Sheet("accounts", columns, _read())


def verbatims(connection: Connection, viewer: Principal, vault: Vault, wanted: VerbatimsWanted) -> Sheet:
    """The stream of words."""
    names = ["received_at", "order_id", "account_id", "account", "contact_id", "role", "language", "dimensions"]
    names += ["channel", "states", "score", "mood", "corrected", "by_anyone", "words"]
    kinds: dict[str, Kind] = {"received_at": "moment", "corrected": "yes_no", "by_anyone": "yes_no"}

    def _line(one: Verbatim) -> Sequence[object]:
        dimensions = "; ".join(f"{name}={value}" for name, value in one.dimensions.items())
        return [dimensions if name == "dimensions" else getattr(one, name) for name in names]

    rows = map(_line, stream.everything(connection, viewer, vault, wanted, BATCH))
    return Sheet("verbatims", [Column(name, kinds.get(name, "text")) for name in names], rows)


def alerts(connection: Connection, viewer: Principal) -> Sheet:
    """All alerts, the newest first."""
    columns = [Column(name) for name in ("alert_id", "signal", "dimension", "value", "kind", "state", "severity")]
    columns += [Column("opened_at", "moment"), Column("since", "day"), Column("resolved_at", "moment")]
    columns += [Column("orders", "whole"), *(Column(name, "number") for name in ("rate", "low", "high", "tolerance"))]
    columns += [Column("incident")]

    def _line(one: Alert) -> Sequence[object]:
        named = (one.alert_id, one.signal, one.dimension, one.value, one.kind, one.state, one.severity)
        times = (one.opened_at, one.since, one.resolved_at)
        return (*named, *times, one.run_n, one.run_rate, one.low, one.high, one.null, one.incident)

    def _read() -> _Rows:
        before, day = None, clock_of(connection).date()
        while page := alerts_page(connection, viewer, day, BATCH, before):
            yield from map(_line, page)
            before = page[-1].alert_id

    return Sheet("alerts", columns, _read())


def all_incidents(connection: Connection, viewer: Principal) -> Sheet:
    """Incidents: those that go on, the largest first, then the others."""
    names = ("incident", "signal", "dimension", "value", "state", "severity", "owner", "closing_cause", "merged_into")
    columns = [Column(name) for name in names]
    columns += [Column(name, "moment") for name in ("opened_at", "changed_at", "ended_at", "until")]
    columns += [Column(name, "number") for name in ("then", "then_low", "then_high", "now", "now_low", "now_high")]
    columns += [Column("trend"), Column("orders_a_month_at_least", "number"), Column("alerts", "whole")]

    def _line(one: Incident) -> Sequence[object]:
        cause, now = one.cause, one.now
        named = (one.incident_id, cause.signal, cause.dimension, cause.value, one.state, one.severity, one.owner)
        ended = (one.closing_cause, one.merged_into)
        times: tuple[datetime | None, ...] = (one.opened_at, one.changed_at, one.ended_at, one.until)
        rates: list[float | None] = []
        for rate in (one.then.rate, None if now is None else now.last_30_days):
            rates += [None] * 3 if rate is None else [rate.value, rate.low, rate.high]
        trend = None if now is None else now.trend
        return (*named, *ended, *times, *rates, trend, one.rank, len(one.alerts) + len(one.explains))

    def _read() -> _Rows:
        yield from map(_line, incidents.going_on(connection, viewer))
        yield from map(_line, incidents.ended(connection, viewer))

    return Sheet("incidents", columns, _read())


def all_cases(connection: Connection, viewer: Principal) -> Sheet:
    """Cases: the open ones, those that are due first at the front, then the closed ones, the newest closing first."""
    kinds: dict[str, Kind] = {"opened_at": "moment", "due_at": "moment", "closed_at": "moment", "overdue": "yes_no"}
    names = CaseOut.__struct_fields__

    def _line(one: Case) -> Sequence[object]:
        # Times are read from the case itself: the read API has them as text.
        shown = case_out(one)
        others = {"reasons": ", ".join(shown.reasons)}
        return [getattr(one, name) if name in kinds else others.get(name, getattr(shown, name)) for name in names]

    def _read() -> _Rows:
        for read in (cases.still_open, cases.closed):
            after = None
            while page := read(connection, viewer, BATCH, after):
                yield from map(_line, page)
                after = page[-1].case_id

    return Sheet("cases", [Column(name, kinds.get(name, "text")) for name in names], _read())


def waiting_replies(connection: Connection, viewer: Principal, store: Store) -> Sheet:
    """The replies that wait for a person, the oldest first."""
    names = ["received_at", "id", "why", "order_id", "contact_id", "channel", "language", "words", "claim"]
    names += ["suggested", "proposed", "proposed_by"]

    def _line(one: InboxEntry) -> Sequence[object]:
        shown: dict[str, object] = {"why": WHY[one.reason], "suggested": reading_in_words(one.suggested)}
        shown["proposed"] = None if one.proposed is None else reading_in_words(one.proposed)
        return [shown[name] if name in shown else getattr(one, name) for name in names]

    def _read() -> _Rows:
        after = None
        while page := inbox.waiting(connection, viewer, BATCH, after):
            yield from map(_line, entries_of(connection, store, viewer, READER, page))
            after = Position(page[-1].received_at, page[-1].item_id)

    return Sheet("inbox", [Column(name, "moment" if name == "received_at" else "text") for name in names], _read())


def all_users(connection: Connection) -> Sheet:
    """Every user, disabled ones included, without anything secret."""
    columns = [Column(name) for name in ("name", "role", "scope", "state", "identity_provider")]
    columns += [Column("second_factor", "yes_no")]
    columns += [Column(name, "moment") for name in ("created_at", "accepted_at", "disabled_at")]

    def _line(one: User) -> Sequence[object]:
        scope, issuer = "; ".join(one.scope.texts()), one.identity and one.identity.issuer
        times = (one.created_at, one.accepted_at, one.disabled_at)
        return (one.name, str(one.role), scope, one.state, issuer, one.totp is not None, *times)

    return Sheet("users", columns, map(_line, users.all_users(connection)))


def all_acts(connection: Connection, viewer: Principal, who: str | None) -> Sheet:
    """The record of acts, newest first."""
    columns = (
        Column("seq", "whole"),
        Column("at", "moment"),
        *map(Column, ("who", "what", "subject", "origin", "details")),
    )

    def _line(one: StoredAct) -> Sequence[object]:
        act = one.act
        return (one.seq, act.at, act.who, str(act.what), act.subject, act.origin, act.details_text())

    def _read() -> _Rows:
        before = None
        while page := acts.newest(connection, viewer, BATCH, before, who):
            yield from map(_line, page)
            before = page[-1].seq

    return Sheet("acts", columns, _read())
