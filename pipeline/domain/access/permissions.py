"""The one table of roles: which of them may do what. Routes and commands name permissions, never roles."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Permission(StrEnum):
    """What somebody may do. Each route and each command names one."""

    OWN_ACCOUNT = "own_account"
    FIGURES = "figures"
    ORDERS = "orders"
    WORDS = "words"
    ADDRESSES = "addresses"
    CORRECT = "correct"
    INCIDENTS = "incidents"
    CASES = "cases"
    SETTLE = "settle"
    SHARE = "share"
    ERASE = "erase"
    ACTS = "acts"
    USERS = "users"
    SETTINGS = "settings"
    METRICS = "metrics"
    DEMO_PHONES = "demo_phones"


MEANINGS: Mapping[Permission, str] = {
    Permission.OWN_ACCOUNT: "sign out, change the own password and second factor",
    Permission.FIGURES: "read figures, alerts and segments",
    Permission.ORDERS: "read orders and their timelines",
    Permission.WORDS: "read the words of customers",
    Permission.ADDRESSES: "show the number or e-mail address of a person; each time is an act",
    Permission.CORRECT: "propose and confirm corrections of how an answer was read",
    Permission.INCIDENTS: "act on incidents: acknowledge, assign, snooze, close, reopen",
    Permission.CASES: "read cases; their words with the permission for words only",
    Permission.SETTLE: "act on cases: open, assign, note, close, reopen; answer customers; plan talks with accounts",
    Permission.SHARE: "make and revoke links to scorecards of accounts",
    Permission.ERASE: "ask for the erasure of a person, and confirm one",
    Permission.ACTS: "read the record of acts",
    Permission.USERS: "manage users",
    Permission.SETTINGS: "manage API keys and settings",
    Permission.METRICS: "read `/metrics`",
    Permission.DEMO_PHONES: "use the demo's phones",
}


class Role(StrEnum):
    """The role of a user."""

    MANAGEMENT = "management"
    OPERATIONS = "operations"
    ACCOUNT_MANAGER = "account_manager"
    AUDITOR = "auditor"
    ADMIN = "admin"


class ScopeKind(StrEnum):
    """What the scope of a role lists."""

    NONE = "none"
    SEGMENTS = "segments"
    ACCOUNTS = "accounts"


class RoleRule(NamedTuple):
    """One line of the table. `scope_required`: without a scope, the role could see nothing."""

    permissions: frozenset[Permission]
    scope: ScopeKind = ScopeKind.NONE
    scope_required: bool = False


_OF_ORDERS = frozenset(
    {
        Permission.OWN_ACCOUNT,
        Permission.FIGURES,
        Permission.ORDERS,
        Permission.WORDS,
        Permission.CORRECT,
        Permission.INCIDENTS,
        Permission.CASES,
        Permission.SETTLE,
        Permission.SHARE,
        Permission.ERASE,
    }
)
ROLES: Mapping[Role, RoleRule] = {
    Role.MANAGEMENT: RoleRule(_OF_ORDERS),
    Role.OPERATIONS: RoleRule(_OF_ORDERS | {Permission.ADDRESSES}, ScopeKind.SEGMENTS),
    Role.ACCOUNT_MANAGER: RoleRule(_OF_ORDERS | {Permission.ADDRESSES}, ScopeKind.ACCOUNTS, scope_required=True),
    Role.AUDITOR: RoleRule(frozenset({Permission.OWN_ACCOUNT, Permission.FIGURES, Permission.CASES, Permission.ACTS})),
    Role.ADMIN: RoleRule(
        frozenset({Permission.OWN_ACCOUNT, Permission.USERS, Permission.SETTINGS, Permission.METRICS})
    ),
}
EVERY_PERMISSION = frozenset(Permission)
