"""What the guard and the sign-in share: sessions, tokens, cookies and the record of acts of one listener."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from anyio import to_thread
from litestar.connection import ASGIConnection
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from pipeline.domain.access.acts import Act, ActKind
from pipeline.domain.access.principal import START_TOKEN, Principal
from pipeline.store.acts import acts
from pipeline.store.db.engine import reading
from pipeline.store.users import sessions, users
from pipeline.store.users.sessions import Limits
from pipeline.web.auth.backoff import Backoff
from pipeline.web.auth.cookies import SESSION, Cookies
from pipeline.web.auth.passwords import Passwords
from pipeline.web.auth.tokens import Tokens
from pipeline.web.http.services import Services

_T = TypeVar("_T")
_Connection = ASGIConnection[Any, Any, Any, Any]
_log = logging.getLogger(__name__)


class SignedIn(NamedTuple):
    """Who acts, and in which session; `session_id` None: with a bearer token."""

    principal: Principal
    session_id: str | None = None


class Auth:
    """Everything about users on the internal listener of one process."""

    def __init__(self, services: Services, start_token: str) -> None:
        settings = services.settings
        self.settings = settings
        self.store = services.store
        self.now: Callable[[], datetime] = services.now
        self.limits = Limits(
            timedelta(minutes=settings.session_idle_minutes), timedelta(hours=settings.session_max_hours)
        )
        self.cookies = Cookies(settings, services.store.vault)
        self.tokens = Tokens(services.store.engine, settings, start_token, services.now)
        self.passwords = Passwords()
        self.backoff = Backoff(settings.free_sign_in_failures)

    def by_session(self, session_id: str, touch: bool) -> SignedIn | None:
        """Who acts in a session; None if it has ended. `touch`: this request keeps it alive."""
        now = self.now()
        with reading(self.store.engine) as connection:
            session = sessions.find(connection, session_id, self.limits, now)
            principal = None if session is None else self._principal(connection, session.user_name)
        if session is None or principal is None:
            return None
        if touch and session.stale:
            try:
                with self.store.engine.begin() as connection:
                    sessions.touch(connection, session, now)
            except SQLAlchemyError as error:  # the next request tries it again
                _log.warning("a session could not be kept alive (%s)", type(error).__name__)
        return SignedIn(principal, session_id)

    def _principal(self, connection: Connection, user_name: str | None) -> Principal | None:
        if user_name is None:
            return START_TOKEN if self.tokens.start_token_works() else None
        user = users.find(connection, user_name)
        return None if user is None or user.state == "disabled" else user.principal

    async def transaction(self, do: Callable[[Connection], _T]) -> _T:
        """Run `do` in one transaction, in a thread."""

        def _run() -> _T:
            with self.store.engine.begin() as connection:
                return do(connection)

        return await to_thread.run_sync(_run)

    def act(
        self,
        connection: Connection,
        request: _Connection,
        who: str,
        what: ActKind,
        subject: str = "",
        details: Mapping[str, str] | None = None,
    ) -> None:
        """Append an act of somebody who uses this listener, in the transaction that does it."""
        origin = request.client.host if request.client else ""
        acts.append(connection, Act(self.now(), who, what, subject, origin, details or {}))

    def start_session(self, connection: Connection, request: _Connection, user_name: str | None) -> str:
        """Begin a session with a new id; the one that the browser had ends."""
        former = self.cookies.read(request, SESSION)
        if former:
            sessions.end(connection, former)
        self.act(connection, request, user_name or START_TOKEN.name, ActKind.SIGNED_IN)
        return sessions.create(connection, user_name, self.limits, self.now())
