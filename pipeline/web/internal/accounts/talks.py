"""Plans the next talk with an account, from its page."""

from collections.abc import Mapping
from datetime import date, timedelta
from functools import partial
from typing import Any

from anyio import to_thread
from litestar import Request, Response, post
from litestar.response import Redirect
from sqlalchemy import Connection

from pipeline.domain.access.acts import Act, ActKind
from pipeline.domain.access.permissions import Permission
from pipeline.domain.events.spelling import normal
from pipeline.store.acts import acts
from pipeline.store.db.engine import reading
from pipeline.store.journal.state import clock_of
from pipeline.store.orders import talks
from pipeline.store.reads.listing.search import names_of
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.http.forms import read_form
from pipeline.web.http.problems import Problem
from pipeline.web.http.services import Services
from pipeline.web.internal.accounts.addresses import account_address
from pipeline.web.internal.filters import LONGEST

AHEAD = timedelta(days=730)  # for which a talk is planned at most
_MAX_FIELDS = 10
_Request = Request[Any, Any, Any]
_NEEDS = needs(Permission.SETTLE)


def routes(services: Services) -> list[Any]:
    """`POST /accounts/talks` and `POST /accounts/talks/off`: they lead back to the page of the account."""

    @post("/accounts/talks", opt=_NEEDS, status_code=303, include_in_schema=False)
    async def plan_talk(request: _Request) -> Response[Any]:
        return await _change(services, request, ActKind.TALK_PLANNED)

    @post("/accounts/talks/off", opt=_NEEDS, status_code=303, include_in_schema=False)
    async def call_off_talk(request: _Request) -> Response[Any]:
        return await _change(services, request, ActKind.TALK_CALLED_OFF)

    return [plan_talk, call_off_talk]


async def _change(services: Services, request: _Request, what: ActKind) -> Response[Any]:
    fields = dict(await read_form(request, _MAX_FIELDS))
    address = await to_thread.run_sync(partial(_done, services, request, what, fields))
    return Redirect(address, status_code=303)


def _done(services: Services, request: _Request, what: ActKind, fields: Mapping[str, str]) -> str:
    """Plan or call off a talk and record that. Returns the address of the account's page. Raises Problem."""
    viewer, account_id = principal_of(request), normal(fields.get("account", ""))
    with reading(services.store.engine) as connection:
        if account_id not in names_of(connection, viewer, [account_id]):
            raise Problem(404, f"no account {account_id[:LONGEST]!r} found")
        day = _day(connection, fields.get("day", ""))
    with services.store.engine.begin() as connection:
        now = services.now()
        if what is ActKind.TALK_PLANNED:
            changed = talks.plan(connection, account_id, day, viewer.name, now)
        else:
            changed = talks.call_off(connection, account_id, day)
        if changed:
            origin = request.client.host if request.client else ""
            acts.append(connection, Act(now, viewer.name, what, account_id, origin, {"day": str(day)}))
    return account_address(account_id)


def _day(connection: Connection, text: str) -> date:
    today = clock_of(connection).date()
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise Problem(400, f"day: {text[:LONGEST]!r} is not a date such as {today}") from None
    if not today <= day <= today + AHEAD:
        raise Problem(400, f"day: {day} is not within the two years from {today} on")
    return day
