"""The timeline of an order never contradicts time, whatever the clocks of sources and providers say."""

from datetime import datetime, timedelta
from itertools import count
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.principal import LOCAL
from pipeline.store.schema.asks import asks
from pipeline.web.internal.orders.lookup import find_order
from pipeline.web.internal.orders.timeline import TimelineEntry
from tests.support.builders import answered, at, completed, contact, repromised, retracted, scanned
from tests.support.examples import examples
from tests.support.requests.installation import Clock, services
from tests.support.running.embedded import ingest

_numbers = count()
_HOURS = st.integers(-72, 72)  # by which a source's clock is wrong


def _at(entries: list[TimelineEntry], begin: str) -> datetime | None:
    return next((entry.at for entry in entries if entry.title.startswith(begin)), None)


@settings(max_examples=examples(10), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(wrong=st.lists(_HOURS, min_size=6, max_size=6), order=st.permutations(range(5)), sent=_HOURS, delivered=_HOURS)
def test_effects_never_come_before_their_causes(
    runtime: EmbeddedRunner, wrong: list[int], order: list[int], sent: int, delivered: int
) -> None:
    number = next(_numbers)
    order_id, received = f"SO-{number}", at(days=10, hours=number)
    by = [received + timedelta(hours=hours) for hours in wrong]
    people: list[dict[str, Any]] = [contact(f"c-{number}", phone=f"+4477009{number:05d}")]
    scan = scanned(order_id, by[1], event_id=f"{order_id}:scan")
    events = [
        completed(order_id, by[0], contacts=people),
        scan,
        repromised(order_id, by[2], by[2] + timedelta(days=1)),
        retracted(scan, by[3]),
        answered(order_id, by[4], f"c-{number}", arrival="late"),
    ]
    for minutes, place in enumerate(order):
        ingest(runtime, events[place], received_at=received + timedelta(minutes=minutes))
    with runtime.engine.begin() as connection:
        times = {"sent_at": received + timedelta(hours=sent), "delivered_at": received + timedelta(hours=delivered)}
        connection.execute(asks.update().where(asks.c.order_id == order_id).values(**times))
    view = find_order(services(runtime, Clock(received)), LOCAL, order_id)
    assert view is not None
    entries = list(view.timeline)
    assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
    last = received + timedelta(minutes=len(events), days=4)
    assert all(entry.at <= last for entry in entries)
    for cause, effect in (
        ("Reported as completed", "Claim: "),
        ("Scan:", "Scan retracted"),
        ("Asked", "Message to"),
        ("Will ask", "Message to"),
        ("Message to", "Message delivered"),
        (f"c-{number} (receiver) answers", "Claim and answer compared"),
    ):
        before, after = _at(entries, cause), _at(entries, effect)
        if before is not None and after is not None:
            assert before <= after, (cause, effect)
            titles = [entry.title for entry in entries]
            places = [next(n for n, title in enumerate(titles) if title.startswith(begin)) for begin in (cause, effect)]
            assert places[0] < places[1], (cause, effect, titles)
