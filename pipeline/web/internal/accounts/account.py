"""What the page of one account shows: its sums, its people by role, its months, and its cases."""

from datetime import date
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Connection

from pipeline.domain.access.permissions import Permission
from pipeline.domain.access.principal import Principal
from pipeline.domain.orders.order import Order
from pipeline.domain.reports.accounts import people
from pipeline.domain.reports.accounts.people import RoleFigures
from pipeline.domain.reports.accounts.sums import Period, Sums, risk
from pipeline.domain.reports.cases import case_out
from pipeline.domain.reports.periods.spans import newest
from pipeline.domain.reports.periods.trends import trend
from pipeline.store.cases import reads as cases
from pipeline.store.journal.state import clock_of
from pipeline.store.reads.accounts import sums, talks
from pipeline.store.reads.listing import order_list
from pipeline.store.reads.listing.order_list import OrderFilter
from pipeline.store.reads.listing.search import FoundAccount, names_of
from pipeline.store.reads.order_record import read_orders
from pipeline.web.http.services import Services
from pipeline.web.internal.accounts.addresses import behind
from pipeline.web.internal.dashboard.panels import Cell
from pipeline.web.internal.orders.behind import Behind
from pipeline.web.internal.segments import views

ORDERS = 200  # the newest, by whose questions and answers people are described
_MONTHS = 13  # points of the chart
_CASES = 20
_PEOPLE = 100  # rows of the table of people


def values(
    services: Services, connection: Connection, viewer: Principal, account_id: str, period: Period
) -> dict[str, Any] | None:
    """What the template shows; None if the viewer sees no order of the account."""
    known = _orders(services, connection, viewer, account_id)
    if not known:
        return None
    whole = sums.sees_account(viewer, account_id)
    row = sums.of_accounts(connection, viewer, period, [account_id]).get(account_id) if whole else None
    found, today = row.sums if row is not None else Sums(), clock_of(connection).date()
    persons = people.people_of(known)
    roles = people.by_role(persons, services.settings.influence_weights)
    may_cases, held = viewer.may(Permission.CASES), talks.of_account(connection, account_id, today)
    chart, months = _months(connection, viewer, account_id, today) if whole else (None, [])
    return {
        "account": _named(connection, viewer, account_id),
        "period": period,
        "whole": whole,
        "sums": found,
        "risk": risk(found),
        "to": behind(viewer, account_id, period),
        "read": len(known),
        "most": ORDERS,
        "roles": [_Role.of(role) for role in roles],
        "score": people.weighted_score(roles),
        "people": persons[:_PEOPLE] if viewer.may(Permission.ORDERS) else [],
        "silent": sum(person.status == "silent" for person in persons),
        "trend": chart,
        "months": months,
        "cases": [case_out(case) for case in cases.of_account(connection, viewer, account_id, _CASES)]
        if may_cases
        else None,
        "talks": held,
        "since_talk": None if held.last is None else _since(viewer, account_id, held.last),
    }


def _since(viewer: Principal, account_id: str, day: date) -> Behind:
    """The addresses of the orders that were completed since a talk."""
    return Behind(OrderFilter(account=account_id, first=day), viewer.may(Permission.ORDERS))


def _named(connection: Connection, viewer: Principal, account_id: str) -> FoundAccount:
    found = names_of(connection, viewer, [account_id])
    return found.get(account_id, FoundAccount(account_id, account_id))


def _orders(services: Services, connection: Connection, viewer: Principal, account_id: str) -> list[Order]:
    """The orders of an account with the newest events."""
    wanted = OrderFilter(account=account_id)
    listed = order_list.page(connection, viewer, services.store.vault, wanted, ORDERS)
    known = read_orders(connection, viewer, [one.order_id for one in listed])
    return [known[one.order_id] for one in listed if one.order_id in known]


class _Role(NamedTuple):
    """One role as the page shows it."""

    name: str
    people: int
    asked: int
    answered: int
    silent: int
    score: Cell
    n: int
    weight: str

    @classmethod
    def of(cls, role: RoleFigures) -> "_Role":
        score, n = Cell("", missing="no score yet"), 0
        if role.score is not None:
            n = role.score.n
            score = Cell(f"{role.score.value:.1f}", f"{role.score.low:.1f}", f"{role.score.high:.1f}")
        numbers = (role.people, role.asked, role.answered, role.silent)
        return cls(role.role.replace("_", " "), *numbers, score, n, f"{role.weight:g}")


def _months(
    connection: Connection, viewer: Principal, account_id: str, today: date
) -> tuple[views.Trend | None, list[Sums]]:
    """The chart of the newest months, from the first with a claim on, and the sums of each, the newest month first."""
    days = newest("month", today.toordinal(), _MONTHS)
    found = sums.months(connection, viewer, account_id, days)
    points = trend({day: one.counts() for day, one in found.items()}, days)
    begun = next((index for index, point in enumerate(points) if point.claimed is not None), len(points))
    shown = points[begun:]
    chart = views.trend(shown, "month", (), partial(_orders_of_days, viewer, account_id))
    return chart, [found.get(point.day, Sums()) for point in shown][::-1]


def _orders_of_days(viewer: Principal, account_id: str, first: date, last: date) -> str:
    return Behind(OrderFilter(account=account_id, first=first, last=last), viewer.may(Permission.ORDERS)).all()
