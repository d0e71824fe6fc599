"""Bounds the memory of what several requests hold at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class ByteBudget:
    """So many bytes may be in use at the same time; who needs more waits, in the order of arrival."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0
        self._first = asyncio.Lock()  # fair: a large request is not overtaken by small ones for ever
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def use(self, size: int, timeout: float) -> AsyncIterator[None]:
        """Have `size` bytes for the duration of the block. One request alone may exceed the budget.

        Raises TimeoutError if they are not free within `timeout` seconds.
        """
        async with asyncio.timeout(timeout), self._first:
            while self._used and self._used + size > self._size:
                self._freed.clear()
                await self._freed.wait()
            self._used += size
        try:
            yield
        finally:
            self._used -= size
            self._freed.set()
