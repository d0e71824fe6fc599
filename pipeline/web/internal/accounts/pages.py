"""The pages of accounts: a list by risk or by orders, and one account by role, over time and with its cases."""

from http import HTTPStatus
from typing import Annotated, Any

from litestar import MediaType, Request, get
from litestar.exceptions import ValidationException
from litestar.params import FromQuery, QueryParameter

from pipeline.domain.access.permissions import Permission
from pipeline.domain.events.spelling import normal
from pipeline.domain.reports.accounts import sums
from pipeline.store.db.engine import reading
from pipeline.store.journal.state import clock_of
from pipeline.store.reads.accounts.sums import accounts_in
from pipeline.store.reads.version import version_of
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.auth.guard import csrf_of
from pipeline.web.http.services import Services
from pipeline.web.internal.accounts import account, account_list, addresses, scorecard
from pipeline.web.internal.accounts.talks import AHEAD
from pipeline.web.internal.filters import LONGEST, explain
from pipeline.web.internal.layout import Page, error_page, html, page_environment
from pipeline.web.internal.words import why_not

PAGE = 50  # accounts
_Request = Request[Any, Any, Any]
_READ = needs(Permission.FIGURES)
_Account = Annotated[str, QueryParameter(name="account")]
_environment = page_environment("pipeline.web.internal.accounts")
_environment.filters["why_not"] = why_not
_environment.globals |= {
    "account_address": addresses.account_address,
    "behind": addresses.behind,
    "scorecard_address": scorecard.address,
    "ANSWERED": sums.ANSWERED,
    "BAD": sums.BAD,
    "UNHAPPY": sums.UNHAPPY,
}


def routes(services: Services) -> list[Any]:
    """`GET /accounts` and `GET /accounts/one`."""

    @get("/accounts", opt=_READ, media_type=MediaType.HTML, sync_to_thread=True, include_in_schema=False)
    def accounts_page(
        request: _Request,
        period: FromQuery[str] = "",
        sort: FromQuery[str] = "",
        find: FromQuery[str] = "",
        after: FromQuery[str] = "",
    ) -> Page:
        viewer = principal_of(request)
        with reading(services.store.engine) as connection:
            today = clock_of(connection).date()
            try:
                wanted = account_list.parse(period, sort, find, today)
                position = account_list.parse_position(after)
            except ValidationException as error:
                return error_page(viewer, HTTPStatus.BAD_REQUEST, "Invalid parameter", explain(error))
            found = account_list.read(connection, viewer, wanted, PAGE + 1, position)
            rows = account_list.out(connection, viewer, found[:PAGE])
            version = version_of(connection, viewer, services.store)
        more = wanted.address(after=found[PAGE - 1].position(wanted.sorting)) if len(found) > PAGE else None
        known = accounts_in(viewer)
        shown = _environment.get_template("accounts.html.j2").render(
            viewer=viewer,
            version=version,
            today=today,
            wanted=wanted,
            rows=rows,
            periods=account_list.choices(today),
            more=more,
            first_page=wanted.address() if position is not None else None,
            file=wanted.address("/export/accounts"),
            unseen=known is not None and not known,
        )
        return html(shown)

    @get("/accounts/one", opt=_READ, media_type=MediaType.HTML, sync_to_thread=True, include_in_schema=False)
    def account_page(request: _Request, account_id: _Account = "", period: FromQuery[str] = "") -> Page:
        viewer, named = principal_of(request), normal(account_id)
        with reading(services.store.engine) as connection:
            today = clock_of(connection).date()
            try:
                shown_period = account_list.parse_a_period(period, today)
            except ValidationException as error:
                return error_page(viewer, HTTPStatus.BAD_REQUEST, "Invalid parameter", explain(error))
            values = account.values(services, connection, viewer, named, shown_period)
            if values is None:
                message = f"No account “{named[:LONGEST]}” found. Ids are case-sensitive; the list finds names, too."
                return error_page(viewer, HTTPStatus.NOT_FOUND, "Account not found", message)
            version = version_of(connection, viewer, services.store)
        shown = _environment.get_template("account.html.j2").render(
            viewer=viewer,
            version=version,
            today=today,
            periods=account_list.choices(today, months=True),
            csrf=csrf_of(request),
            latest_talk=today + AHEAD,
            **values,
        )
        return html(shown)

    return [accounts_page, account_page]
