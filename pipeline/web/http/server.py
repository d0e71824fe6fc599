"""The two listeners: the routes of each, and how both are served in one event loop."""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import uvicorn
from litestar import Litestar
from litestar.types import ControllerRouterHandler
from sqlalchemy import Engine

from pipeline.domain.access.permissions import Permission
from pipeline.settings import ConfigurationError, Settings
from pipeline.web.auth import guard, invitations, provider_sign_in, sign_in
from pipeline.web.auth.access import OPEN, check_routes, needs
from pipeline.web.auth.auth import Auth
from pipeline.web.auth.tokens import Tokens
from pipeline.web.http import assets, openapi
from pipeline.web.http.disconnects import report_disconnects
from pipeline.web.http.headers import response_hook
from pipeline.web.http.problems import HANDLERS
from pipeline.web.http.protocol import BoundedProtocol
from pipeline.web.http.services import Services
from pipeline.web.internal import health
from pipeline.web.internal.accounts import pages as account_pages
from pipeline.web.internal.accounts import scorecard as scorecard_pages
from pipeline.web.internal.accounts import talks
from pipeline.web.internal.acts import acts
from pipeline.web.internal.api import accounts as account_api
from pipeline.web.internal.api import corrections, read
from pipeline.web.internal.api import inbox as inbox_api
from pipeline.web.internal.api import orders as order_api
from pipeline.web.internal.api import verbatims as verbatim_api
from pipeline.web.internal.cases import api as case_api
from pipeline.web.internal.cases import pages as case_pages
from pipeline.web.internal.dashboard import dashboard
from pipeline.web.internal.exports import routes as exports
from pipeline.web.internal.inbox import pages as inbox_pages
from pipeline.web.internal.incidents import api as incident_api
from pipeline.web.internal.incidents import pages as incident_pages
from pipeline.web.internal.orders import pages as order_pages
from pipeline.web.internal.orders import qr
from pipeline.web.internal.own_account import pages as own_account_pages
from pipeline.web.internal.persons import pages as persons
from pipeline.web.internal.report import pages as report_pages
from pipeline.web.internal.search import pages as search
from pipeline.web.internal.segments import pages as segment_pages
from pipeline.web.internal.settings import pages as settings_pages
from pipeline.web.internal.today import pages as today
from pipeline.web.internal.users import users
from pipeline.web.internal.verbatims import pages as verbatim_pages
from pipeline.web.public.events import ingest
from pipeline.web.public.form import form, scorecard, unsubscribe

Routes = Callable[[Services], Sequence[ControllerRouterHandler]]
AuthRoutes = Callable[[Auth], Sequence[ControllerRouterHandler]]

# Every route names what it needs (web/auth/access.py); a listener with one that does not is not built.
# Open to the internet; each handler checks its key, link or signature.
PUBLIC: tuple[Routes, ...] = (
    ingest.routes,  # POST /v1/events
    form.routes,  # GET /, /f; GET, POST /f/{token}
    unsubscribe.routes,  # GET, POST /u/{token}
    scorecard.routes,  # GET /s/{token}
    assets.routes,  # GET /static/...
)
# Behind the sign-in. `internal_app` adds /livez, /readyz and /metrics, which need more than the services.
INTERNAL: tuple[Routes, ...] = (
    dashboard.routes,  # GET /dashboard
    segment_pages.routes,  # GET /segments, /segment
    account_pages.routes,  # GET /accounts, /accounts/one
    scorecard_pages.routes,  # GET /accounts/scorecard, POST /accounts/scorecard/links, /accounts/scorecard/revoke
    talks.routes,  # POST /accounts/talks, /accounts/talks/off
    account_api.routes,  # GET /v1/accounts
    verbatim_pages.routes,  # GET /verbatims
    verbatim_api.routes,  # GET /v1/verbatims
    today.routes,  # GET /
    report_pages.routes,  # GET /report
    order_pages.routes,  # GET /orders, /orders/{order_id}
    search.routes,  # GET /search
    settings_pages.routes,  # GET /settings
    exports.routes,  # GET /export/orders, /export/segments, /export/alerts, /export/accounts, ...
    qr.routes,  # GET /v1/qr/{order_id}
    corrections.routes,  # GET, POST /v1/corrections
    incident_pages.routes,  # GET /incidents, /incidents/{id}, /alerts, POST /incidents/{id}/{act}
    incident_api.routes,  # GET /v1/incidents, /v1/incidents/{id}, POST /v1/incidents/{id}/{act}
    case_pages.routes,  # GET /cases, /cases/{id}, POST /cases/{id}/{act}, /inbox/{item_id}/case
    case_api.routes,  # GET /v1/cases, /v1/cases/{id}; POST /v1/cases/{id}/{act}, /v1/inbox/{item_id}/case
    inbox_pages.routes,  # GET /inbox; GET, POST /inbox/{item_id}
    inbox_api.routes,  # GET /v1/inbox; GET, POST /v1/inbox/{item_id}
    order_api.routes,  # GET /v1/orders, /v1/orders/{order_id}
    read.routes,  # GET /v1/report, /v1/alerts, /v1/segments, /v1/version
    persons.routes,  # GET, POST /persons; POST /persons/export, /persons/erase, /persons/confirm
    assets.routes,  # GET /static/...
)
# The sign-in, and pages that act on users.
USERS: tuple[AuthRoutes, ...] = (
    sign_in.routes,  # GET, POST /sign-in
    provider_sign_in.routes,  # GET /sign-in/provider and back, with an identity provider
    invitations.routes,  # GET /invitation; GET, POST /welcome
    own_account_pages.routes,  # GET /account and what it changes, POST /sign-out
    users.routes,  # GET, POST /users
    acts.routes,  # GET /acts
)


class Listener(NamedTuple):
    """An application and the socket it listens on."""

    app: Litestar
    socket: socket.socket


def public_app(services: Services, *more: Routes) -> Litestar:
    """The public listener: `PUBLIC` and `more`, the routes that depend on the settings, such as webhooks."""
    app = Litestar(
        [handler for routes in (*PUBLIC, *more) for handler in routes(services)],
        before_send=[response_hook("public")],
        exception_handlers=HANDLERS,
        middleware=[report_disconnects],
        openapi_config=openapi.config(
            "Unvarnished, public listener", "key", "an API key: unvarnished keys create NAME", OPEN
        ),
        request_max_body_size=services.settings.max_body_bytes,
        logging_config=None,
    )
    return check_routes(app, guarded=False)


def internal_app(
    services: Services, sign_in_token: str, check: health.ReadinessCheck = tuple, *more: Routes
) -> Litestar:
    """The internal listener: `INTERNAL` and `more` behind the sign-in, and health for everybody."""
    auth = Auth(services, sign_in_token)
    mounted = [handler for routes in (*INTERNAL, *more) for handler in routes(services)]
    mounted += [handler for routes in USERS for handler in routes(auth)]
    app = Litestar(
        [*health.routes(services.store.engine, check), *mounted],
        guards=[guard.guard(auth)],
        before_send=[response_hook("internal")],
        exception_handlers={
            **HANDLERS,
            guard.NotSignedIn: guard.not_signed_in_response,
            guard.Forbidden: guard.forbidden_response,
        },
        middleware=[report_disconnects],
        openapi_config=openapi.config(
            "Unvarnished, internal listener",
            "token",
            "an API token of a user (unvarnished users token), or the start token",
            needs(Permission.OWN_ACCOUNT),
        ),
        request_max_body_size=services.settings.max_body_bytes,
        logging_config=None,
    )
    return check_routes(app, guarded=True)


def health_app(engine: Engine, tokens: Tokens, check: health.ReadinessCheck) -> Litestar:
    """The port of a process without pages: health for everybody, metrics with a token."""
    app = Litestar(
        health.routes(engine, check),
        guards=[guard.token_guard(tokens)],
        before_send=[response_hook("internal")],
        exception_handlers=HANDLERS,
        openapi_config=None,
        logging_config=None,
    )
    return check_routes(app, guarded=True)


def bind(host: str, port: int, listener: str) -> socket.socket:
    """A listening socket. Raises ConfigurationError if the address cannot be used, which names the settings of that
    listener: `public`, `internal`, or the process whose health it serves.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
    except OSError as error:
        made.close()
        host_setting = f"UNVARNISHED_{'PUBLIC' if listener == 'public' else 'INTERNAL'}_HOST"
        raise ConfigurationError(
            f"cannot listen on {host} port {port}: {error.strerror or error}; "
            f"set UNVARNISHED_{listener.upper()}_PORT or {host_setting}"
        ) from None
    return made


def address(made: socket.socket) -> str:
    """The URL of a socket on this machine."""
    host, port = made.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def serve(listeners: Sequence[Listener], settings: Settings, until: asyncio.Event, ready: asyncio.Event) -> None:
    """Serve until `until` is set, then finish open requests for at most `shutdown_timeout_seconds`. Sets `ready` once
    all listeners accept requests.
    """
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # below that, any client could fill the log
    servers = [_Server(_config(listener.app, settings)) for listener in listeners]

    async def _run(server: _Server, listener: Listener) -> None:
        try:
            await server.serve([listener.socket])
        finally:  # if one server ends, the other stops, too
            until.set()

    async def _stop() -> None:
        await until.wait()
        for server in servers:
            server.should_exit = True

    async def _announce() -> None:
        while not until.is_set() and not all(server.started for server in servers):
            await asyncio.sleep(0.01)
        ready.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(_stop())
        group.create_task(_announce())
        for server, listener in zip(servers, listeners, strict=True):
            group.create_task(_run(server, listener))


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: `app` handles signals for all servers."""
        yield


def _config(app: Litestar, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=partial(BoundedProtocol, settings),  # type: ignore[arg-type]  # a partial of the class uvicorn expects
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=round(settings.header_timeout_seconds),
        timeout_graceful_shutdown=settings.shutdown_timeout_seconds,
    )
