"""No source's clock is trusted: promises rank by receipt, and no event counts as later than its receipt."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.events.contract import Event
from pipeline.domain.events.decoding import decode
from pipeline.domain.orders.claims import claim_of
from pipeline.domain.orders.facts import Facts, contact_of
from tests.support.builders import MONDAY, at, completed, contact, repromised, scanned
from tests.support.facts import apply
from tests.support.streams import stream

A_LIFE = timedelta(days=50_000)


def received(place: int, raw: bytes, hours: float | None = None) -> Event:
    """An event that was received as number `place`, by default so many hours after Monday."""
    return decode(raw, None, at(hours=place if hours is None else hours))._replace(place=place)


def facts_of(*raws: bytes) -> Facts:
    """The facts of events that were received one hour after the other, the first one on Monday."""
    facts = Facts()
    for place, raw in enumerate(raws):
        apply(facts, received(place, raw))
    return facts


def deadlines(facts: Facts) -> list[float]:
    return [(promise.by_when - at()) / timedelta(hours=1) for promise in facts.promises]


def moved(to: float, time: datetime = MONDAY, event_id: str = "") -> bytes:
    return repromised("SO-1", time, at(hours=to), event_id or f"moved to {to}")


def order(promised: float | None = None, first: float | None = None, event_id: str = "", **more: Any) -> bytes:
    stated: dict[str, Any] = {
        "promised_at": None if promised is None else at(hours=promised),
        "first_promised_at": None if first is None else at(hours=first),
    }
    return completed(event_id=event_id, **stated, **more)


# --- promises ---------------------------------------------------------------------------------------------------------


def test_a_promise_that_is_set_back_to_1970_is_not_the_first_one() -> None:
    facts = facts_of(order(20), moved(30, datetime(1970, 1, 1, tzinfo=UTC)))
    assert deadlines(facts) == [20, 30]
    assert facts.moved_at == at(hours=1), "moved when we received it"


@pytest.mark.parametrize(
    ("raws", "expected"),
    [
        ([order(20), moved(30), moved(40)], [20, 30, 40]),
        ([moved(30), order(20)], [20, 30]),
        ([moved(30), moved(40), order(20)], [20, 30, 40]),
        ([moved(30), moved(40), order(40)], [30, 40, 40]),  # the order states the current promise
        ([moved(30), moved(40), order(30)], [30, 30, 40]),
        ([moved(30), order(20), moved(40)], [20, 30, 40]),
        ([moved(30), order(40, first=20)], [20, 30, 40]),
        ([order(40, first=20), moved(50)], [20, 40, 50]),
        ([moved(30), order(first=20)], [20, 30]),
        ([moved(30), order()], [30]),
        ([order(20), order(40, event_id="again")], [20, 40]),
        ([order(20), order(40, first=90, event_id="again")], [20, 40]),  # too late to be the first one
        ([order(), moved(30), order(40, first=90, event_id="again")], [30, 40]),
        ([order(), order(40, first=20, event_id="again")], [20, 40]),  # none was received before
        ([moved(30), order(), order(40, first=20, event_id="again")], [30, 40]),
        ([order(20, first=10), order(40, first=90, event_id="again")], [10, 20, 40]),
    ],
)
def test_promises_rank_by_receipt_and_the_order_says_which_was_the_first(
    raws: list[bytes], expected: list[float]
) -> None:
    assert deadlines(facts_of(*raws)) == expected
    for seed in range(3):
        shuffled = [received(place, raw) for place, raw in enumerate(raws)]
        Random(seed).shuffle(shuffled)
        facts = Facts()
        for event in shuffled:
            apply(facts, event)
        assert facts == facts_of(*raws)


def test_the_first_promise_may_be_a_date() -> None:
    facts = facts_of(completed(first_promised_at="2026-03-02", timezone="Europe/Paris", promised_at=None))
    assert facts.first_promise == datetime(2026, 3, 2, 22, 59, 59, 999999, tzinfo=UTC)


_HOURS = st.integers(-100, 900)
_TIMES = st.one_of(st.just(datetime(1970, 1, 1, tzinfo=UTC)), _HOURS.map(lambda hours: at(hours=hours)))
_STATEMENTS = st.one_of(
    st.builds(lambda to, time: ("moved", to, None, time), _HOURS, _TIMES),
    st.builds(lambda to, first, time: ("order", to, first, time), st.none() | _HOURS, st.none() | _HOURS, _TIMES),
)


@given(said=st.lists(_STATEMENTS, max_size=8), ties=st.booleans())
def test_the_first_promise_never_changes_once_the_order_was_received(said: list[Any], ties: bool) -> None:
    """Whatever times the sources give, and whatever they state later."""
    facts, first, known = Facts(), None, False
    for place, (kind, to, original, time) in enumerate(said):
        raw = moved(to, time, f"{place}") if kind == "moved" else order(to, original, event_id=f"{place}")
        apply(facts, received(place, raw, hours=0 if ties else place))
        if known and first is not None:
            assert facts.first_promise == first
        first, known = facts.first_promise, facts.known


# --- the order of processing ------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**32), shuffle=st.randoms(use_true_random=False))
def test_facts_are_the_same_in_any_order_of_processing_with_receipts_fixed(seed: int, shuffle: Random) -> None:
    """Live events: late, with clocks that are wrong in both directions, several received at the same moment."""
    rng = Random(seed)
    told = [raw for _, raw in stream(seed, orders=1, historic=False) if b'"feedback' not in raw]
    shuffle.shuffle(told)  # the order of receipt has nothing to do with that of the times
    events = [received(place, raw, hours=place // 2 + rng.randrange(90)) for place, raw in enumerate(told)]
    in_order, shuffled = Facts(), Facts()
    for event in events:
        apply(in_order, event)
    shuffle.shuffle(events)
    for event in events:
        apply(shuffled, event)
    assert shuffled == in_order
    assert claim_of(shuffled) == claim_of(in_order)
    if in_order.known:
        assert shuffled.contacts == in_order.contacts


# --- revisions and scans ----------------------------------------------------------------------------------------------


def test_a_clock_that_runs_ahead_does_not_win_over_a_correction() -> None:
    facts = facts_of(
        completed(time=at(hours=0.15), dimensions={"depot": "wrong"}),
        completed(time=at(hours=0.1), event_id="correction", dimensions={"depot": "right"}),
    )
    assert facts.revisions[0].time == at(), "it counts as said when it was received"
    assert facts.latest.dimensions == {"depot": "right"}


def test_an_older_revision_that_comes_late_does_not_win() -> None:
    facts = facts_of(
        completed(time=at(hours=-1), event_id="correction", dimensions={"depot": "right"}),
        completed(time=at(hours=-2), dimensions={"depot": "wrong"}),
    )
    assert facts.latest.dimensions == {"depot": "right"}


def test_revisions_of_one_moment_stand_in_the_order_of_receipt() -> None:
    raws = [completed(event_id=name, dimensions={"depot": name}) for name in ("b", "c", "a")]
    assert [revision.id for revision in facts_of(*raws).revisions] == ["b", "c", "a"]


@pytest.mark.parametrize("ahead", [timedelta(minutes=3), timedelta(hours=5), A_LIFE])
def test_a_scan_that_is_dated_ahead_counts_at_its_receipt_and_keeps_what_its_source_stated(ahead: timedelta) -> None:
    facts = facts_of(order(20), scanned(time=at(hours=1), at=at(hours=1) + ahead))
    assert claim_of(facts).delivered_at == at(hours=1)
    assert facts.scans[0].stated_at == at(hours=1) + ahead
    true = facts_of(order(20), scanned(time=at(hours=1), at=at(hours=0.5)))
    assert (true.scans[0].at, true.scans[0].stated_at) == (at(hours=0.5), None)


def test_an_order_is_not_completed_after_its_receipt() -> None:
    facts = facts_of(completed(completed_at=at() + A_LIFE, timezone="UTC"))
    assert facts.day() == at().toordinal()


# --- consent ----------------------------------------------------------------------------------------------------------


def consents(*words: tuple[float, dict[str, bool] | None]) -> bool:
    """Whether Ana consents to SMS after these revisions in the order of receipt: hours of the source, and consent."""
    raws = [
        completed(time=at(hours=hour), event_id=f"{n}", contacts=[contact(consent=consent)])
        for n, (hour, consent) in enumerate(words)
    ]
    ana = contact_of(facts_of(*raws), "ana")
    assert ana is not None
    return ana.consent is not None and ana.consent.sms


YES, NO = {"sms": True}, {"sms": False}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([(-5, YES), (-4, NO)], False),
        ([(-4, YES), (-5, NO)], False),  # withdrawn by a source whose clock is behind
        ([(-4, NO), (-5, YES)], False),  # an older consent comes late
        ([(-5, NO), (-4, YES)], True),  # given again: later by receipt and by time
        ([(-5, None), (-4, YES)], True),
        ([(-4, YES), (-5, None)], True),  # no record withdraws nothing
        ([(-5, YES), (-4, None)], False),  # the current revision has no record
        ([(-3, YES), (-4, NO), (-2, YES)], True),
        ([(-2, YES), (-4, NO), (-3, YES)], True),
        ([(-2, YES), (-3, NO), (-4, YES)], False),
        ([(-3, YES), (-4, {"email": True})], False),
    ],
)
def test_consent_goes_by_the_strictest_word(words: list[tuple[float, dict[str, bool] | None]], expected: bool) -> None:
    assert consents(*words) is expected


@given(hours=st.lists(st.integers(-9, -1), min_size=1, max_size=5))
def test_whoever_withdrew_last_is_not_asked_whatever_the_clocks_say(hours: list[int]) -> None:
    assert not consents(*((hour, YES) for hour in hours[:-1]), (hours[-1], NO))


# --- what earlier versions stored -------------------------------------------------------------------------------------


def test_what_earlier_versions_stored_stays_as_it_was_and_ranks_before_everything_received_later() -> None:
    stored = (
        '{"revisions":[["2026-03-02T09:00:00Z","erp","1",{"id":"A-1"},"2026-03-02T09:00:00Z",[],{},'
        '[{"sku":"a","ordered":0.8,"delivered":0.1}],1]],'
        '"promises":[["2026-03-01T09:00:00Z","erp","m","2026-03-05T12:00:00Z","2026-03-05T12:00:00Z","b","r"],'
        '["2026-03-02T09:00:00Z","erp","1","2026-03-02T12:00:00Z","2026-03-02T12:00:00Z"]],'
        '"scans":[["2026-03-02T10:00:00Z","tms","s","delivered","2099-01-01T00:00:00Z",null,'
        '[{"sku":"a","delivered":0.7}]]]}'
    )
    facts = msgspec.json.decode(stored, type=Facts)
    assert deadlines(facts) == [75, 3]
    apply(facts, received(7, moved(90, at(days=-9)), hours=48))
    assert deadlines(facts) == [75, 3, 90]
    apply(facts, received(8, scanned(time=at(hours=49), lines=[{"sku": "a", "delivered": 0.8}]), hours=49))
    claim = claim_of(facts)
    assert (claim.delivered_at, claim.in_full) == (at(hours=49), True)
    again = msgspec.json.decode(msgspec.json.Encoder(decimal_format="number").encode(facts), type=Facts)
    assert again == facts
