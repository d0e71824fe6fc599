"""Texts that an installation receives."""

from datetime import datetime
from itertools import count

from pipeline.consumers.conversation import handling
from pipeline.consumers.conversation.texts import Inbound, ReplyResult
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.answers.replies import Control, PlainReader
from tests.support.builders import at
from tests.support.requests.installation import PHONE
from tests.support.running.embedded import VAULT

_numbers = count(1)


def receive_text(
    runtime: EmbeddedRunner,
    words: str,
    when: datetime | None = None,
    phone: str = PHONE,
    message_id: str = "",
    provider_action: Control | None = None,
) -> ReplyResult:
    """Receive and process a text."""
    now = when or at(hours=3)
    inbound = Inbound(
        "twilio", message_id or f"SM{next(_numbers)}", VAULT.phone_digest(phone), words, now, provider_action
    )
    with runtime.engine.begin() as connection:
        result = handling.handle_text(connection, runtime.store, inbound, PlainReader(), now)
    runtime.ingest(result.events)
    return result
