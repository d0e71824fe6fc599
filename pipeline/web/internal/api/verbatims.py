"""The stream of words as JSON."""

from typing import Annotated, Any

from litestar import Request, Router, get
from litestar.params import QueryParameter
from msgspec import Struct

from pipeline.domain.access.permissions import Permission
from pipeline.store.db.engine import reading
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.http.services import Services
from pipeline.web.internal.api.orders import Account, Words
from pipeline.web.internal.verbatims import stream
from pipeline.web.internal.verbatims.stream import Verbatim

_Request = Request[Any, Any, Any]
MOST = 200  # answers of one page
USUAL = 50

_Text = str | None
Codes = Annotated[
    list[str] | None, QueryParameter(name="code", description="what the customer states, such as late; alternatives")
]
TheScore = Annotated[_Text, QueryParameter(name="score", description="unhappy, neutral, happy or unscored")]
Language = Annotated[_Text, QueryParameter(name="language", description="of the contact, such as fr")]
First = Annotated[_Text, QueryParameter(name="from", description="first day of receipt (UTC), such as 2026-11-20")]
Last = Annotated[_Text, QueryParameter(name="to", description="last day of receipt (UTC), such as 2026-11-30")]
OneSegment = Annotated[_Text, QueryParameter(name="segment", description="DIMENSION:VALUE, such as depot:Lyon")]
Limit = Annotated[int, QueryParameter(ge=1, le=MOST, description="most answers to return")]
After = Annotated[_Text, QueryParameter(name="after", description="`next` of the page before")]


class VerbatimPage(Struct, frozen=True):
    """Answers with words, the newest first. `next`: the parameter `after` of the next page; null at the end of the
    stream. A page may have fewer answers than asked for, even none, before the end.
    """

    verbatims: list[Verbatim]
    next: str | None


def routes(services: Services) -> list[Router]:
    """`GET /v1/verbatims`."""

    @get(
        "/verbatims",
        opt=needs(Permission.WORDS),
        sync_to_thread=True,
        summary="Customers' words by filters, page by page",
    )
    def list_verbatims(
        request: _Request,
        words: Words = None,
        code: Codes = None,
        score: TheScore = None,
        language: Language = None,
        segment: OneSegment = None,
        account: Account = None,
        first: First = None,
        last: Last = None,
        limit: Limit = USUAL,
        after: After = None,
    ) -> VerbatimPage:
        viewer = principal_of(request)
        wanted = stream.parse(
            words=words,
            codes=code or (),
            score=score,
            language=language,
            segment=segment,
            account=account,
            first=first,
            last=last,
        )
        position = stream.parse_position(after)
        with reading(services.store.engine) as connection:
            found = stream.read(connection, viewer, services.store.vault, wanted, limit, position)
        return VerbatimPage(found.rows, None if found.following is None else stream.position_text(found.following))

    return [Router("/v1", route_handlers=[list_verbatims], tags=["verbatims"])]
