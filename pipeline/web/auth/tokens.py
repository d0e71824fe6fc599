"""Bearer tokens of the internal listener: the start token, the metrics token, and API tokens of users."""

import hmac
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import METRICS_TOKEN, START_TOKEN, Principal
from pipeline.settings import Settings
from pipeline.store.db.engine import reading
from pipeline.store.users import tokens, users


class Tokens:
    """Knows who acts with which token. `start_token`: the configured or the generated one."""

    def __init__(self, engine: Engine, settings: Settings, start_token: str, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._start_token = start_token
        self._configured = settings.sign_in_token is not None
        metrics = settings.metrics_token
        self._metrics_token = None if metrics is None else metrics.get_secret_value()
        self._now = now
        self._ended = False  # once an admin has signed in, that stays so

    def principal_of(self, token: str) -> Principal | None:
        """Who acts with a token; None if it opens nothing. Reads the database."""
        if self.is_start_token(token):
            return self._start_principal()
        if self._metrics_token is not None and _same(token, self._metrics_token):
            return METRICS_TOKEN
        with reading(self._engine) as connection:
            return tokens.principal_of(connection, token, self._now())

    def is_start_token(self, given: str) -> bool:
        """Whether this is the start token, whether it still works or not."""
        return _same(given, self._start_token)

    def start_token_works(self) -> bool:
        """Whether the start token opens anything: a configured one always, a generated one until the first admin."""
        if self._configured:
            return True
        if not self._ended:
            with reading(self._engine) as connection:
                self._ended = users.admin_exists(connection)
        return not self._ended

    def _start_principal(self) -> Principal | None:
        try:
            return START_TOKEN if self.start_token_works() else None
        except SQLAlchemyError:  # database unavailable: metrics say so, and everything else fails in any case
            return Principal(START_TOKEN.name, START_TOKEN.kind, frozenset({Permission.METRICS}))


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
