"""What the grouping of alerts reads: the open alerts, the pairs of their runs, and where each order belongs."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Column, ColumnElement, Connection, bindparam, func, literal, select

from pipeline.domain.detection.alerting import Pair, is_unverified, top_account
from pipeline.domain.detection.explanation import OpenRun, OrderPlace
from pipeline.domain.detection.segments import Level, Segment, Series, segments_of
from pipeline.domain.events.incidents import Rate
from pipeline.domain.incidents.incident import AlertFacts
from pipeline.domain.orders.dialogue import Dialogue
from pipeline.domain.orders.facts import Facts
from pipeline.store.db.bulk import among, insert_new
from pipeline.store.evidence.alerts import newest_pair_days
from pipeline.store.schema.alerting.incidents import order_places
from pipeline.store.schema.evidence import alerts, evidence, pairs
from pipeline.store.schema.orders import orders

_ROWS = 20_000  # orders read at once


class _Published(msgspec.Struct):
    """The published figures that a grouping needs."""

    since: date
    run_n: int
    run_rate: float
    null: float
    low: float
    high: float


class _Counted(msgspec.Struct):
    """The part of a stored state that says how many pairs it is made of."""

    pairs: int = 0


_published = msgspec.json.Decoder(_Published)
_counted = msgspec.json.Decoder(_Counted)
_facts = msgspec.json.Decoder(Facts)
_dialogue = msgspec.json.Decoder(Dialogue)
_dimensions = msgspec.json.Decoder(dict[str, str])
_ALERT = (alerts.c.alert_id, alerts.c.signal, alerts.c.dimension, alerts.c.value, alerts.c.kind, alerts.c.severity)


# Built once: executed for every open alert.
_STATE_BEFORE = (
    select(evidence.c.state)
    .where(*(evidence.c[name] == bindparam(name) for name in Series._fields), evidence.c.day < bindparam("first_day"))
    .order_by(evidence.c.day.desc())
    .limit(1)
)
_PAIRS_AFTER = (
    select(pairs.c.n, pairs.c.day, pairs.c.x, pairs.c.delta, pairs.c.account_id, pairs.c.order_id)
    .where(*(pairs.c[name] == bindparam(name) for name in Series._fields), pairs.c.n > bindparam("after"))
    .order_by(pairs.c.n)
)


class CountedRun(NamedTuple):
    """The pairs of a series from a day on, in order of receipt, and the number of all its pairs."""

    pairs: Sequence[Pair]
    counted: int


def open_signals(connection: Connection) -> set[str]:
    """The signals that have an open alert."""
    query = select(alerts.c.signal).where(alerts.c.state == "open").distinct()
    return set(connection.execute(query).scalars())


def open_ids(connection: Connection, signal: str) -> list[str]:
    """The open alerts of a signal, by id."""
    query = select(alerts.c.alert_id).where(alerts.c.state == "open", alerts.c.signal == signal)
    return list(connection.execute(query.order_by(alerts.c.alert_id)).scalars())


def open_divergences(connection: Connection, today: int) -> dict[str, AlertFacts]:
    """The open divergences of all signals, by id. `today`: ordinal of the day on which alerts count as unverified."""
    query = select(*_ALERT, alerts.c.opened_at, alerts.c.evidence)
    found = connection.execute(query.where(alerts.c.state == "open", alerts.c.kind == "divergence")).all()
    newest = newest_pair_days(connection, {Series(row.dimension, row.value, row.signal) for row in found})
    return {row.alert_id: _facts_of(row, newest, today) for row in found}


def _facts_of(row: Any, newest: Mapping[Series, int], today: int) -> AlertFacts:
    published = _published.decode(row.evidence)
    last_day = newest.get(Series(row.dimension, row.value, row.signal))
    return AlertFacts(
        row.alert_id,
        row.signal,
        Segment(row.dimension, row.value),
        row.severity,
        row.opened_at,
        published.since,
        Rate(published.run_rate, published.low, published.high, published.run_n),
        published.null,
        is_unverified(row.signal, last_day, today),
    )


def runs_of(connection: Connection, signal: str, thresholds: Mapping[str, float]) -> list[OpenRun]:
    """The open alerts of a signal with the pairs that they rest on.

    Without an open divergence there is nothing to group. Without an open dispute of one account, the alerts that
    notify no one do not matter.
    """
    query = select(*_ALERT, alerts.c.evidence).where(alerts.c.state == "open", alerts.c.signal == signal)
    found = connection.execute(query.order_by(alerts.c.alert_id)).all()
    kinds = {row.kind for row in found}
    if "divergence" not in kinds:
        return []
    if "single_account_dispute" not in kinds:
        found = [row for row in found if row.kind == "divergence"]
    runs = []
    for row in found:
        since = _published.decode(row.evidence).since.toordinal()
        run = pairs_since(connection, Series(row.dimension, row.value, row.signal), since)
        threshold = thresholds.get(row.dimension)
        if run.pairs and threshold is not None:  # a level may have been removed
            segment = Segment(row.dimension, row.value)
            runs.append(
                OpenRun(
                    key=row.alert_id,
                    segment=segment,
                    kind=row.kind,
                    threshold=threshold,
                    pairs=run.pairs,
                    counted=run.counted,
                )
            )
    return runs


def pairs_since(connection: Connection, series: Series, first_day: int) -> CountedRun:
    """The counted pairs of a series from a day on, in order of receipt. A stored state says where to begin."""
    key = series._asdict()
    stored = connection.execute(_STATE_BEFORE, {**key, "first_day": first_day}).scalar()
    after = 0 if stored is None else _counted.decode(stored).pairs
    rows = connection.execute(_PAIRS_AFTER, {**key, "after": after}).all()
    return CountedRun([Pair(*row[1:]) for row in rows if row[1] >= first_day], rows[-1][0] if rows else after)


def disputed_orders(connection: Connection, runs: Iterable[OpenRun]) -> set[str]:
    """The orders that count, for any segment of the signal, of the accounts that dispute most in a dispute."""
    disputes = [run for run in runs if run.kind == "single_account_dispute"]
    accounts = sorted({top_account(run.pairs) for run in disputes})
    if not accounts:
        return set()
    signal = disputes[0].key.partition("/")[0]
    query = select(pairs.c.order_id).where(among(connection, pairs.c.account_id, accounts), pairs.c.signal == signal)
    return set(connection.execute(query.distinct()).scalars())


def places(connection: Connection, order_ids: Collection[str], levels: Sequence[Level]) -> dict[str, OrderPlace]:
    """Where each order belongs, at every level. What was read from an order once is kept."""
    known = _stored_places(connection, order_ids, levels)
    missing = sorted(set(order_ids) - known.keys())
    if missing:
        _store_places(connection, missing)
        known |= _stored_places(connection, missing, levels)
    return known


def is_historic(connection: Connection, series: Series) -> bool:
    """Whether the newest pair of a series is about a replayed order."""
    newest = (
        select(pairs.c.order_id)
        .where(*(pairs.c[name] == item for name, item in series._asdict().items()))
        .order_by(pairs.c.n.desc())
        .limit(1)
    )
    order_id = connection.execute(newest).scalar()
    facts = select(orders.c.facts).where(orders.c.order_id == order_id)
    stored = None if order_id is None else connection.execute(facts).scalar()
    return stored is not None and _is_historic(_facts.decode(stored))


def _stored_places(
    connection: Connection, order_ids: Collection[str], levels: Sequence[Level]
) -> dict[str, OrderPlace]:
    found: dict[str, OrderPlace] = {}
    by_text: dict[str, tuple[Segment, ...]] = {}  # thousands of orders share a few
    for some in _portions(order_ids):
        query = select(order_places.c.order_id, order_places.c.account_id, order_places.c.dimensions)
        for order_id, account, text in connection.execute(
            query.where(_is_one_of(connection, order_places.c.order_id, some))
        ):
            segments = by_text.get(text)
            if segments is None:
                segments = by_text[text] = tuple(segments_of(_dimensions.decode(text), levels))
            found[order_id] = OrderPlace(account, segments)
    return found


def _store_places(connection: Connection, order_ids: Sequence[str]) -> None:
    for some in _portions(order_ids):
        query = select(orders.c.order_id, orders.c.facts, orders.c.dialogue)
        rows = connection.execute(query.where(_is_one_of(connection, orders.c.order_id, some)))
        insert_new(connection, order_places, [_place(*row) for row in rows])


def _portions(order_ids: Collection[str]) -> Iterator[list[str]]:
    listed = list(order_ids)
    for first in range(0, len(listed), _ROWS):
        yield listed[first : first + _ROWS]


def _is_one_of(connection: Connection, column: Column[str], values: list[str]) -> ColumnElement[bool]:
    """As `among`, with one parameter on SQLite, too: thousands of values would be a statement of thousands."""
    if connection.dialect.name != "sqlite":
        return among(connection, column, values)
    given = func.json_each(literal(msgspec.json.encode(values).decode())).table_valued("value")
    return column.in_(select(given.c.value))


def _place(order_id: str, facts_text: str, dialogue_text: str) -> dict[str, object]:
    facts = _facts.decode(facts_text)
    where = _dialogue.decode(dialogue_text).pairs_attribution or facts.attribution()
    dimensions = msgspec.json.encode(dict(sorted(where.dimensions.items()))).decode()
    historic = facts.known and facts.historic
    return {"order_id": order_id, "account_id": where.account_id, "dimensions": dimensions, "historic": historic}


def _is_historic(facts: Facts) -> bool:
    return facts.known and facts.historic
