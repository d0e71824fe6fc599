"""A client that hangs up before its request is complete is no bug of ours."""

from litestar.types import ASGIApp, HTTPReceiveMessage, Receive, Scope, Send, WebSocketReceiveMessage

from pipeline.web.http.problems import ClientDisconnected


def report_disconnects(app: ASGIApp) -> ASGIApp:
    """Middleware: a handler that waits for the rest of a request gets ClientDisconnected when there is none."""

    async def _app(scope: Scope, receive: Receive, send: Send) -> None:
        async def _receive() -> HTTPReceiveMessage | WebSocketReceiveMessage:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnected
            return message

        await app(scope, _receive, send)

    return _app
