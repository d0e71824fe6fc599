"""A client that hangs up before its request is complete is no bug of ours."""

from litestar.types import ASGIApp, HTTPReceiveMessage, Message, Receive, Scope, Send, WebSocketReceiveMessage

from pipeline.web.http.problems import ClientDisconnected


def report_disconnects(app: ASGIApp) -> ASGIApp:
    """Middleware: a handler that waits for the rest of a request gets ClientDisconnected when there is none.

    A response that is being streamed only ends: its client has sent everything.
    """

    async def _app(scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def _send(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        async def _receive() -> HTTPReceiveMessage | WebSocketReceiveMessage:
            message = await receive()
            if message["type"] == "http.disconnect" and not started:
                raise ClientDisconnected
            return message

        await app(scope, _receive, _send)

    return _app
