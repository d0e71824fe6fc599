"""The page of the stream of words. It only reads: nothing can be changed or removed there."""

from http import HTTPStatus
from typing import Any

from litestar import MediaType, Request, get
from litestar.exceptions import ValidationException
from sqlalchemy import Connection

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.domain.reports.counts import ERASED, QR_ANSWERS
from pipeline.domain.reports.order_list import CODES
from pipeline.notifiers.wording.languages import languages, native_name
from pipeline.store.db.engine import reading
from pipeline.store.reads import reports
from pipeline.store.reads.version import version_of
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.http.services import Services
from pipeline.web.internal.accounts.addresses import account_address
from pipeline.web.internal.filters import explain
from pipeline.web.internal.layout import Page, error_page, html, page_environment
from pipeline.web.internal.orders.list_filter import segment_text
from pipeline.web.internal.verbatims import stream
from pipeline.web.internal.verbatims.stream import Wanted
from pipeline.web.internal.words import channel_in_words

PAGE = 50  # answers
_Request = Request[Any, Any, Any]
_environment = page_environment("pipeline.web.internal.verbatims")
_environment.filters["channel"] = channel_in_words
_environment.globals |= {
    "CAUSES": {code: CODES[code] for code in stream.CAUSES},
    "MOODS": {"unhappy": "unhappy", "neutral": "neutral", "happy": "happy", "unscored": "without a score"},
    "LANGUAGES": {name: native_name(name) for name in languages()},
    "account_address": account_address,
    "segment_text": segment_text,
}


def routes(services: Services) -> list[Any]:
    """`GET /verbatims`."""

    @get(
        "/verbatims",
        opt=needs(Permission.WORDS),
        media_type=MediaType.HTML,
        sync_to_thread=True,
        include_in_schema=False,
    )
    def verbatims_page(request: _Request) -> Page:
        viewer = principal_of(request)
        try:
            wanted = given_in(request)
            after = stream.parse_position(request.query_params.get("after"))
        except ValidationException as error:
            return error_page(viewer, HTTPStatus.BAD_REQUEST, "Invalid parameter", explain(error))
        with reading(services.store.engine) as connection:
            found = stream.read(connection, viewer, services.store.vault, wanted, PAGE, after)
            left_out = excluded(connection, viewer, wanted)
            version = version_of(connection, viewer, services.store)
        shown = _environment.get_template("verbatims.html.j2").render(
            viewer=viewer,
            version=version,
            wanted=wanted,
            filtered=wanted != Wanted(),
            found=found,
            excluded=left_out,
            first_page=wanted.address() if after is not None else None,
            more=wanted.address(after=found.following) if found.following is not None else None,
            file=wanted.address("/export/verbatims"),
        )
        return html(shown)

    return [verbatims_page]


def given_in(request: _Request) -> Wanted:
    """The stream that the query parameters name. Raises ValidationException."""
    query = request.query_params
    names = ("words", "score", "language", "segment", "account")
    return stream.parse(
        codes=query.getall("code", []),
        first=query.get("from"),
        last=query.get("to"),
        **{n: query.get(n) for n in names},
    )


def excluded(connection: Connection, viewer: Principal, wanted: Wanted) -> dict[str, int] | None:
    """What no reader finds in the stream, counted over all orders that the viewer sees and that were completed in the
    period; None: their scope has no sum.
    """
    first, last = (None if day is None else day.toordinal() for day in (wanted.filter.first, wanted.filter.last))
    counts = reports.total(connection, viewer, first, last)
    if not counts and not viewer.scope.is_everything:
        return None
    return {"erased": counts.get(ERASED, 0), "qr": counts.get(QR_ANSWERS, 0)}
