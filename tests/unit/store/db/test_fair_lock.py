"""A lock given in the order in which it was asked for."""

import threading

from pipeline.store.db.fair_lock import Turns

SECONDS = 30  # until a test gives up


def until(turns: Turns, writers: int) -> None:
    """Wait until so many wait."""
    ticking = threading.Event()
    while turns.waiting < writers:
        ticking.wait(0.001)


def test_the_turn_comes_in_the_order_of_asking_also_for_those_who_ask_again() -> None:
    turns, order = Turns(), list[int]()
    assert turns.take(SECONDS)

    def _take(n: int) -> None:
        assert turns.take(SECONDS)
        order.append(n)
        turns.pass_on()

    threads = [threading.Thread(target=_take, args=(n,)) for n in range(8)]
    for n, thread in enumerate(threads, 1):
        thread.start()
        until(turns, n)
    turns.pass_on()
    assert turns.take(SECONDS), "whoever just had it waits behind all others"
    assert order == list(range(8))
    turns.pass_on()
    for thread in threads:
        thread.join(SECONDS)


def test_whoever_gives_up_leaves_the_queue() -> None:
    turns = Turns()
    assert turns.take(SECONDS)
    assert not turns.take(0.001)
    assert turns.waiting == 0
    turns.pass_on()
    assert turns.take(0)
