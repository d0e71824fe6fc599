"""The links in questions: each opens one question to one person. An invalid link reveals nothing."""

import asyncio
import re
from collections.abc import Set
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

from anyio import to_thread
from litestar import Request
from sqlalchemy import Engine

from pipeline.domain.access.principal import SYSTEM
from pipeline.domain.asking.ask_states import hashed
from pipeline.store.asks import form_answers
from pipeline.store.asks.links import known_hashes, question_of
from pipeline.store.db.engine import reading
from pipeline.store.orders.orders import language_and_timezone
from pipeline.store.reads.answers import CurrentAnswer, current_answer, number_of_answers, opened_current
from pipeline.web.http.rate_limit import FailedAttempts
from pipeline.web.http.services import Services

SOURCE = "unvarnished/form"
MAX_ANSWERS = 20  # by one link, amendments included
VALID = timedelta(days=14)  # from the time the link was sent
_SHARED_SECONDS = 0.05  # between two reads for suspicious clients together: 20 a second at most
_TOKEN = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)  # 128 bits


class Link(NamedTuple):
    """The question that a token opens, and the current answer to it."""

    order_id: str
    contact_id: str
    purpose: str
    token_hash: str
    language: str | None
    timezone: str | None
    current: CurrentAnswer | None


class Closed(NamedTuple):
    """A link that does not work. `expired`: it did once. `wait`: seconds after too many failed attempts, else 0."""

    expired: bool = False
    wait: int = 0


class Links:
    """Opens links. A valid link opens from any address. Failed attempts are limited by address; beyond the limit all
    suspicious clients share one query, so guessing costs the database next to nothing.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._failed = FailedAttempts(services.settings.max_wrong_links_per_minute)
        self._shared = _SharedLookup(services.store.engine)

    async def open(self, request: Request[Any, Any, Any], token: str) -> Link | Closed:
        """What a token opens now. Counts a failed attempt if there is no such link."""
        found: Link | Closed | None = None
        suspect = self._failed.exhausted(request)
        if _TOKEN.fullmatch(token) and (not suspect or await self._shared.known(hashed(token))):
            found = await to_thread.run_sync(partial(_open, self._services, hashed(token)))
        return Closed(wait=self._failed.count(request)) if found is None else found


class _SharedLookup:
    """Checks the tokens of all clients beyond the limit, with one query for all of them together."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._asked: set[str] = set()
        self._next: asyncio.Task[Set[str]] | None = None
        self._reading = asyncio.Lock()

    async def known(self, token_hash: str) -> bool:
        """Whether a link has a token of this hash."""
        self._asked.add(token_hash)
        if self._next is None:
            self._next = asyncio.create_task(self._read())
        return token_hash in await asyncio.shield(self._next)  # shielded: other requests wait for it, too

    async def _read(self) -> Set[str]:
        async with self._reading:
            await asyncio.sleep(_SHARED_SECONDS)
            asked, self._asked, self._next = self._asked, set(), None
            return await to_thread.run_sync(partial(_known, self._engine, asked))


def admit(engine: Engine, link: Link, event_id: str) -> bool:
    """Whether an answer may be added to a question: at most `MAX_ANSWERS` are, however many are sent at once.

    An answer that is sent again was admitted before.
    """
    with engine.begin() as connection:
        return form_answers.admit(connection, link.order_id, link.contact_id, event_id, SOURCE, MAX_ANSWERS)


def _known(engine: Engine, hashes: Set[str]) -> Set[str]:
    with reading(engine) as connection:
        return known_hashes(connection, hashes)


def _open(services: Services, token_hash: str) -> Link | Closed | None:
    """What a token of this hash opens; None: there is no such link."""
    with reading(services.store.engine) as connection:
        question = question_of(connection, token_hash)
        if question is None:
            return None
        order_id, contact_id, purpose, asked_at = question
        if services.now() - asked_at > VALID:
            return Closed(expired=True)
        if number_of_answers(connection, SYSTEM, order_id, contact_id, SOURCE) >= MAX_ANSWERS:
            return Closed()
        language, timezone = language_and_timezone(connection, order_id, contact_id)
        current = current_answer(connection, SYSTEM, order_id, contact_id)
        current = opened_current(connection, services.store.vault, current)
    return Link(order_id, contact_id, purpose, token_hash, language, timezone, current)
