"""The table of roles, and what tokens and acts make of it."""

from datetime import UTC, datetime, timedelta, timezone

from pipeline.domain.access.acts import Act, ActKind
from pipeline.domain.access.permissions import MEANINGS, ROLES, Permission, Role
from pipeline.domain.access.principal import LOCAL, METRICS_TOKEN, START_TOKEN, SYSTEM, user_principal
from pipeline.domain.access.scopes import EVERYTHING, parse_scope


def test_words_are_read_by_those_who_work_with_orders_only() -> None:
    readers = {role for role, rule in ROLES.items() if Permission.WORDS in rule.permissions}
    assert readers == {Role.MANAGEMENT, Role.OPERATIONS, Role.ACCOUNT_MANAGER}


def test_numbers_are_shown_to_those_who_have_a_scope_only() -> None:
    readers = {role for role, rule in ROLES.items() if Permission.ADDRESSES in rule.permissions}
    assert readers == {Role.OPERATIONS, Role.ACCOUNT_MANAGER}


def test_nobody_who_is_measured_manages_users_or_reads_acts() -> None:
    for role in (Role.OPERATIONS, Role.ACCOUNT_MANAGER):
        assert not ROLES[role].permissions & {Permission.USERS, Permission.ACTS, Permission.SETTINGS}
    assert ROLES[Role.ADMIN].permissions.isdisjoint({Permission.WORDS, Permission.ADDRESSES, Permission.ACTS})


def test_every_role_may_sign_out_and_every_permission_has_a_meaning() -> None:
    assert set(ROLES) == set(Role)
    assert all(Permission.OWN_ACCOUNT in rule.permissions for rule in ROLES.values())
    assert set(MEANINGS) == set(Permission)


def test_the_start_token_local_commands_and_stages_have_every_permission() -> None:
    for principal in (START_TOKEN, LOCAL, SYSTEM):
        assert principal.permissions == set(Permission)
        assert principal.scope is EVERYTHING
    assert METRICS_TOKEN.permissions == {Permission.METRICS}


def test_a_token_opens_no_more_than_its_user_may() -> None:
    scope = parse_scope(Role.OPERATIONS, ["region=ARA", "region=HDF"])
    user = user_principal("rolf", Role.OPERATIONS, scope)
    token = user.narrowed(Role.MANAGEMENT, EVERYTHING)
    assert token.permissions == ROLES[Role.MANAGEMENT].permissions
    assert token.scope == scope
    assert user.narrowed(Role.ADMIN, EVERYTHING).permissions == {Permission.OWN_ACCOUNT}


def test_an_act_has_one_canonical_form() -> None:
    when = datetime(2026, 3, 1, 10, tzinfo=UTC)
    act = Act(when, "rolf", ActKind.USER_CHANGED, "mia", "127.0.0.1", {"role": "admin", "before": "auditor"})
    elsewhere = Act(
        when.astimezone(timezone(timedelta(hours=2))),
        "rolf",
        ActKind.USER_CHANGED,
        "mia",
        "127.0.0.1",
        {"before": "auditor", "role": "admin"},
    )
    assert act.canonical() == elsewhere.canonical()
    assert act.canonical() == (
        b'{"at":"2026-03-01T10:00:00.000000Z","details":{"before":"auditor","role":"admin"},"origin":"127.0.0.1",'
        b'"subject":"mia","what":"user_changed","who":"rolf"}'
    )
