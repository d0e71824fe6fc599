"""What the link in a question opens: one question to one person. Whoever has none learns nothing."""

import asyncio
import re
from collections.abc import Set
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

from anyio import to_thread
from litestar import Request
from sqlalchemy import Connection, Engine, and_, func, select

from pipeline.domain.asking.ask_states import hashed
from pipeline.store.asks.conversations import ASKED_AT, Standing, contact, standing
from pipeline.store.db.engine import reading
from pipeline.store.schema.tables import answers, asks
from pipeline.web.http.rate_limit import WrongGuesses
from pipeline.web.http.services import Services

SOURCE = "unvarnished/form"
MAX_ANSWERS = 20  # by one link: amended often enough
VALID = timedelta(days=14)  # from the moment the link was sent
_SHARED_SECONDS = 0.05  # between the reads for all those who guessed too often: 20 a second at most
_TOKEN = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)  # 128 bits


class Link(NamedTuple):
    """What a token opens."""

    order_id: str
    contact_id: str
    purpose: str
    token_hash: str
    language: str | None
    timezone: str | None
    standing: Standing | None


class Closed(NamedTuple):
    """There is nothing to open. `expired`: there was, once. `wait`: seconds, after too many wrong guesses; else 0."""

    expired: bool = False
    wait: int = 0


class Links:
    """Opens links. A right one is opened from any address; wrong ones cost their address, and in the end no query."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._wrong = WrongGuesses(services.settings.wrong_links_a_minute)
        self._suspects = _Suspects(services.engine)

    async def open(self, request: Request[Any, Any, Any], token: str) -> Link | Closed:
        """What a token opens now."""
        found: Link | Closed | None = None
        suspect = self._wrong.exhausted(request)
        if _TOKEN.fullmatch(token) and (not suspect or await self._suspects.known(hashed(token))):
            found = await to_thread.run_sync(partial(_open, self._services, hashed(token)))
        return Closed(wait=self._wrong.count(request)) if found is None else found


class _Suspects:
    """Tells right tokens from wrong ones for all who guessed too often, with one query for all of them together."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._asked: set[str] = set()
        self._next: asyncio.Task[Set[str]] | None = None
        self._reading = asyncio.Lock()

    async def known(self, token_hash: str) -> bool:
        """Whether there is such a token."""
        self._asked.add(token_hash)
        if self._next is None:
            self._next = asyncio.create_task(self._read())
        return token_hash in await asyncio.shield(self._next)  # others wait for it too

    async def _read(self) -> Set[str]:
        async with self._reading:
            await asyncio.sleep(_SHARED_SECONDS)
            asked, self._asked, self._next = self._asked, set(), None
            return await to_thread.run_sync(partial(_known, self._engine, asked))


def _known(engine: Engine, hashes: Set[str]) -> Set[str]:
    with reading(engine) as connection:
        found = connection.execute(select(asks.c.form_token_hash).where(asks.c.form_token_hash.in_(hashes)))
        return set(found.scalars())


def _open(services: Services, token_hash: str) -> Link | Closed | None:
    """What is behind a token of this hash; None: there never was one."""
    columns = asks.c.order_id, asks.c.contact_id, asks.c.purpose, ASKED_AT.label("asked_at")
    with reading(services.engine) as connection:
        row = connection.execute(select(*columns).where(asks.c.form_token_hash == token_hash)).first()
        if row is None:
            return None
        if services.now() - row.asked_at > VALID:
            return Closed(expired=True)
        if _used(connection, row.order_id, row.contact_id) >= MAX_ANSWERS:
            return Closed()
        language, timezone = contact(connection, row.order_id, row.contact_id)
        last = standing(connection, row.order_id, row.contact_id)
    return Link(row.order_id, row.contact_id, row.purpose, token_hash, language, timezone, last)


def _used(connection: Connection, order_id: str, contact_id: str) -> int:
    ours = and_(answers.c.order_id == order_id, answers.c.contact_id == contact_id, answers.c.source == SOURCE)
    return connection.execute(select(func.count()).select_from(answers).where(ours)).scalar_one()
