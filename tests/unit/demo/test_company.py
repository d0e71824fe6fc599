"""The simulated company: reproducible, valid for the intake, and embellishing as its story defines."""

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import cache

import phonenumbers
import pytest

from pipeline.demo.backfill import CHECKPOINT_KEY, Checkpoint, read_checkpoint, run
from pipeline.demo.comments import COMMENTS
from pipeline.demo.company import LEVELS, Company
from pipeline.demo.events import Timed, events_of
from pipeline.demo.people import (
    ASKS_NOTHING,
    DEPOTS,
    DISPUTED,
    MOVES_PROMISES,
    SCANS_EARLY,
    Customer,
    customers,
)
from pipeline.demo.story import EARLY_SCANS_FROM, MOVED_PROMISES_FROM, Story
from pipeline.domain.detection.segments import parse_levels
from pipeline.domain.events.contract import Event, FeedbackReceived, FeedbackRequested
from pipeline.domain.events.decoding import decode
from tests.support.running.demo_pipeline import Killed, Pipeline

DAYS = 90


@cache
def company() -> Company:
    return Company()


@cache
def stories() -> list[Story]:
    return [story for n in range(DAYS) for story in company().stories(n)]


@cache
def history() -> list[tuple[datetime, Event]]:
    """All events of the ninety days with the time of receipt, decoded."""
    timed_events = [timed for n in range(DAYS) for timed in company().day(n)]
    return [(at, decode(incoming.raw, incoming.topic, at)) for at, incoming in timed_events]


@cache
def answers() -> list[tuple[Story, FeedbackReceived]]:
    """The answers of all contacts that can be asked, if asked at the scan of the delivery."""
    found = []
    for story in stories():
        for person in story.people:
            if story.scanned is None or person.role in ("decision_maker", "gatekeeper"):
                continue
            timed = company().answer(FeedbackRequested(story.order_id, person.id), story.scanned)
            if timed is not None:
                found.append((story, decode(timed[1].raw, timed[1].topic).data))
    return found


def at(depot: str, first: int = 0, last: int = DAYS) -> list[Story]:
    days = {f"SO-{n:03d}" for n in range(first, last)}
    return [s for s in stories() if s.customer.depot.name == depot and s.order_id[:6] in days]


def share(found: Iterable[object]) -> float:
    values = [bool(value) for value in found]
    return sum(values) / len(values)


HONEST = [d.name for d in DEPOTS if d.name not in (SCANS_EARLY, MOVES_PROMISES, ASKS_NOTHING)]


def test_the_same_seed_gives_the_same_bytes_whatever_was_asked_before() -> None:
    one, other = Company(3), Company(3)
    other.day(40)
    for n in (0, 12, 5):
        assert one.day(n) == other.day(n)
    assert one.day(5) != Company(4).day(5)
    assert one.day(5) != Company(3, date(2026, 6, 2)).day(5)


def test_a_day_contains_the_events_received_on_it_in_order() -> None:
    for n in (0, 17, 89):
        times = [at for at, _ in company().day(n)]
        assert times == sorted(times)
        assert company().midnight(n) <= times[0] <= times[-1] < company().midnight(n + 1)


def test_no_event_of_an_order_is_lost_between_the_days() -> None:
    until = company().midnight(DAYS)
    expected = Counter(i.raw for s in stories() for at, i in events_of(s) if at < until)
    assert Counter(i.raw for n in range(DAYS) for _, i in company().day(n)) == expected


def test_ninety_days_are_a_company_of_the_promised_size() -> None:
    assert 9_500 < len(stories()) < 12_500
    assert len(customers(7)) == 219
    assert {len(customer.people) for customer in customers(7)} == {2, 3, 4}
    for level in parse_levels(LEVELS):
        values = {event.data.dimensions[level.name] for _, event in history() if event.type == "order.completed"}
        assert 3 < len(values) <= level.capacity
    assert {event.type for _, event in history()} == {
        "order.completed",
        "order.repromised",
        "delivery.updated",
    }


def test_every_phone_is_valid_fictional_and_of_one_person() -> None:
    people = [person for customer in customers(7) for person in customer.people]
    phones = [person.phone for person in people if person.phone is not None]
    fictional = ("+4917139200", "+49176040690", "+4670174", "+442079460", "+33199")
    assert len(phones) == len(set(phones)) > 300
    for phone in phones:
        assert phonenumbers.is_valid_number(phonenumbers.parse(phone))
        assert phone.startswith(fictional)
    assert all(person.email.endswith(("@example.com", "@example.org")) for person in people)
    assert 0 < sum(not person.consent for person in people) < 60
    assert 0 < sum(person.phone is None for person in people) < 30
    assert {person.language for person in people} == set(COMMENTS)


def test_honest_depots_record_what_happened() -> None:
    honest = [story for name in HONEST for story in at(name)]
    assert not any(story.scanned_early for story in honest)
    assert 0.045 < share(story.late for story in honest) < 0.07
    assert 0.045 < share(story.claimed_late for story in honest) < 0.065
    moved_late = [s for s in honest if s.move is not None and s.move.at > s.promised]
    assert len(moved_late) < 0.06 * sum(s.late for s in honest)


def test_one_depot_scans_before_the_goods_arrive_from_a_day_on() -> None:
    before, since = at(SCANS_EARLY, last=EARLY_SCANS_FROM), at(SCANS_EARLY, EARLY_SCANS_FROM)
    assert not any(story.scanned_early for story in before)
    assert 0.23 < share(story.scanned_early for story in since) < 0.31
    for story in since:
        if story.scanned_early:
            assert story.scanned is not None
            assert story.arrived is not None
            assert story.arrived - story.promised >= timedelta(hours=3)
            assert timedelta(0) < story.promised - story.scanned < timedelta(hours=12)
    assert share(story.claimed_late for story in since) < 0.04 < 0.2 < share(story.late for story in since)


def test_one_depot_moves_missed_promises_from_a_day_on() -> None:
    missed = [s for s in at(MOVES_PROMISES, MOVED_PROMISES_FROM) if s.scanned and s.late]
    rescued = [s for s in missed if s.move and s.scanned and s.promised < s.move.at < s.scanned <= s.move.promised]
    assert len(rescued) > 0.8 * len(missed) > 80
    assert share(s.claimed_late for s in at(MOVES_PROMISES, MOVED_PROMISES_FROM)) < 0.04
    before = [s for s in at(MOVES_PROMISES, last=MOVED_PROMISES_FROM) if s.late]
    assert share(s.move is not None for s in before) < 0.2


def test_one_depot_names_no_contact_on_its_problem_orders() -> None:
    def silent(story: Story) -> bool:
        return not any(person.phone for person in story.people)

    orders = at(ASKS_NOTHING)
    assert share(silent(s) for s in orders if s.late) > 0.8
    assert share(silent(s) for s in orders if not s.late) < 0.08
    elsewhere = [s for name in HONEST for s in at(name)]
    assert share(silent(s) for s in elsewhere if s.late) < 0.1


def test_customers_report_what_they_experienced() -> None:
    reports = [(s, a) for s, a in answers() if not s.customer.disputes]
    assert (
        0.4
        < len(answers())
        / sum(bool(p.role in ("receiver", "user", "purchaser")) for s in stories() if s.scanned for p in s.people)
        < 0.5
    )
    on_time = [a for s, a in reports if not s.late]
    late = [(s, a) for s, a in reports if s.late]
    assert 0.025 < share(a.arrival != "on_time" for a in on_time) < 0.045
    assert share(a.arrival != "on_time" for _, a in late) > 0.85
    assert 0.01 < share(a.condition for _, a in reports) < 0.035
    contented = [a.score.value for a in on_time if a.score and a.arrival == "on_time" and not a.condition]
    waited = [a.score.value for _, a in late if a.score and a.arrival != "on_time"]
    assert sum(contented) / len(contented) > 8 > 5.5 > sum(waited) / len(waited)


def test_contacts_of_late_orders_reply_more_often() -> None:
    asked = Counter(
        s.late
        for s in stories()
        if s.scanned
        for p in s.people
        if p.role in ("receiver", "user", "purchaser") and not s.customer.disputes
    )
    answered = Counter(s.late for s, _ in answers() if not s.customer.disputes)
    ratio = (answered[True] / asked[True]) / (answered[False] / asked[False])
    assert 1.25 < ratio < 1.6


def test_stated_arrivals_reveal_early_scans() -> None:
    def early(depots: Iterable[str], first: int) -> float:
        days = {s.order_id for name in depots for s in at(name, first)}
        stated = [(s, a) for s, a in answers() if a.arrived_at is not None and s.order_id in days]
        return share(
            a.arrived_at - s.scanned > timedelta(hours=2)
            for s, a in stated
            if a.arrived_at is not None and s.scanned is not None
        )

    assert early(HONEST, 0) < 0.02
    assert early([SCANS_EARLY], EARLY_SCANS_FROM) > 0.3


def test_one_customer_of_an_honest_depot_is_never_satisfied() -> None:
    [disputing] = [customer for customer in customers(7) if customer.disputes]
    assert disputing.depot.name == DISPUTED
    arrivals = [a.arrival for s, a in answers() if s.customer.id == disputing.id]
    assert len(arrivals) > 50
    assert set(arrivals) == {"late"}


def test_an_answer_never_precedes_its_question_nor_reports_the_future() -> None:
    for story in stories()[::7]:
        for person in story.people:
            asked = story.completed + timedelta(hours=1)
            timed = company().answer(FeedbackRequested(story.order_id, person.id), asked)
            if timed is not None:
                event = decode(timed[1].raw, timed[1].topic)
                assert timed[0] == event.time == event.data.answered_at > asked
                if event.data.arrived_at is not None:
                    assert event.data.arrived_at <= event.time


def test_answers_do_not_depend_on_the_order_of_questions() -> None:
    story = stories()[500]
    request = FeedbackRequested(story.order_id, story.people[0].id)
    assert Company().answer(request, story.completed) == company().answer(request, story.completed)


@pytest.mark.parametrize("order_id", ["SO-001-999", "SO-1", "X-001-001", "", "SO--1-1", "SO-²-1"])
def test_there_is_no_answer_about_an_unknown_order(order_id: str) -> None:
    assert company().answer(FeedbackRequested(order_id, "C-001-1"), company().midnight(1)) is None


def test_the_events_are_as_noisy_as_those_of_a_real_company() -> None:
    known: set[str] = set()
    seen: Counter[tuple[str, str]] = Counter()
    ahead, backwards, corrected = 0, 0, 0
    latest: dict[str, datetime] = {}
    for _, event in history():
        seen[event.source, event.id] += 1
        order = event.data.order_id
        if event.type == "order.completed":
            known.add(order)
            corrected += event.id.endswith(":corrected")
        elif event.type == "delivery.updated":
            ahead += order not in known and event.data.status == "delivered"
            backwards += event.time < latest.get(order, event.time)
            latest[order] = max(event.time, latest.get(order, event.time))
    assert 10 < ahead < 200
    assert 30 < backwards < 1_000
    assert 10 < corrected < 100
    assert 20 < sum(times > 1 for times in seen.values()) < 300
    assert 10 < sum(story.scanned is None for story in stories()) < 80


def drive(deaths: Iterable[int] = (), days: int = 6) -> tuple[Pipeline, int]:
    """Run to the end, with a restart and a new company after every death. Returns the number of deaths, too."""
    pipeline, died = Pipeline(deaths), 0
    while True:
        try:
            run(pipeline, Company(), days)
        except Killed:
            died += 1
        else:
            return pipeline, died


def test_kills_change_nothing() -> None:
    whole, _ = drive()
    replies = [entry for entry in whole.journal if entry[1] == "sms/simulated"]
    assert len(replies) > 50
    for deaths in ([400], [1_000, 1_001, 1_800, 2_300], range(150, 2_600, 97)):
        killed, died = drive(deaths)
        assert died == len(list(deaths))
        assert killed.journal == whole.journal
        assert killed.requests == whole.requests
        assert killed.values == whole.values


def test_a_restart_between_blocks_sends_nothing_twice() -> None:
    whole, _ = drive()
    parted = Pipeline()
    for days in range(1, 7):
        run(parted, Company(), days)
    assert parted.journal == whole.journal
    assert parted.dropped == whole.dropped


def test_a_finished_run_started_again_does_nothing() -> None:
    pipeline, _ = drive(days=2)
    before = list(pipeline.journal)
    run(pipeline, Company(), 2)
    assert pipeline.journal == before


def test_progress_counts_the_blocks() -> None:
    calls: list[tuple[int, int]] = []
    run(Pipeline(), Company(), 1, lambda done, total: calls.append((done, total)))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_reply_comes_in_a_block_after_its_question() -> None:
    """Also for an immediate answer: its own time is kept, after the end of its block."""
    pipeline, _ = drive()
    positions = {order: position for position, (_, source, order) in enumerate(pipeline.journal) if source == "asked"}
    asked = {request.order_id: at for _, at, request in pipeline.requests}
    for position, (at, source, name) in enumerate(pipeline.journal):
        if source == "sms/simulated":
            order = name.split(":")[0]
            assert position > positions[order]
            assert at > asked[order]


def test_the_checkpoint_is_read_as_it_was_written() -> None:
    assert read_checkpoint(None) == Checkpoint(0, 0, 0)
    assert read_checkpoint(Checkpoint(7, 20, 31).encode()) == Checkpoint(7, 20, 31)
    pipeline, _ = drive(days=1)
    assert read_checkpoint(pipeline.values[CHECKPOINT_KEY]).block == 4


def test_customers_have_distinct_names_and_ids() -> None:
    found: tuple[Customer, ...] = customers(7)
    assert len({customer.id for customer in found}) == len({customer.name for customer in found}) == 219


def test_a_day_has_the_events_that_the_backfill_expects() -> None:
    timed: Timed = company().day(0)[0]
    assert timed[0].utcoffset() == timedelta(0)
    assert timed[1].topic in ("orders", "deliveries")
