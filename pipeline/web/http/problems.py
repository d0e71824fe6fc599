"""Errors as `application/problem+json` (RFC 9457). `field` names the field to correct, if there is one."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap
from sqlalchemy.exc import SQLAlchemyError

from pipeline.consumers.runtime.background import stack_frames
from pipeline.consumers.runtime.retries import is_transient
from pipeline.consumers.runtime.write_queue import NotStored
from pipeline.errors import ClockSuspect

MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER = "5"  # seconds
_log = logging.getLogger(__name__)
_Request = Request[Any, Any, Any]


class Problem(HTTPException):
    """An HTTP error response. `field` is the path of the invalid field, `more` are further members of the body."""

    def __init__(
        self,
        status: int,
        detail: str,
        field: str | None = None,
        more: Mapping[str, object] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        extra = dict(more or {}) | ({"field": field} if field else {})
        super().__init__(detail=detail, status_code=status, headers=headers, extra=extra)


class ClientDisconnected(Problem):
    """The client closed the connection before it had sent the whole request. Nobody reads the response."""

    def __init__(self) -> None:
        super().__init__(400, "the client closed the connection before the request was complete")


def body_of(status: int, detail: str, more: Mapping[str, object] | None = None) -> dict[str, object]:
    """The members of a problem."""
    return {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail} | dict(
        more or {}
    )


def _response(
    status: int, detail: str, more: Mapping[str, object] | None = None, headers: Mapping[str, str] | None = None
) -> Response[Any]:
    return Response(body_of(status, detail, more), status_code=status, media_type=MEDIA_TYPE, headers=headers)


def response_of(problem: Problem) -> Response[Any]:
    """The problem as a response."""
    more = problem.extra if isinstance(problem.extra, dict) else None
    headers = problem.headers or {}
    return _response(problem.status_code, problem.detail, more, headers)


def _http(request: _Request, error: HTTPException) -> Response[Any]:
    status, more = error.status_code, error.extra
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, Problem):
        return _bug(request, error)
    if isinstance(more, list):  # the framework's validation errors
        first = more[0] if more and isinstance(more[0], dict) else {}
        detail = f"{error.detail}: {first['message']}" if "message" in first else error.detail
        return _response(status, detail, {"field": first["key"]} if first.get("key") else None)
    return _response(status, error.detail, more, error.headers)


def _not_stored(_request: _Request, error: NotStored) -> Response[Any]:
    return _response(503, f"{error}: send it again later", headers={"Retry-After": str(error.retry_after)})


def _clock(_request: _Request, error: ClockSuspect) -> Response[Any]:
    return _response(503, f"nothing can be received now: {error}", headers={"Retry-After": _RETRY_AFTER})


def _database(request: _Request, error: SQLAlchemyError) -> Response[Any]:
    if is_transient(error):
        return _response(503, "database unavailable: try again later", headers={"Retry-After": _RETRY_AFTER})
    return _bug(request, error)


def _bug(request: _Request, error: Exception) -> Response[Any]:
    route = request.scope.get("path_template") or "no route"
    _log.error("bug in %s %s: %s", request.method, route, stack_frames(error))
    return _response(500, "internal error; the log has the details")


HANDLERS: ExceptionHandlersMap = {
    HTTPException: _http,
    NotStored: _not_stored,
    ClockSuspect: _clock,
    SQLAlchemyError: _database,
    Exception: _bug,
}
