"""API keys of systems that send events. The valid keys are cached for a second."""

import asyncio
import binascii
import hmac
import time
from base64 import b64decode
from collections.abc import Iterator, Sequence
from typing import Any

from litestar import Request

from pipeline.store.db.engine import reading
from pipeline.store.people import api_keys
from pipeline.store.people.api_keys import ApiKey
from pipeline.web.http.bearer import bearer_token
from pipeline.web.http.problems import Problem
from pipeline.web.http.rate_limit import FailedAttempts
from pipeline.web.http.services import Services

_REVOKED_SECONDS = 1.0  # a revoked key may work that much longer
_BASIC = "basic "
_CREATED_SECONDS = 0.05  # a new key may be unknown that long: invalid keys read the database 20 times a second at most


class Keys:
    """Checks API keys. Unknown, revoked and missing keys get the same response."""

    def __init__(self, services: Services) -> None:
        self._engine = services.store.engine
        self._known: Sequence[ApiKey] = ()
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()
        self._failed = FailedAttempts(services.settings.max_wrong_keys_per_minute)
        self._in_query = services.settings.accept_key_in_query

    async def check(self, request: Request[Any, Any, Any]) -> ApiKey:
        """The API key of a request. Raises Problem 401, or 429 after too many failed attempts from one address."""
        presented = [*self._presented(request)]
        for one in presented:
            key = await self._find(one)
            if key is not None:
                return key
        if presented and (wait := self._failed.count(request)):  # without a key nothing was guessed
            raise Problem(429, "too many invalid keys from this address", headers={"Retry-After": str(wait)})
        raise Problem(
            401,
            "a valid API key is required: Authorization: Bearer KEY",
            headers={"WWW-Authenticate": 'Bearer realm="unvarnished"'},
        )

    def _presented(self, request: Request[Any, Any, Any]) -> Iterator[str]:
        """What may be an API key, in the headers and the query where senders can put one."""
        authorization = request.headers.get("authorization", "")
        found = [bearer_token(authorization), _basic_password(authorization), request.headers.get("x-api-key")]
        if self._in_query:
            found.append(request.query_params.get("access_token"))
        return (key.strip() for key in found if key)

    async def _find(self, key: str) -> ApiKey | None:
        digest = api_keys.digest_of(key)
        for age in (_REVOKED_SECONDS, _CREATED_SECONDS):
            if time.monotonic() - self._read_at > age:
                await self._read(self._read_at)
            found = [
                key for key in self._known if hmac.compare_digest(key.digest, digest)
            ]  # compares all, so the time reveals nothing
            if found:
                return found[0]
        return None

    async def _read(self, seen: float) -> None:
        async with self._reading:
            if self._read_at == seen:  # not read meanwhile by another request
                self._known = await asyncio.to_thread(self._load)
                self._read_at = time.monotonic()

    def _load(self) -> list[ApiKey]:
        with reading(self._engine) as connection:
            return api_keys.valid_keys(connection)


def _basic_password(authorization: str) -> str | None:
    """The password of Basic authentication, or the user name if there is no password; None: another scheme."""
    if authorization[: len(_BASIC)].lower() != _BASIC:
        return None
    try:
        user, _, password = b64decode(authorization[len(_BASIC) :].strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return password or user
