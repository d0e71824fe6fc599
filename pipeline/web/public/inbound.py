"""Handles inbound texts for routes: durable when the route answers, and processed at once if possible."""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from anyio import move_on_after, to_thread
from sqlalchemy import Connection

from pipeline.consumers.conversation import handling
from pipeline.consumers.conversation.texts import Inbound, ReplyResult
from pipeline.consumers.runtime.write_queue import NotStored
from pipeline.domain.answers.replies import PlainReader, Reader
from pipeline.notifiers.wording.reply_texts import Speaker
from pipeline.web.http.services import Services

READER: Reader = PlainReader()
# Seconds for the transaction, and again for the processing after it: providers wait for fifteen in all.
TIMEOUT_SECONDS = 5.0
_T = TypeVar("_T")


async def handle_text(services: Services, text: Inbound, reader: Reader = READER) -> ReplyResult:
    """Handle a text. When this returns, the text and all that follows from it are durable, its answer processed."""
    result = await in_transaction(
        services,
        lambda connection: handling.handle_text(
            connection, services.store, text, reader, services.now(), speaker_of(services)
        ),
    )
    await process(services, result)
    return result


def speaker_of(services: Services) -> Speaker:
    """Who speaks in the replies of this installation."""
    return Speaker(services.settings.company_name, services.settings.contact_phone)


async def process(services: Services, result: ReplyResult) -> None:
    """Process the events of a text now. They are in the journal already: if this fails or takes too long, they are
    processed with the next event, once, and the person still gets the reply."""
    if result.events:
        with suppress(NotStored), move_on_after(TIMEOUT_SECONDS):
            await services.submit(result.events)


async def in_transaction(services: Services, do: Callable[[Connection], _T]) -> _T:
    """Run `do` in one transaction, in a worker thread. A caller who stops waiting does not know whether it commits."""

    def _transaction() -> _T:
        with services.store.engine.begin() as connection:
            return do(connection)

    return await to_thread.run_sync(_transaction, abandon_on_cancel=True)
