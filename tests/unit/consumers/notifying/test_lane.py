"""How many notices are claimed ahead for a receiver."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from pipeline.consumers.notifying.lane import Lane


def test_a_receiver_that_accepts_has_ever_more_claimed_ahead_and_one_that_fails_only_what_is_sent_at_once() -> None:
    lane = Lane(8)
    assert lane.room() == 8
    for _ in range(20):
        lane.claim(1)
        lane.finish(1, delivered=True)
    assert lane.room() == 256
    lane.claim(1)
    lane.finish(1, delivered=False)
    assert lane.room() == 8


def test_claims_wait_until_half_of_the_claimed_ones_are_sent() -> None:
    lane = Lane(8)
    lane.claim(8)
    assert lane.room() == 0
    lane.finish(3, delivered=False)
    assert lane.room() == 0
    lane.finish(1, delivered=False)
    assert lane.room() == 4


def test_attempts_at_the_same_time_are_limited() -> None:
    assert [Lane(n).free.locked() for n in (1, 8)] == [False, False]
    lane = Lane(1)
    asyncio.run(lane.free.acquire())
    assert lane.free.locked()


@given(st.integers(1, 64), st.lists(st.tuples(st.booleans(), st.integers(1, 300)), max_size=60))
def test_whatever_happens_a_lane_whose_notices_are_all_finished_claims_again(
    concurrency: int, attempts: list[tuple[bool, int]]
) -> None:
    lane = Lane(concurrency)
    for delivered, n in attempts:
        lane.claim(n)
        lane.finish(n, delivered)
        assert concurrency <= lane.room() <= max(256, concurrency)
