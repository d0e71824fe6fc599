"""Scopes: what an entry contains, and that nothing else is visible."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.access.permissions import Role
from pipeline.domain.access.scopes import ACCOUNT, EVERYTHING, Entry, Scope, parse_scope
from pipeline.domain.detection.segments import Level, segments_of
from pipeline.store.orders.memberships import membership_of

NAMES = st.sampled_from(["region", "depot", "carrier"])
VALUES = st.text(alphabet="AB +=%\u00e9", min_size=1, max_size=4).map(str.strip).filter(bool)
ENTRIES = st.builds(Entry, NAMES, VALUES)
ORDERS = st.dictionaries(NAMES, VALUES, max_size=3)
LEVELS = [Level("region", 9), Level("depot", 9), Level("region+carrier", 9), Level("depot+carrier+region", 9)]


def test_an_order_is_visible_if_it_matches_any_entry() -> None:
    scope = parse_scope(Role.OPERATIONS, ["region=ARA", "depot=Lille"])
    assert scope.sees_order("A-1", {"region": "ARA", "depot": "Lyon"})
    assert scope.sees_order("A-1", {"region": "HDF", "depot": "Lille"})
    assert not scope.sees_order("A-1", {"region": "HDF", "depot": "Arras"})
    assert not scope.sees_order("A-1", {})


def test_an_account_manager_sees_the_orders_of_an_account_by_its_id_only() -> None:
    scope = parse_scope(Role.ACCOUNT_MANAGER, ["account=A-1"])
    assert scope.sees_order("A-1", {"region": "ARA"})
    assert not scope.sees_order("A-2", {"account": "A-1"}), "a dimension of that name opens nothing"
    assert "account=A-1" not in membership_of("A-2", {"account": "A-1"})


def test_a_composite_level_is_visible_if_a_part_of_it_is() -> None:
    scope = parse_scope(Role.OPERATIONS, ["region=ARA"])
    assert scope.sees_segment("region", "ARA")
    assert scope.sees_segment("region+carrier", "ARA+Nordex")
    assert not scope.sees_segment("region+carrier", "HDF+ARA"), "the value of another dimension"
    assert not scope.sees_segment("region", "ARA+Nordex")
    assert not scope.sees_segment("region+carrier", "ARA+Nordex+x"), "could be read in two ways"
    assert not scope.sees_segment("", ""), "the fleet"
    assert EVERYTHING.sees_segment("", "")


def test_an_alert_is_visible_if_its_segment_is() -> None:
    scope = parse_scope(Role.OPERATIONS, ["region=ARA", "depot=Lyon/2"])
    assert scope.sees_alert("on_time/region/ARA/1")
    assert scope.sees_alert("on_time/region+carrier/ARA+Nordex/1")
    assert scope.sees_alert("moved/depot/Lyon/2/7")
    assert not scope.sees_alert("on_time/depot/Lyon/2"), "the second alert of another depot"
    assert not scope.sees_alert("on_time/carrier/Nordex/1")
    assert not scope.sees_alert("on_time/region/ARA/x/1")
    assert EVERYTHING.sees_alert("on_time/depot/Lyon/2/7")


@given(st.lists(ENTRIES, max_size=3), ORDERS)
def test_a_visible_segment_contains_visible_orders_only(entries: list[Entry], dimensions: dict[str, str]) -> None:
    scope = Scope(tuple(entries))
    for segment in segments_of(dimensions, LEVELS):
        if scope.sees_segment(*segment) and all("+" not in value for value in dimensions.values()):
            assert scope.sees_order("A-1", dimensions)


@given(ENTRIES, st.text(min_size=1, max_size=3), ORDERS)
def test_the_stored_form_matches_exactly_the_entries_that_contain_the_order(
    entry: Entry, account: str, dimensions: dict[str, str]
) -> None:
    if any("\ud800" <= letter <= "\udfff" for letter in account):
        return
    stored = membership_of(account, dimensions)
    wanted = f" {quote(entry.dimension, safe='')}={quote(entry.value, safe='')} "
    assert (wanted in stored) == Scope((entry,)).sees_order(account, dimensions)
    assert f" {ACCOUNT}={quote(account, safe='')} " in stored


@given(st.lists(ENTRIES, max_size=3), st.lists(ENTRIES, max_size=3), ORDERS)
def test_a_narrowed_scope_sees_what_both_see_at_most(
    one: list[Entry], other: list[Entry], order: dict[str, str]
) -> None:
    first, second = Scope(tuple(one)), Scope(tuple(other))
    both = first.narrowed(second)
    assert first.covers(both)
    assert second.covers(both)
    assert not both.sees_order("A", order) or (first.sees_order("A", order) and second.sees_order("A", order))
    assert EVERYTHING.narrowed(first) == first == first.narrowed(EVERYTHING)


@pytest.mark.parametrize(
    ("role", "entries", "message"),
    [
        (Role.OPERATIONS, ["ARA"], "is not DIMENSION=VALUE"),
        (Role.OPERATIONS, ["region="], "is not DIMENSION=VALUE"),
        (Role.OPERATIONS, ["region+carrier=ARA+Nordex"], "composite level"),
        (Role.OPERATIONS, ["account=A-1"], "is not an entry for the role operations"),
        (Role.ACCOUNT_MANAGER, ["region=ARA"], "is not an entry for the role account_manager"),
        (Role.ACCOUNT_MANAGER, [], "needs at least one entry"),
        (Role.MANAGEMENT, ["region=ARA"], "has no scope"),
        (Role.ADMIN, ["account=A-1"], "has no scope"),
        (Role.OPERATIONS, ["region=" + "x" * 201], "more than 200 characters"),
    ],
)
def test_a_scope_that_cannot_be_is_refused_with_a_reason(role: Role, entries: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=f"^scope: .*{message}"):
        parse_scope(role, entries)


def test_entries_have_the_spelling_of_events() -> None:
    assert parse_scope(Role.OPERATIONS, ["  depot = Saint  Étienne "]) == Scope((Entry("depot", "Saint Étienne"),))
    assert parse_scope(Role.OPERATIONS, ["", " "]) is EVERYTHING
