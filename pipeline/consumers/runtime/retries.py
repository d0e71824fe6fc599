"""How often a transaction is retried after a transient failure."""

import logging

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from pipeline import metrics
from pipeline.store.db.transient import is_transient

__all__ = ["is_transient", "retrying"]

_log = logging.getLogger(__name__)


def retrying() -> Retrying:
    """Retry a call after a transient failure: seven attempts within about seven seconds, then its error is raised."""
    return Retrying(
        retry=retry_if_exception(is_transient),
        stop=stop_after_attempt(7),
        wait=wait_exponential(multiplier=0.1, max=5),  # seconds
        before_sleep=_log_retry,
        reraise=True,
    )


def _log_retry(state: RetryCallState) -> None:
    metrics.RETRIES.inc()
    error = state.outcome.exception() if state.outcome else None
    _log.warning("batch failed (%s), attempt %d is next", type(error).__name__, state.attempt_number + 1)
