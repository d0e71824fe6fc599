"""Who acts: a user, an API token, a command on the server, a stage of the pipeline."""

from enum import StrEnum
from typing import Self

from msgspec import Struct
from msgspec.structs import replace

from pipeline.domain.access.permissions import EVERY_PERMISSION, ROLES, Permission, Role
from pipeline.domain.access.scopes import EVERYTHING, Scope


class PrincipalKind(StrEnum):
    """What a principal is."""

    USER = "user"
    API_TOKEN = "api_token"  # noqa: S105 - a kind, not a token
    START_TOKEN = "start_token"  # noqa: S105
    METRICS_TOKEN = "metrics_token"  # noqa: S105
    LOCAL = "local"
    SYSTEM = "system"


class Principal(Struct, frozen=True):
    """Who acts, what they may do, and what they see. `name` is what acts record."""

    name: str
    kind: PrincipalKind
    permissions: frozenset[Permission]
    scope: Scope = EVERYTHING
    role: Role | None = None

    def may(self, permission: Permission) -> bool:
        """Whether they have that permission."""
        return permission in self.permissions

    def narrowed(self, role: Role, scope: Scope) -> Self:
        """The same with no more than another role and scope allow: an API token of a user."""
        both = self.permissions & ROLES[role].permissions
        return replace(
            self, kind=PrincipalKind.API_TOKEN, permissions=both, scope=self.scope.narrowed(scope), role=role
        )


def user_principal(name: str, role: Role, scope: Scope) -> Principal:
    """A user in that role."""
    return Principal(name, PrincipalKind.USER, ROLES[role].permissions, scope, role)


LOCAL = Principal("local", PrincipalKind.LOCAL, EVERY_PERMISSION)
"""Who runs commands with the database URL and the master key."""
SYSTEM = Principal("system", PrincipalKind.SYSTEM, EVERY_PERMISSION)
"""The stages of the pipeline, the public form among them."""
START_TOKEN = Principal("sign-in token", PrincipalKind.START_TOKEN, EVERY_PERMISSION)
METRICS_TOKEN = Principal("metrics token", PrincipalKind.METRICS_TOKEN, frozenset({Permission.METRICS}))
RESERVED_NAMES = frozenset(one.name for one in (LOCAL, SYSTEM, START_TOKEN, METRICS_TOKEN))
"""No user may have these names."""
