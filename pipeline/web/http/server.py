"""Both listeners: what is mounted on each, and both in one event loop until it is time to stop."""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import uvicorn
from litestar import Litestar
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ControllerRouterHandler
from sqlalchemy import Engine

from pipeline.settings import Settings, Unusable
from pipeline.web.auth import token
from pipeline.web.http import assets
from pipeline.web.http.headers import on_the_way_out
from pipeline.web.http.problems import HANDLERS
from pipeline.web.http.protocol import BoundedProtocol
from pipeline.web.http.services import Services
from pipeline.web.internal import health
from pipeline.web.internal.api import read
from pipeline.web.internal.dashboard import dashboard
from pipeline.web.public.events import ingest
from pipeline.web.public.form import form

Routes = Callable[[Services], Sequence[ControllerRouterHandler]]

# What is always mounted where. Routes that need more than the services are handed in beside these; health, metrics and
# signing in are on the internal listener whatever this says.
PUBLIC: tuple[Routes, ...] = (ingest.routes, form.routes, assets.routes)
INTERNAL: tuple[Routes, ...] = (dashboard.routes, read.routes, assets.routes)


class Listener(NamedTuple):
    """An application and the socket it answers on."""

    app: Litestar
    socket: socket.socket


def public_app(services: Services, *more: Routes) -> Litestar:
    """What the world reaches: events, forms, the provider's calls. Each route says who may use it.

    `more` are routes that need more than the services: `partial(webhooks.routes, provider=...)`.
    """
    return Litestar(
        [handler for routes in (*PUBLIC, *more) for handler in routes(services)],
        before_send=[on_the_way_out("public")],
        exception_handlers=HANDLERS,
        openapi_config=_openapi("Unvarnished, public listener", "key", "an API key: unvarnished keys create NAME"),
        request_max_body_size=services.settings.body_bytes,
        logging_config=None,
    )


def internal_app(services: Services, sign_in_token: str, troubles: health.Troubles = tuple, *more: Routes) -> Litestar:
    """What the people watching reach, signed in: dashboard, read API, metrics; and health, for anybody."""
    mounted = [handler for routes in (*INTERNAL, *more) for handler in routes(services)]
    return Litestar(
        [*health.routes(services.engine, troubles), *token.routes(sign_in_token), *mounted],
        guards=[token.guard(sign_in_token)],
        before_send=[on_the_way_out("internal")],
        exception_handlers={**HANDLERS, token.NotSignedIn: token.show_way_in},
        openapi_config=_openapi("Unvarnished, internal listener", "token", "the sign-in token printed at start"),
        request_max_body_size=services.settings.body_bytes,
        logging_config=None,
    )


def role_app(engine: Engine, sign_in_token: str, troubles: health.Troubles) -> Litestar:
    """What a process without web pages shows on its own port: health for anybody, metrics with the token."""
    return Litestar(
        health.routes(engine, troubles),
        guards=[token.guard(sign_in_token)],
        before_send=[on_the_way_out("internal")],
        exception_handlers=HANDLERS,
        openapi_config=None,
        logging_config=None,
    )


def bind(host: str, port: int) -> socket.socket:
    """A socket that takes connections. Raises Unusable, in a sentence for whoever set the address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise Unusable(f"cannot listen on {host} port {port}: {error.strerror or error}") from None
    return made


def address(made: socket.socket) -> str:
    """Where it is reached from this machine, as a URL."""
    host, port = made.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def serve(listeners: Sequence[Listener], settings: Settings, until: asyncio.Event, ready: asyncio.Event) -> None:
    """Answer until told to stop; open requests are finished first, for `stop_seconds` at most."""
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # below that it tells what any stranger may cause
    servers = [_Server(_config(listener.app, settings)) for listener in listeners]

    async def _run(server: _Server, listener: Listener) -> None:
        try:
            await server.serve([listener.socket])
        finally:  # one alone is of no use
            until.set()

    async def _stop() -> None:
        await until.wait()
        for server in servers:
            server.should_exit = True

    async def _tell() -> None:
        while not until.is_set() and not all(server.started for server in servers):
            await asyncio.sleep(0.01)
        ready.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(_stop())
        group.create_task(_tell())
        for server, listener in zip(servers, listeners, strict=True):
            group.create_task(_run(server, listener))


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to whoever runs both servers."""
        yield


def _config(app: Litestar, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=partial(BoundedProtocol, settings),  # type: ignore[arg-type]  # called like the class it stands for
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=round(settings.header_seconds),
        timeout_graceful_shutdown=settings.stop_seconds,
    )


def _openapi(title: str, scheme: str, description: str) -> OpenAPIConfig:
    return OpenAPIConfig(
        title=title,
        version="1",
        path="/openapi.json",
        render_plugins=[JsonRenderPlugin(path="/")],
        components=Components(
            security_schemes={scheme: SecurityScheme(type="http", scheme="bearer", description=description)}
        ),
        use_handler_docstrings=True,
    )
