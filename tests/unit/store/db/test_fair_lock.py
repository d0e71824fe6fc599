"""The fair lock is acquired in the order of the requests."""

import threading

from pipeline.store.db.fair_lock import FairLock
from tests.support.limits import PATIENCE


def until(lock: FairLock, writers: int) -> None:
    """Block until this number of threads waits for the lock."""
    ticking = threading.Event()
    while lock.waiting < writers:
        ticking.wait(0.001)


def test_threads_get_the_lock_in_the_order_of_asking_even_if_they_ask_again() -> None:
    lock, order = FairLock(), list[int]()
    assert lock.acquire(PATIENCE)

    def _acquire(n: int) -> None:
        assert lock.acquire(PATIENCE)
        order.append(n)
        lock.release()

    threads = [threading.Thread(target=_acquire, args=(n,)) for n in range(8)]
    for n, thread in enumerate(threads, 1):
        thread.start()
        until(lock, n)
    lock.release()
    assert lock.acquire(PATIENCE), "a thread that just released it waits behind all others"
    assert order == list(range(8))
    lock.release()
    for thread in threads:
        thread.join(PATIENCE)


def test_a_thread_that_times_out_leaves_the_queue() -> None:
    lock = FairLock()
    assert lock.acquire(PATIENCE)
    assert not lock.acquire(0.001)
    assert lock.waiting == 0
    lock.release()
    assert lock.acquire(0)
