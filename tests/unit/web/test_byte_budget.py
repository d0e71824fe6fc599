"""How much several requests may hold at once."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.web.http.byte_budget import ByteBudget
from tests.support.limits import PATIENCE

SIZE = 10


@given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 3), st.booleans()), max_size=30))
def test_no_more_than_the_budget_is_used_and_everybody_has_a_turn(requests: list[tuple[int, int, bool]]) -> None:
    used, begun = 0, list[int]()

    async def _request(budget: ByteBudget, number: int, size: int, steps: int, fails: bool) -> None:
        nonlocal used
        try:
            async with budget.use(size, PATIENCE):
                begun.append(number)
                used += size
                assert used <= SIZE or used == size, "only one that is alone may exceed it"
                for _ in range(steps):
                    await asyncio.sleep(0)
                used -= size
                if fails:
                    raise KeyError
        except KeyError:
            pass

    async def _all() -> None:
        budget = ByteBudget(SIZE)
        await asyncio.gather(*(_request(budget, number, *each) for number, each in enumerate(requests)))

    asyncio.run(_all())
    assert begun == list(range(len(requests))), "in the order of arrival"


def test_who_waits_too_long_or_gives_up_leaves_the_others_their_turn() -> None:
    async def _run() -> None:
        budget = ByteBudget(SIZE)
        async with budget.use(SIZE, PATIENCE):
            with pytest.raises(TimeoutError):
                async with budget.use(1, 0.01):
                    raise AssertionError
            waiting = asyncio.create_task(budget.use(1, PATIENCE).__aenter__())
            await asyncio.sleep(0)
            waiting.cancel()
        async with budget.use(SIZE, PATIENCE):
            pass

    asyncio.run(_run())
