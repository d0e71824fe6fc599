"""Which notice goes to which receiver, and when."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.access.scopes import Entry, Scope
from pipeline.domain.events.incidents import Cause
from pipeline.domain.notices.notice import Notice, shown, wait_before
from pipeline.domain.notices.routes import Hours, Muted, Route, Send, Told, Traits, decide
from tests.support.receiving.incidents import AT, change, resolved

PEOPLE, MACHINE, STATE = Traits(), Traits(every_change=True), Traits(keeps_state=True)
NOT_TOLD, TOLD = Told(), Told(routed=True, act=1)
EVERY_DAY = frozenset(range(7))


def decided(notice: Notice, route: Route, traits: Traits = PEOPLE, told: Told = NOT_TOLD) -> object:
    return decide(notice, "ops", traits, [route], told, AT)[0]


def route(**fields: Any) -> Route:
    return Route(receivers=("ops",), **fields)


def test_a_route_without_conditions_takes_everything() -> None:
    assert decided(change(), route()) == Send(AT)


@pytest.mark.parametrize(
    ("fields", "taken"),
    [
        ({"severities": frozenset({"critical"})}, False),
        ({"severities": frozenset({"critical", "major"})}, True),
        ({"signals": frozenset({"experience"})}, False),
        ({"signals": frozenset({"on_time"})}, True),
        ({"segments": {"depot": frozenset({"Paris"})}}, False),
        ({"segments": {"carrier": frozenset({"Lyon"})}}, False),
        ({"segments": {"depot": frozenset({"Lyon"})}}, True),
    ],
)
def test_a_route_takes_what_matches_each_of_its_conditions(fields: dict[str, object], taken: bool) -> None:
    assert decided(change(), route(**fields)) == (Send(AT) if taken else Muted.NO_ROUTE)


def test_a_receiver_in_no_route_gets_nothing() -> None:
    assert decide(change(), "other", PEOPLE, [route()], Told(), AT) == (Muted.NO_ROUTE, None)


def test_who_was_told_of_an_incident_is_told_of_its_end_whatever_its_severity_is_then() -> None:
    only_major = route(severities=frozenset({"major"}))
    assert decided(resolved(severity="minor"), only_major, told=TOLD) == Send(AT)
    assert decided(resolved(severity="minor"), only_major) is Muted.NO_ROUTE


def test_what_is_outside_the_scope_of_a_route_is_never_sent() -> None:
    narrow = route(scope=Scope((Entry("depot", "Paris"),)))
    for traits in (PEOPLE, MACHINE, STATE):
        assert decided(change(), narrow, traits, TOLD) is Muted.OUT_OF_SCOPE


def test_of_a_notice_only_the_alerts_in_the_scope_are_shown() -> None:
    notice = change(
        alerts=["on_time/depot/Lyon/1", "on_time/depot/Paris/3"],
        explains=["on_time/carrier/Nordex/1", "on_time/depot+tier/Lyon+key/2"],
        other="I-9",
    )
    data = shown(notice, Scope((Entry("depot", "Lyon"),))).data
    assert (data.alerts, data.explains, data.other) == (
        ["on_time/depot/Lyon/1"],
        ["on_time/depot+tier/Lyon+key/2"],
        None,
    )
    assert shown(notice, Scope()) == notice


@pytest.mark.parametrize(
    ("dimension", "value", "visible"),
    [
        ("depot", "Lyon", True),
        ("depot+tier", "Lyon+key", True),
        ("depot+tier", "Paris+key", False),
        ("depot+tier", "Lyon+a+b", False),  # it can be split in two ways
        ("region", "Lyon", False),
    ],
)
def test_a_scope_shows_its_entries_and_composite_segments_with_one_of_them(
    dimension: str, value: str, visible: bool
) -> None:
    assert Scope((Entry("depot", "Lyon"),)).sees_segment(dimension, value) == visible
    assert Scope((Entry("depot", "Lyon"),)).sees_alert(f"on_time/{dimension}/{value}/1") == visible


def test_a_value_with_a_slash_is_shown_to_the_scope_that_names_it() -> None:
    scope = Scope((Entry("depot", "Lyon/Sud"),))
    assert scope.sees_alert("on_time/depot/Lyon/Sud/1")
    assert not scope.sees_alert("on_time/depot/Lyon/Nord/1")


def test_people_are_spared_acts_of_colleagues_and_regrouping_and_machines_get_them() -> None:
    regrouped = change(kind="incident.changed", change="regrouped")
    for notice in (change(kind="incident.acknowledged"), regrouped):
        assert decided(notice, route(), told=TOLD) is Muted.NOT_NOTABLE
        assert decided(notice, route(), MACHINE, TOLD) == Send(AT)
        assert decided(notice, route(), STATE, TOLD) == Send(AT)


def test_a_change_of_the_cause_reaches_people_only_if_the_severity_rises() -> None:
    regrouped: dict[str, Any] = {
        "kind": "incident.changed",
        "change": "regrouped",
        "cause": Cause("on_time", "region", "ARA"),
    }
    assert decided(change(**regrouped), route(), told=TOLD) is Muted.NOT_NOTABLE
    assert decided(change(**regrouped, rises=True), route(), told=TOLD) == Send(AT)


def test_a_snoozed_incident_is_quiet_unless_its_severity_rises() -> None:
    notable: dict[str, Any] = {"kind": "incident.changed", "change": "escalated", "state": "snoozed"}
    assert decided(change(**notable), route(), told=TOLD) is Muted.SNOOZED
    assert decided(change(**notable, rises=True), route(), told=TOLD) == Send(AT)


def test_nobody_is_told_of_the_end_of_what_they_never_heard_of() -> None:
    assert decided(resolved(), route()) is Muted.NEVER_TOLD
    assert decided(resolved(), route(), MACHINE) == Send(AT)


def test_only_once_means_the_first_notice_of_an_incident() -> None:
    assert decided(change(), route(once=True)) == Send(AT)
    assert decided(resolved(), route(once=True), told=TOLD) is Muted.ONLY_ONCE


def test_the_first_route_that_matches_decides() -> None:
    routes = [route(severities=frozenset({"critical"})), route(once=True), route()]
    assert decide(change(), "ops", PEOPLE, routes, Told(), AT)[1] == routes[1]


HOURS = Hours(time(8), time(18), "Europe/Paris", frozenset(range(5)))


@pytest.mark.parametrize(
    ("now", "sent_at"),
    [
        (datetime(2026, 11, 20, 9, tzinfo=UTC), datetime(2026, 11, 20, 9, tzinfo=UTC)),  # a Friday, 10:00 in Paris
        (datetime(2026, 11, 20, 6, tzinfo=UTC), datetime(2026, 11, 20, 7, tzinfo=UTC)),
        (datetime(2026, 11, 20, 17, tzinfo=UTC), datetime(2026, 11, 23, 7, tzinfo=UTC)),  # the weekend is between
    ],
)
def test_outside_its_hours_a_route_holds_the_notice_until_they_begin(now: datetime, sent_at: datetime) -> None:
    assert decide(change(), "ops", PEOPLE, [route(hours=HOURS)], Told(), now)[0] == Send(sent_at)


def test_a_digest_collects_until_its_time() -> None:
    daily = Hours(time(8), time(8), "UTC", EVERY_DAY)
    assert decided(change(), route(digest_at=daily)) == Send(datetime(2026, 11, 21, 8, tzinfo=UTC), digest=True)


@given(
    now=st.timedeltas(timedelta(0), timedelta(days=730)).map(lambda after: AT + after),
    begins=st.times(),
    ends=st.times(),
    days=st.frozensets(st.integers(0, 6), min_size=1),
    zone=st.sampled_from(["UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata"]),
)
def test_hours_open_within_eight_days_and_are_open_then(
    now: datetime, begins: time, ends: time, days: frozenset[int], zone: str
) -> None:
    hours = Hours(begins.replace(microsecond=0), ends.replace(microsecond=0), zone, days)
    opening = hours.opening(now)
    assert now <= opening <= now + timedelta(days=8, hours=2)
    assert hours.opening(hours.next_start(now)) >= hours.next_start(now)


def test_waits_double_from_a_second_to_an_hour() -> None:
    waits = [wait_before(attempt).total_seconds() for attempt in range(1, 30)]
    assert waits[:4] == [1, 2, 4, 8]
    assert max(waits) == 3_600
    assert waits == sorted(waits)
