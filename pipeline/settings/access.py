"""Users: how they sign in, how long a session lasts, and how many wrong passwords are possible."""

from typing import Any, ClassVar, NamedTuple, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from pipeline.domain.access.permissions import Role
from pipeline.domain.access.scopes import Scope, parse_scope
from pipeline.settings.base import SettingsGroup


class GroupRole(NamedTuple):
    """The role and the scope of the members of a group."""

    role: Role
    scope: Scope


class AccessSettings(SettingsGroup):
    """Sign-in, sessions, and the identity provider (OpenID Connect)."""

    subject: ClassVar[str] = "Users and sign-in"

    internal_url: str | None = Field(
        None,
        description="URL at which users reach the internal listener, as in https://unvarnished.example.com, if it "
        "is behind a proxy. Sign-in links, links to incidents for receivers, the return from the identity provider and "
        "the check of a form's origin use it. With https, cookies are Secure",
    )
    metrics_token: SecretStr | None = Field(
        None, min_length=20, description="token that opens /metrics of every process, and nothing else"
    )
    generated_sign_in_token: SecretStr | None = Field(
        None,
        min_length=20,
        description="as UNVARNISHED_SIGN_IN_TOKEN, but it stops working with the first admin. `unvarnished up` sets it "
        "for the processes it starts",
    )
    session_idle_minutes: int = Field(480, ge=5, description="minutes without a request after which a session ends")
    session_max_hours: int = Field(168, ge=1, description="hours after which a session ends in any case")
    invitation_hours: int = Field(72, ge=1, le=720, description="hours in which an invitation can be accepted")
    free_sign_in_failures: int = Field(
        10,
        ge=3,
        description="failed sign-ins for an account or from an address after which the next attempt has to wait, twice "
        "as long after each further one, up to 15 minutes. A browser that signed in to the account before is counted "
        "separately",
    )
    oidc_issuer: str | None = Field(
        None, description="URL of the OpenID Connect provider, as in https://id.example.com/realms/company"
    )
    oidc_client_id: str | None = Field(None, description="client id that the identity provider gave to this product")
    oidc_client_secret: SecretStr | None = Field(
        None, description="secret of that client. Without it the client is public, protected by PKCE alone"
    )
    oidc_groups_claim: str = Field("groups", description="claim of the ID token that lists the groups of a user")
    oidc_scopes: str = Field("openid profile email", description="scopes that are requested from the provider")
    oidc_roles: dict[str, Any] = Field(
        default_factory=dict,
        description='role of each group, as JSON: {"boss": "management", "ara": {"role": "operations", "scope": '
        '["region=ARA"]}}. The first group that a user belongs to counts; without one they cannot sign in',
    )

    @field_validator("internal_url", "oidc_issuer")
    @classmethod
    def _check_urls(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("https://", "http://")):
            raise ValueError("must start with https:// (or with http://, on your own machine)")
        return value and value.rstrip("/")

    @field_validator("oidc_roles")
    @classmethod
    def _check_roles(cls, value: dict[str, Any]) -> dict[str, Any]:
        _group_roles(value)
        return value

    @model_validator(mode="after")
    def _check_oidc(self) -> Self:
        if self.oidc_issuer is not None and (self.oidc_client_id is None or not self.oidc_roles):
            raise ValueError("UNVARNISHED_OIDC_ISSUER also needs UNVARNISHED_OIDC_CLIENT_ID and UNVARNISHED_OIDC_ROLES")
        return self

    @property
    def group_roles(self) -> dict[str, GroupRole]:
        """The role and scope of each group, in the order in which they count."""
        return _group_roles(self.oidc_roles)


def _group_roles(value: dict[str, Any]) -> dict[str, GroupRole]:
    """Raises ValueError that names the group."""
    found = {}
    for group, given in value.items():
        wanted = {"role": given} if isinstance(given, str) else given
        if not isinstance(wanted, dict) or not {"role"} <= set(wanted) <= {"role", "scope"}:
            raise ValueError(f'{group!r}: is not a role, as in {{"role": "operations", "scope": ["region=ARA"]}}')
        try:
            role = Role(wanted["role"])
        except ValueError:
            raise ValueError(f"{group!r}: {wanted['role']!r} is not one of {', '.join(Role)}") from None
        try:
            found[group] = GroupRole(role, parse_scope(role, [str(entry) for entry in wanted.get("scope", [])]))
        except ValueError as error:
            raise ValueError(f"{group!r}: {error}") from None
    return found
