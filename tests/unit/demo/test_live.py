"""The live demo: stories moved to the present, blocks that are sent until they are accepted, and answers."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from urllib.parse import parse_qsl, urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.demo.answering import Answering, form_fields
from pipeline.demo.backfill import Checkpoint, days_before_live
from pipeline.demo.company import LIVE_FROM, Company, is_live
from pipeline.demo.deliveries import BLOCK_KEY, FASTEST, SHORTEST, Block, Deliveries, events_of_block, next_block
from pipeline.demo.events import events_of
from pipeline.demo.http_client import HttpClient, Refused
from pipeline.demo.installation_view import InstallationView
from pipeline.demo.live import DEMO_SETTINGS
from pipeline.demo.replies import reply
from pipeline.demo.story import Story
from pipeline.domain.events.contract import FeedbackRequested
from pipeline.domain.events.decoding import decode
from pipeline.domain.orders.claims import claim_of
from pipeline.domain.orders.facts import Facts
from pipeline.settings import ConfigurationError, Settings
from pipeline.web.http.forms import form_fields as fields_of
from pipeline.web.public.form.submission import validate
from tests.support.limits import PATIENCE
from tests.support.running.demo_pipeline import Pipeline

NOW = datetime(2026, 11, 24, 15, 30, tzinfo=UTC)


@cache
def company() -> Company:
    return Company()


@cache
def stories() -> list[Story]:
    """Every kind of story: some hundred orders include requested days, moved promises and corrections."""
    return [story for day in range(LIVE_FROM, LIVE_FROM + 4) for story in company().stories(day)]


def claim(story: Story) -> tuple[bool | None, ...]:
    """The claim that follows from the events of a story."""
    facts = Facts()
    for _, incoming in events_of(story):
        event = decode(incoming.raw)
        apply = {
            "order.completed": facts.apply_completed,
            "order.repromised": facts.apply_repromised,
            "delivery.updated": facts.apply_scan,
        }
        apply[event.type](event)
    stated = claim_of(facts)
    return stated.on_time_first, stated.on_time_latest, stated.on_time_requested, stated.in_full


# Across every change of the clocks, and by any amount of time.
@given(story=st.sampled_from(range(400)), by=st.timedeltas(timedelta(days=-6_000), timedelta(days=1_000)))
def test_a_story_moved_in_time_stays_the_same(story: int, by: timedelta) -> None:
    original = stories()[story]
    shifted = original.shifted(by)
    assert claim(shifted) == claim(original)
    for what in ("late", "claimed_late", "scanned_early"):
        assert getattr(shifted, what) == getattr(original, what)
    assert shifted.last == original.last + by
    assert [decode(one.raw).id for _, one in events_of(shifted)] == [
        decode(one.raw).id for _, one in events_of(original)
    ]


def test_the_moved_stories_are_of_every_kind() -> None:
    found = stories()[:400]
    assert {isinstance(story.requested, str) for story in found} == {True, False}
    for kind in ("move", "corrected", "scanned", "late", "scanned_early", "claimed_late"):
        assert {bool(getattr(story, kind)) for story in found} == {True, False}, kind


def test_the_last_event_of_a_live_order_happens_now() -> None:
    block = Block(LIVE_FROM, 0, 100, 0, NOW)
    newest: dict[str, datetime] = {}
    for event in map(decode, events_of_block(company(), block)):
        newest[event.data.order_id] = max(event.time, newest.get(event.data.order_id, event.time))
    assert len(newest) == 100
    assert set(newest.values()) == {NOW}


def test_blocks_follow_each_other_through_the_days_without_a_gap() -> None:
    block, seen = None, list[str]()
    while block is None or block.day < LIVE_FROM + 2:
        block = next_block(company(), block, 7, NOW)
        assert block.before == len(seen)
        seen += [story.order_id for story in company().stories(block.day)[block.number : block.number + block.size]]
        assert block.sent == len(seen)
    assert seen == [story.order_id for story in stories()[: len(seen)]]
    assert all(is_live(order_id) for order_id in seen)


def test_the_simulated_past_has_no_live_order() -> None:
    assert not any(is_live(story.order_id) for story in company().stories(3_650))
    assert not is_live("OUT-5000-001")


def test_the_fastest_pace_fits_into_a_request() -> None:
    most = round(FASTEST * SHORTEST / 60)
    sizes = [len(events_of_block(company(), Block(LIVE_FROM, number, most, 0, NOW))) for number in range(0, 100, most)]
    assert max(sizes) < Settings().max_events_per_request / 2


# --- sending ---------------------------------------------------------------------------------------------------------


class RecordingClient(HttpClient):
    """A client that records all blocks, and accepts or rejects them as scripted."""

    def __init__(self, answers: Iterator[bool], enough: int) -> None:
        super().__init__("http://127.0.0.1:1", "key")
        self.blocks: list[Sequence[bytes]] = []
        self.done = threading.Event()
        self._answers = answers
        self._enough = enough

    def send_events(self, events: Sequence[bytes]) -> bool:
        self.blocks.append(events)
        if len(self.blocks) >= self._enough:
            self.done.set()
        return next(self._answers, True)


@pytest.fixture
def deliver() -> Iterator[Callable[..., RecordingClient]]:
    """Deliver until the client received `enough` blocks, then stop as a process does."""
    running: list[Deliveries] = []

    def _deliver(
        kept: Pipeline, enough: int, *answers: bool, most: int | None = None, pace: float = 3_000
    ) -> RecordingClient:
        clock = iter(NOW + timedelta(seconds=n) for n in range(10_000))
        client = RecordingClient(iter(answers), enough)
        running.append(Deliveries(kept, Company(), client, pace, most, lambda: next(clock)))
        running[-1].start()
        assert client.done.wait(PATIENCE)
        running[-1].stop()
        assert running[-1].ended.exception(PATIENCE) is None
        return client

    yield _deliver
    for one in running:
        one.stop()


def test_a_rejected_block_is_sent_again_with_the_same_content(deliver: Callable[..., RecordingClient]) -> None:
    client = deliver(Pipeline(), 3, False, True)
    assert client.blocks[0] == client.blocks[1] != client.blocks[2]


def test_a_restart_sends_the_unacknowledged_block_and_then_the_next(
    deliver: Callable[..., RecordingClient],
) -> None:
    kept = Pipeline()
    first = deliver(kept, 1, *[False] * 1_000)
    stored = kept.values[BLOCK_KEY]
    again = deliver(kept, 2)
    assert again.blocks[0] == first.blocks[0]
    assert (
        msgspec.json.decode(kept.values[BLOCK_KEY], type=Block).before >= msgspec.json.decode(stored, type=Block).sent
    )
    assert not {decode(raw).id for raw in again.blocks[1]} & {decode(raw).id for raw in again.blocks[0]}


def test_the_limit_counts_the_deliveries_of_all_starts(deliver: Callable[..., RecordingClient]) -> None:
    kept = Pipeline()
    deliver(kept, 2, most=60)
    deliver(kept, 2, most=60)
    assert msgspec.json.decode(kept.values[BLOCK_KEY], type=Block).sent <= 60
    last = deliver(kept, 1, most=60)
    orders = {decode(raw).data.order_id for raw in last.blocks[-1]}
    assert msgspec.json.decode(kept.values[BLOCK_KEY], type=Block).sent == 60
    assert f"SO-{LIVE_FROM}-059" in orders


def test_a_permanent_rejection_ends_the_deliveries_with_an_error(caplog: pytest.LogCaptureFixture) -> None:
    class RejectingClient(HttpClient):
        def send_events(self, events: Sequence[bytes]) -> bool:
            raise Refused("v1 answered 401")

    running = Deliveries(Pipeline(), Company(), RejectingClient("http://127.0.0.1:1", "key"), 60, None, lambda: NOW)
    running.start()
    assert isinstance(running.ended.exception(PATIENCE), Refused)
    assert not running.alive
    assert "deliveries" in caplog.text


# --- the simulated past -----------------------------------------------------------------------------------------------


def test_every_day_up_to_yesterday_is_simulated_before_the_live_part() -> None:
    today = date(2026, 11, 24)
    assert days_before_live(date(2026, 8, 26), 90, Checkpoint(), today) == 90
    assert days_before_live(date(2026, 8, 26), 30, Checkpoint(), today) == 90, "restarted later"
    for start, days, stored in (
        (date(2026, 8, 26), 91, Checkpoint()),
        (date(2026, 8, 26), 90, Checkpoint(block=361)),
        (today, 1, Checkpoint()),
        (date(2010, 1, 1), 90, Checkpoint()),
    ):
        with pytest.raises(ConfigurationError):
            days_before_live(start, days, stored, today)


# --- answering -------------------------------------------------------------------------------------------------------


def test_the_form_fields_of_an_answer_agree_with_the_story() -> None:
    checked = 0
    for story in stories()[:200]:
        for person in story.people:
            timed = reply(7, story, person, FeedbackRequested(story.order_id, person.id), story.last)
            if timed is None:
                continue
            stated = decode(timed[1].raw).data
            body = urlencode(form_fields(stated, "x")).encode()
            filled = validate(fields_of(body, 60), lambda text: text)
            assert filled.errors == {}
            assert dict(parse_qsl(body.decode()))["submission"] == "x"
            assert filled.arrival == stated.arrival
            assert filled.goods == (tuple(stated.condition) or (("complete",) if stated.complete else ()))
            assert filled.score == (None if stated.score is None else str(stated.score.value))
            assert filled.comment == (stated.comment or "")
            checked += 1
    assert checked > 30


def test_most_questions_are_left_to_the_visitor() -> None:
    asked = [(s, p) for s in stories() for p in s.people if p.role in ("receiver", "user", "purchaser") and p.consent]
    answers = [reply(7, s, p, FeedbackRequested(s.order_id, p.id), s.last) for s, p in asked]
    assert 0.3 < sum(answer is not None for answer in answers) / len(asked) < 0.5


class Phones(InstallationView):
    """The live questions of one day, each on its phone. `by_hand`: contacts who answered by hand."""

    def __init__(self, by_hand: set[tuple[str, str]]) -> None:
        self.by_hand = by_hand
        people = [(s, p) for s in stories()[:20] for p in s.people if p.phone and p.role == "receiver"]
        self.asked = [FeedbackRequested(story.order_id, person.id) for story, person in people]
        self.scripted = {(r.order_id, r.contact_id) for r in self.asked if answer_to(r) is not None}

    def requests_after(self, seq: int) -> list[tuple[int, datetime, FeedbackRequested]]:
        return [(n, NOW, request) for n, request in enumerate(self.asked, 1) if n > seq]

    def answered(self, order_id: str, contact_id: str) -> bool:
        return (order_id, contact_id) in self.by_hand

    def text_about(self, order_id: str, number: str) -> str | None:
        return f"How was {order_id}? http://127.0.0.1:1/f/{order_id} STOP to end"


def answer_to(request: FeedbackRequested) -> object:
    asked = company().order_and_contact(request)
    assert asked is not None
    return reply(7, *asked, request, asked[0].last)


class Forms(HttpClient):
    """A client that accepts a form at its second submission; `done` is set once it accepted `enough` forms."""

    def __init__(self, enough: int) -> None:
        super().__init__("http://127.0.0.1:1", "")
        self.sent: list[tuple[str, Sequence[tuple[str, str]]]] = []
        self.done = threading.Event()
        self._enough = enough

    def submit_form(self, token: str, fields: Sequence[tuple[str, str]]) -> bool:
        again = (token, fields) in self.sent
        self.sent.append((token, fields))
        if len(self.sent) >= 2 * self._enough:
            self.done.set()
        return again


def test_contacts_who_answered_are_skipped_and_rejected_forms_are_sent_again() -> None:
    phones = Phones(set())
    phones.by_hand = set(sorted(phones.scripted)[:2])
    wanted = {order_id for order_id, _ in phones.scripted - phones.by_hand}
    forms = Forms(len(wanted))
    running = Answering(phones, Company(), forms, FASTEST)
    running.start()
    assert forms.done.wait(PATIENCE)
    running.stop()
    assert running.ended.exception(PATIENCE) is None
    assert len(wanted) > 2
    assert Counter(token for token, _ in forms.sent) == dict.fromkeys(wanted, 2)


def test_the_users_settings_apply_to_the_live_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNVARNISHED_QUIET_HOURS", "22:00-06:00")
    policy = Settings().with_defaults(**DEMO_SETTINGS).policy
    assert policy.quiet_from.hour == 22
    assert policy.contact_rest == timedelta(0)
