"""The OpenAPI document of a listener. The errors that many routes have in common are added here, once for all."""

from collections.abc import Iterator, Mapping
from typing import Any

from litestar import Request, Router
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.routes import HTTPRoute
from litestar.types import Method
from msgspec import Struct

from pipeline.domain.access.permissions import Permission
from pipeline.web.auth.access import access_of
from pipeline.web.http.problems import MEDIA_TYPE

_INVALID, _NOT_SIGNED_IN, _TOO_LARGE, _UNAVAILABLE = "400", "401", "413", "503"
_DESCRIPTIONS = {
    _INVALID: "The request is invalid: `field` names the parameter",
    _NOT_SIGNED_IN: "The credentials are missing or wrong",
    "403": "Not permitted",
    "404": "Not found",
    "409": "The present state does not allow it",
    _TOO_LARGE: "The body is too large",
    "415": "This content type or encoding is not supported",
    "422": "The content is invalid",
    "429": "Too many failed attempts from this address: wait for `Retry-After` seconds",
    _UNAVAILABLE: "Unavailable for now, as while the database cannot be reached: try again after `Retry-After` seconds",
}
_PROBLEM = {
    "type": "object",
    "description": "An error (RFC 9457). Some have further members.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what is wrong, in a sentence"},
        "field": {"type": "string", "description": "path of the field to correct, if it is one field"},
    },
    "required": ["type", "title", "status", "detail"],
}


class _Problem(Struct):
    """Stands for the schema of errors while the framework collects the routes."""


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """The `responses` of a route that may answer with these errors as `application/problem+json`."""
    return {
        status: ResponseSpec(_Problem, False, _DESCRIPTIONS[str(status)], media_type=MEDIA_TYPE) for status in statuses
    }


def pages(descriptions: Mapping[int, str]) -> dict[int, ResponseSpec]:
    """The `responses` of a route that may answer with HTML pages of these statuses besides its own."""
    return {status: ResponseSpec(str, False, text, media_type="text/html") for status, text in descriptions.items()}


def config(title: str, scheme: str, description: str, access: dict[str, Any]) -> OpenAPIConfig:
    """The configuration of `/openapi.json`. `scheme`: the name of the bearer token that the listener requires.

    `access`: who may read the document (`pipeline.web.auth.access`).
    """
    return OpenAPIConfig(
        title=title,
        version="1",
        openapi_router=Router("/openapi.json", route_handlers=[], include_in_schema=False, opt=access),
        render_plugins=[_Document(path="/")],
        components=Components(
            security_schemes={scheme: SecurityScheme(type="http", scheme="bearer", description=description)}
        ),
        use_handler_docstrings=True,
        operation_id_creator=_operation_id,
    )


def _operation_id(handler: HTTPRouteHandler, _method: Method, _path: object) -> str:
    """The name of the operation, from which generators of clients make a function's: its handler's, as `listOrders`."""
    first, *others = handler.handler_name.split("_")
    return first + "".join(word.capitalize() for word in others)


class _Document(JsonRenderPlugin):
    """Adds to each operation what its handler need not say."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The document as JSON."""
        [scheme] = openapi_schema["components"]["securitySchemes"]
        for operation, handler in _operations(request, openapi_schema):
            signed_in = isinstance(access_of(handler), Permission)
            if signed_in:
                operation["security"] = [{scheme: []}]
            _add_errors(operation, handler, signed_in)
        openapi_schema["components"].setdefault("schemas", {})["Problem"] = _PROBLEM
        openapi_schema["components"]["schemas"].pop(_Problem.__name__, None)
        return self.render_json(request, openapi_schema)


def _operations(
    request: Request[Any, Any, Any], document: Mapping[str, Any]
) -> Iterator[tuple[dict[str, Any], HTTPRouteHandler]]:
    for route in request.app.routes:
        if isinstance(route, HTTPRoute) and route.path_format in document["paths"]:
            for handler in route.route_handlers:
                for method in handler.http_methods:
                    operation = document["paths"][route.path_format].get(method.lower())
                    if operation is not None:
                        yield operation, handler


def _add_errors(operation: dict[str, Any], handler: HTTPRouteHandler, signed_in: bool) -> None:
    responses = operation["responses"]
    added = {_UNAVAILABLE}
    if signed_in:
        added.add(_NOT_SIGNED_IN)
    if "POST" in handler.http_methods:
        added.add(_TOO_LARGE)
    if _INVALID in responses:
        added.add(_INVALID)  # the framework's own description names another media type
    for status in sorted(added):
        known = responses.get(status, {}).get("content", {})
        if MEDIA_TYPE not in known:
            responses[status] = {"description": _DESCRIPTIONS[status], "content": {MEDIA_TYPE: {}}}
    for response in responses.values():
        if MEDIA_TYPE in response.get("content", {}):
            response["content"][MEDIA_TYPE] = {"schema": {"$ref": "#/components/schemas/Problem"}}
