"""Every error as `application/problem+json` (RFC 9457). `field` names what to mend, where that is one thing."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap
from sqlalchemy.exc import SQLAlchemyError

from pipeline.consumers.runtime.background import frames
from pipeline.consumers.runtime.embedded import passes
from pipeline.consumers.runtime.write_queue import NotTaken

MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER = "5"  # seconds
_log = logging.getLogger(__name__)
_Request = Request[Any, Any, Any]


class Problem(HTTPException):
    """An error to answer with: `field` is the path of what is wrong, `more` further members of the body."""

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


def body_of(status: int, detail: str, more: Mapping[str, object] | None = None) -> dict[str, object]:
    """A problem's members."""
    return {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail} | dict(
        more or {}
    )


def _answer(
    status: int, detail: str, more: Mapping[str, object] | None = None, headers: Mapping[str, str] | None = None
) -> Response[Any]:
    return Response(body_of(status, detail, more), status_code=status, media_type=MEDIA_TYPE, headers=headers)


def answer(problem: Problem) -> Response[Any]:
    """The problem as a response."""
    more = problem.extra if isinstance(problem.extra, dict) else None
    headers = problem.headers or {}
    return _answer(problem.status_code, problem.detail, more, headers)


def _http(request: _Request, error: HTTPException) -> Response[Any]:
    status, more = error.status_code, error.extra
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, Problem):
        return _bug(request, error)
    if isinstance(more, list):  # the framework's complaints about parameters and bodies
        first = more[0] if more and isinstance(more[0], dict) else {}
        detail = f"{error.detail}: {first['message']}" if "message" in first else error.detail
        return _answer(status, detail, {"field": first["key"]} if first.get("key") else None)
    return _answer(status, error.detail, more, error.headers)


def _not_taken(_request: _Request, error: NotTaken) -> Response[Any]:
    return _answer(503, f"{error}: send it again later", headers={"Retry-After": str(error.retry_after)})


def _database(request: _Request, error: SQLAlchemyError) -> Response[Any]:
    if passes(error):
        return _answer(503, "the database is away: try again later", headers={"Retry-After": _RETRY_AFTER})
    return _bug(request, error)


def _bug(request: _Request, error: Exception) -> Response[Any]:
    route = request.scope.get("path_template") or "no route"
    _log.error("bug in %s %s: %s", request.method, route, frames(error))
    return _answer(500, "this is a bug of ours; it is in the log")


HANDLERS: ExceptionHandlersMap = {
    HTTPException: _http,
    NotTaken: _not_taken,
    SQLAlchemyError: _database,
    Exception: _bug,
}
