"""Today: the problems that go on, one line each, those first that need somebody."""

from typing import Any

from litestar import MediaType, Request, get

from pipeline.domain.access.permissions import Permission
from pipeline.domain.events.incidents import Rate
from pipeline.domain.incidents.triage import NEEDS, need_of
from pipeline.notifiers.wording import sentences
from pipeline.store.db.engine import reading
from pipeline.store.reads import incidents as read
from pipeline.store.reads.version import version_of
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.auth.guard import csrf_of
from pipeline.web.http.services import Services
from pipeline.web.internal.layout import Page, html, page_environment

MOST = 50  # problems on the page; the list of incidents has all
_TITLES = {
    "overdue": ("Overdue", "Nobody has acknowledged these in time."),
    "new": ("New", "Opened within a day."),
    "unowned": ("Without an owner", "Acknowledged or older, and nobody has taken them."),
    "in_hand": ("In hand", "Somebody is working on these."),
    "snoozed": ("Snoozed", "They return by themselves."),
}
_environment = page_environment("pipeline.web.internal.today")
_environment.globals["segment_name"] = sentences.segment_name


def _range(rate: Rate | None) -> str:
    """ "40.0% (30.0% to 50.0%)"."""
    if rate is None:
        return "no figures"
    return f"{sentences.percent(rate.value)} ({sentences.percent(rate.low)} to {sentences.percent(rate.high)})"


_environment.filters |= {"range": _range, "signal": sentences.signal_name}


def routes(services: Services) -> list[Any]:
    """`GET /today`."""

    @get(
        "/today",
        opt=needs(Permission.FIGURES),
        media_type=MediaType.HTML,
        sync_to_thread=True,
        include_in_schema=False,
    )
    def today_page(request: Request[Any, Any, Any]) -> Page:
        viewer, now = principal_of(request), services.now()
        with reading(services.store.engine) as connection:
            found = read.going_on(connection, viewer, MOST + 1)
            accounts = read.numbers_of_accounts(connection, viewer, found[:MOST])
            version = version_of(connection, viewer, services.store)
        shown = [(need_of(one, now), one) for one in found[:MOST]]
        groups = [(need, *_TITLES[need], [one for its, one in shown if its == need]) for need in NEEDS]
        page = _environment.get_template("today.html.j2").render(
            viewer=viewer,
            groups=[group for group in groups if group[-1]],
            accounts=accounts,
            more=len(found) > MOST,
            csrf=csrf_of(request),
            version=version,
        )
        return html(page)

    return [today_page]
