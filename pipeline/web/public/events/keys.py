"""Who may send events: holders of a key. The working keys are held in memory for a second."""

import asyncio
import hmac
import time
from collections.abc import Sequence
from typing import Any

from litestar import Request

from pipeline.store.db.engine import reading
from pipeline.store.people import api_keys
from pipeline.store.people.api_keys import ApiKey
from pipeline.web.http.problems import Problem
from pipeline.web.http.rate_limit import WrongGuesses
from pipeline.web.http.services import Services

_REVOKED_SECONDS = 1.0  # so long may a revoked key still work
_CREATED_SECONDS = 0.05  # so long may a new one not work yet: wrong keys read the database 20 times a second at most
_SCHEME = "bearer "


class Keys:
    """The keys of this installation. Wrong, revoked and missing ones look the same from outside."""

    def __init__(self, services: Services) -> None:
        self._engine = services.engine
        self._known: Sequence[ApiKey] = ()
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()
        self._wrong = WrongGuesses(services.settings.wrong_keys_a_minute)

    async def check(self, request: Request[Any, Any, Any]) -> ApiKey:
        """The key a request came with. Raises Problem: 401, or 429 after too many wrong ones from one address."""
        key = await self._find(request.headers.get("authorization", ""))
        if key is not None:
            return key
        if wait := self._wrong.count(request):
            raise Problem(429, "too many wrong keys from this address", headers={"Retry-After": str(wait)})
        raise Problem(
            401,
            "this needs a working API key: Authorization: Bearer KEY",
            headers={"WWW-Authenticate": 'Bearer realm="unvarnished"'},
        )

    async def _find(self, header: str) -> ApiKey | None:
        if header[: len(_SCHEME)].lower() != _SCHEME:
            return None
        digest = api_keys.digest_of(header[len(_SCHEME) :].strip())
        for age in (_REVOKED_SECONDS, _CREATED_SECONDS):
            if time.monotonic() - self._read_at > age:
                await self._read(self._read_at)
            found = [key for key in self._known if hmac.compare_digest(key.digest, digest)]  # always all of them
            if found:
                return found[0]
        return None

    async def _read(self, seen: float) -> None:
        async with self._reading:
            if self._read_at == seen:  # nobody else did meanwhile
                self._known = await asyncio.to_thread(self._load)
                self._read_at = time.monotonic()

    def _load(self) -> list[ApiKey]:
        with reading(self._engine) as connection:
            return api_keys.working(connection)
