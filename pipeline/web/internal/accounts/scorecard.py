"""The scorecard of an account as a page to print, and the links by which its purchaser opens it."""

from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode

from anyio import to_thread
from litestar import MediaType, Request, Response, get, post
from litestar.exceptions import ValidationException
from litestar.params import FromQuery, QueryParameter
from litestar.response import Redirect

from pipeline.domain.access.acts import Act, ActKind
from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.domain.events.spelling import normal
from pipeline.domain.reports.accounts.sums import Period
from pipeline.notifiers.wording.languages import local_share
from pipeline.store.acts import acts
from pipeline.store.db.engine import reading
from pipeline.store.journal.state import clock_of
from pipeline.store.reads.accounts import scorecards
from pipeline.store.users import scorecard_links
from pipeline.store.users.scorecard_links import NewLink
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.auth.guard import csrf_of
from pipeline.web.http.forms import read_form
from pipeline.web.http.problems import Problem
from pipeline.web.http.services import Services
from pipeline.web.internal.accounts import account_list
from pipeline.web.internal.accounts.addresses import account_address, behind
from pipeline.web.internal.filters import LONGEST, explain
from pipeline.web.internal.layout import Page, error_page, html, page_environment

_LINKS = 20  # the newest, on the page
_MAX_FIELDS = 10
_Request = Request[Any, Any, Any]
_Account = Annotated[str, QueryParameter(name="account")]
_environment = page_environment("pipeline.web.internal.accounts")
_environment.globals["account_address"] = account_address
_environment.filters["share"] = partial(local_share, language="en")


def address(account_id: str, period: Period) -> str:
    """The page of a scorecard."""
    return "/accounts/scorecard?" + urlencode({"account": account_id, "period": str(period)})


def routes(services: Services) -> list[Any]:
    """`GET /accounts/scorecard`, `POST /accounts/scorecard/links` and `POST /accounts/scorecard/revoke`."""

    @get(
        "/accounts/scorecard",
        opt=needs(Permission.FIGURES),
        media_type=MediaType.HTML,
        sync_to_thread=True,
        include_in_schema=False,
    )
    def scorecard_page(request: _Request, account_id: _Account = "", period: FromQuery[str] = "") -> Page:
        return _page(services, request, normal(account_id), period)

    @post("/accounts/scorecard/links", opt=needs(Permission.SHARE), status_code=200, include_in_schema=False)
    async def make_link(request: _Request) -> Response[Any]:
        fields = dict(await read_form(request, _MAX_FIELDS))
        account_id, period = normal(fields.get("account", "")), fields.get("period", "")
        made = await to_thread.run_sync(partial(_make, services, request, account_id, period))
        return await to_thread.run_sync(partial(_page, services, request, account_id, period, made))

    @post("/accounts/scorecard/revoke", opt=needs(Permission.SHARE), status_code=303, include_in_schema=False)
    async def revoke_link(request: _Request) -> Response[Any]:
        fields = dict(await read_form(request, _MAX_FIELDS))
        account_id = normal(fields.get("account", ""))
        period = await to_thread.run_sync(partial(_revoke, services, request, account_id, fields))
        return Redirect(address(account_id, period), status_code=303)

    return [scorecard_page, make_link, revoke_link]


def _page(services: Services, request: _Request, account_id: str, period: str, made: str = "") -> Page:
    """`made`: the address of a link that was just made; it is shown this once."""
    viewer = principal_of(request)
    with reading(services.store.engine) as connection:
        today = clock_of(connection).date()
        try:
            wanted = account_list.parse_a_period(period, today)
        except ValidationException as error:
            return error_page(viewer, HTTPStatus.BAD_REQUEST, "Invalid parameter", explain(error))
        card = scorecards.read(connection, viewer, account_id, wanted)
        may_share = viewer.may(Permission.SHARE)
        links = scorecards.links_of(connection, viewer, account_id, _LINKS) if may_share else []
    if card is None:
        message = f"No account “{account_id[:LONGEST]}” found all of whose orders you see."
        return error_page(viewer, HTTPStatus.NOT_FOUND, "Account not found", message)
    shown = _environment.get_template("scorecard.html.j2").render(
        viewer=viewer,
        card=card,
        today=today,
        periods=account_list.choices(today, months=True),
        to=behind(viewer, account_id, wanted),
        may_share=may_share,
        links=links,
        now=services.now(),
        days=services.settings.scorecard_link_days,
        made=made,
        csrf=csrf_of(request),
    )
    return html(shown)


def _checked(services: Services, viewer: Principal, account_id: str, period: str) -> Period:
    """The period of a scorecard that the viewer sees. Raises Problem."""
    with reading(services.store.engine) as connection:
        try:
            wanted = account_list.parse_a_period(period, clock_of(connection).date())
        except ValidationException as error:
            raise Problem(400, explain(error)) from None
        if scorecards.read(connection, viewer, account_id, wanted) is None:
            raise Problem(404, f"no account {account_id[:LONGEST]!r} found all of whose orders you see")
    return wanted


def _make(services: Services, request: _Request, account_id: str, period: str) -> str:
    """Make a link and record that. Returns its address."""
    viewer, now = principal_of(request), services.now()
    wanted = _checked(services, viewer, account_id, period)
    ends_at = now + timedelta(days=services.settings.scorecard_link_days)
    with services.store.engine.begin() as connection:
        token = scorecard_links.create(connection, NewLink(account_id, str(wanted), viewer.name, ends_at), now)
        details = {"period": str(wanted), "ends_at": ends_at.isoformat()}
        acts.append(connection, _act(services, request, ActKind.SCORECARD_SHARED, account_id, details))
    return f"{services.settings.public_url.rstrip('/')}/s/{token}"


def _revoke(services: Services, request: _Request, account_id: str, fields: dict[str, str]) -> Period:
    """Revoke a link and record that. Returns the period of the page that asked."""
    viewer = principal_of(request)
    wanted = _checked(services, viewer, account_id, fields.get("period", ""))
    with services.store.engine.begin() as connection:
        if scorecard_links.revoke(connection, account_id, fields.get("key", ""), viewer.name, services.now()):
            acts.append(connection, _act(services, request, ActKind.SCORECARD_REVOKED, account_id, {}))
    return wanted


def _act(services: Services, request: _Request, what: ActKind, account_id: str, details: dict[str, str]) -> Act:
    origin = request.client.host if request.client else ""
    return Act(services.now(), principal_of(request).name, what, account_id, origin, details)
