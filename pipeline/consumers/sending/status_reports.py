"""What happens when the provider tells how far a message has come: in any order, repeated, or before its own answer."""

from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection

from pipeline import metrics
from pipeline.domain.asking.ask_states import State
from pipeline.notifiers.channels.twilio.codes import STATUSES, means_opted_out
from pipeline.store.asks import outcomes


class Callback(Protocol):
    """One status callback whose signature was checked."""

    @property
    def message_id(self) -> str:
        """The provider's id of the message."""

    @property
    def status(self) -> str:
        """The provider's word for how far it came."""

    @property
    def token(self) -> str:
        """The random token we gave the callback of this attempt."""

    @property
    def error_code(self) -> str | None:
        """Why it failed."""


def meaning(status: str) -> State | None:
    """The state a status stands for; None: none of an outgoing message."""
    return STATUSES.get(status.lower())


def status(connection: Connection, callback: Callback, now: datetime) -> bool:
    """Take a callback into the ask it speaks of, in the caller's transaction. False: no attempt of ours has that token.

    Whatever it says, the provider has the message: this also resolves an unknown outcome.
    """
    row = outcomes.by_callback(connection, callback.token)
    if row is None or (row.provider_id is not None and row.provider_id != callback.message_id):
        return False
    state = meaning(callback.status)
    metrics.PROVIDER_STATUS.labels(state or "other").inc()
    if state is None:
        return True
    code = int(callback.error_code) if callback.error_code and callback.error_code.isdecimal() else None
    key = outcomes.Key(row.order_id, row.contact_id, row.purpose)
    outcomes.accepted(connection, [outcomes.News(key, row.attempt, callback.message_id, state, code)], now)
    if means_opted_out(code):
        outcomes.opt_out(connection, key, now)
    return True
