"""The webhooks of a channel: makes each call durable before it is acknowledged, whichever provider made it.

A call is durable in the database, or in the spool while the database is unavailable: a provider does not repeat a text
that was refused. The provider's own part, from signature to status words, is the channel's `Webhooks`.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import msgspec
from anyio import CapacityLimiter, fail_after, to_thread
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from sqlalchemy import Connection

from pipeline.consumers.conversation import handling, texts
from pipeline.consumers.conversation.texts import ReplyResult
from pipeline.consumers.runtime.retries import is_transient
from pipeline.consumers.sending import status_reports
from pipeline.consumers.sending.status_reports import UnknownMessage
from pipeline.domain.answers.replies import Reader
from pipeline.domain.asking.channels import Channel
from pipeline.notifiers.port import BadCall, HttpCall, InboundText, NotSigned, WebhookContent, Webhooks
from pipeline.store.journal.spool import Spool, SpoolFull
from pipeline.web.auth.access import Protection, protected_by
from pipeline.web.http.problems import Problem
from pipeline.web.http.services import Services
from pipeline.web.public.inbound import READER, TIMEOUT_SECONDS, in_transaction, process, speaker_of

MAX_BODY = 64 << 10  # bytes
_log = logging.getLogger(__name__)
_Request = Request[Any, Any, Any]
_SIGNED = protected_by(Protection.SIGNATURE)
_decode: Callable[[bytes], WebhookContent] = msgspec.json.Decoder(WebhookContent).decode


class ProviderWebhooks(NamedTuple):
    """A channel and the webhooks of its provider."""

    channel: Channel
    webhooks: Webhooks
    reader: Reader = READER


def routes(services: Services, provider: ProviderWebhooks, spool: Spool) -> list[HTTPRouteHandler]:
    """The handlers of the provider's paths."""
    provider.reader.prepare()
    spool_limiter = CapacityLimiter(1)  # the spool's own thread, as all others may be waiting for the database

    @post(list(provider.webhooks.paths), opt=_SIGNED, request_max_body_size=MAX_BODY, include_in_schema=False)
    async def receive(request: _Request) -> Response[Any]:
        """Store the content of a call, handle it, and answer: a text with the reply, a report with 204."""
        content = _parsed(provider.webhooks, await _call(request, services))
        try:
            result = await _store(content)
        except UnknownMessage:
            raise Problem(404, "no message of ours") from None
        if not isinstance(content, InboundText):
            return Response(None, status_code=204)
        if result is not None:
            await process(services, result)
        reply = provider.webhooks.reply(None if result is None else result.reply)
        return Response(reply.body, media_type=reply.media_type, status_code=200)

    async def _store(content: WebhookContent) -> ReplyResult | None:
        """The result of a text. None: it is spooled, or no text. While the spool has calls, later ones queue behind."""
        if spool.empty:
            try:
                with fail_after(TIMEOUT_SECONDS):
                    return await in_transaction(services, partial(_handle, content, services, provider))
            except Exception as error:  # it may have been committed: then it counts once all the same
                if not is_transient(error) and not isinstance(error, TimeoutError):
                    raise
        try:
            keep = partial(spool.put, _key(content), content.received_at, msgspec.json.encode(content))
            await to_thread.run_sync(keep, limiter=spool_limiter)
        except (OSError, SpoolFull) as error:
            _log.error("a call of the provider could not be spooled (%s)", type(error).__name__)
            raise Problem(503, "the call cannot be stored now: try again later", headers={"Retry-After": "5"}) from None
        return None

    return [receive]


def spooled_call_handler(services: Services, provider: ProviderWebhooks) -> Callable[[Connection, bytes], None]:
    """What handles a spooled call like the routes, in the caller's transaction; for a SpoolReplayer."""

    def _handle_spooled(connection: Connection, raw: bytes) -> None:
        with suppress(UnknownMessage), connection.begin_nested():
            _handle(_spooled(provider.webhooks, raw), services, provider, connection, answerable=False)

    return _handle_spooled


def _handle(
    content: WebhookContent,
    services: Services,
    provider: ProviderWebhooks,
    connection: Connection,
    answerable: bool = True,
) -> ReplyResult | None:
    """Handle a call in the caller's transaction. Returns the result of a text. Raises UnknownMessage."""
    store, now = services.store, services.now()
    if not isinstance(content, InboundText):
        status_reports.handle(connection, store.journal, content, now)
        return None
    text = texts.inbound(store, provider.channel, content, answerable)
    return handling.handle_text(connection, store, text, provider.reader, now, speaker_of(services))


async def _call(request: _Request, services: Services) -> HttpCall:
    return HttpCall(
        path=request.scope["path"],
        query=request.scope["query_string"].decode("latin-1"),
        headers=dict(request.headers),
        body=await request.body(),
        received_at=services.now(),
    )


def _parsed(webhooks: Webhooks, call: HttpCall) -> WebhookContent:
    """The content of a call. Raises Problem: 403 for every call that is not the provider's, 400 for a bad one."""
    try:
        return webhooks.parse(call)
    except NotSigned:
        raise Problem(403, "not signed by the provider") from None
    except BadCall as bad:
        raise Problem(400, bad.reason, bad.parameter) from None


def _spooled(webhooks: Webhooks, raw: bytes) -> WebhookContent:
    try:
        return _decode(raw)
    except msgspec.ValidationError:  # spooled by an earlier version
        return webhooks.parse_spooled(raw)


def _key(content: WebhookContent) -> str:
    """What identifies a call when it comes again."""
    return content.message_id if isinstance(content, InboundText) else f"{content.message_id}-{content.status}"
