"""The links in questions: each opens one question to one person. An invalid link reveals nothing."""

import asyncio
import re
from collections.abc import Set
from datetime import timedelta
from functools import partial
from typing import Any, Literal, NamedTuple

from anyio import to_thread
from litestar import Request
from sqlalchemy import Engine

from pipeline.domain.access.principal import SYSTEM
from pipeline.domain.asking.ask_states import hashed
from pipeline.domain.events.contract import QR, FixedResponse
from pipeline.store.asks import form_answers
from pipeline.store.asks.links import known_hashes, question_of
from pipeline.store.db.engine import reading
from pipeline.store.reads.answers import CurrentAnswer, current_answer, number_of_answers, opened_current
from pipeline.store.reads.deliveries import Delivery, delivery_for_customer
from pipeline.web.http.rate_limit import FailedAttempts
from pipeline.web.http.services import Services

SOURCE = "unvarnished/form"
MAX_ANSWERS = 20  # by one link, amendments included
VALID = timedelta(days=14)  # from the time the link was sent
_SHARED_SECONDS = 0.05  # between two reads for suspicious clients together: 20 a second at most
QR_VALID = timedelta(days=180)  # from the time the code was made: it is printed before the goods leave
_TOKEN = re.compile(r"([A-Za-z0-9_-]{22})[^A-Za-z0-9_-]*", re.ASCII)  # 128 bits, and the end of a sentence around it


class Link(NamedTuple):
    """The question that a token opens, and the current answer to it."""

    order_id: str
    contact_id: str
    purpose: str
    token_hash: str
    language: str | None
    timezone: str | None
    current: CurrentAnswer | None
    delivery: Delivery = Delivery("")
    path: str = ""  # of the form, without what surrounded the link
    response: FixedResponse | None = None  # the text that the link was in, if it was no question

    @property
    def by_anyone(self) -> bool:
        """Whether whoever has the goods may answer, who may be anybody: the code on a delivery note."""
        return self.purpose == QR


class Closed(NamedTuple):
    """A link that does not work. `expired`: it did once, as the link of a message, a code or a scorecard.

    `wait`: seconds after too many failed attempts, else 0.
    """

    expired: Literal["message", "qr", "scorecard", ""] = ""
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
        written = _TOKEN.fullmatch(token)
        if written and (not suspect or await self._shared.known(hashed(written[1]))):
            found = await to_thread.run_sync(partial(_open, self._services, written[1]))
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


def _open(services: Services, token: str) -> Link | Closed | None:
    """What a token opens; None: there is no such link."""
    with reading(services.store.engine) as connection:
        question = question_of(connection, hashed(token))
        if question is None:
            return None
        order_id, contact_id, purpose, asked_at, response = question
        by_anyone = purpose == QR
        if services.now() - asked_at > (QR_VALID if by_anyone else VALID):
            return Closed(expired="qr" if by_anyone else "message")
        if number_of_answers(connection, SYSTEM, order_id, contact_id, SOURCE) >= MAX_ANSWERS:
            return Closed()
        delivery = delivery_for_customer(connection, order_id, contact_id)
        current = None
        if not by_anyone:  # of the answers by a code nobody knows whose they are, so nobody sees them
            current = current_answer(connection, SYSTEM, order_id, contact_id)
            current = opened_current(connection, services.store.vault, current)
    person = delivery.language, delivery.timezone
    return Link(order_id, contact_id, purpose, hashed(token), *person, current, delivery, f"/f/{token}", response)
