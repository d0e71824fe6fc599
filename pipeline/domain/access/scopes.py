"""Scopes: the segments or accounts that somebody sees. What is outside a scope does not exist for them."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec import Struct

from pipeline.domain.access.permissions import ROLES, Role, ScopeKind
from pipeline.domain.detection.alert_ids import series_of
from pipeline.domain.events.spelling import normal

ACCOUNT = "account"  # the dimension of entries that name an account
_JOIN = "+"
_MAX_ENTRIES = 200
_MAX_LENGTH = 200  # of a dimension and of a value, as in events


class Entry(NamedTuple):
    """One entry of a scope: the value of a dimension, or an account."""

    dimension: str
    value: str

    def __str__(self) -> str:
        return f"{self.dimension}={self.value}"


class Scope(Struct, frozen=True):
    """The entries that somebody sees; None: everything. No entries: nothing."""

    entries: tuple[Entry, ...] | None = None

    @property
    def is_everything(self) -> bool:
        """Whether nothing is outside of it."""
        return self.entries is None

    def sees_order(self, account_id: str, dimensions: Mapping[str, str]) -> bool:
        """Whether an order of that account and these dimensions matches an entry."""
        if self.entries is None:
            return True
        return any(
            account_id == entry.value if entry.dimension == ACCOUNT else dimensions.get(entry.dimension) == entry.value
            for entry in self.entries
        )

    def sees_segment(self, dimension: str, value: str) -> bool:
        """Whether a segment is an entry, or one of a composite level that contains an entry.

        A composite value that can be split in two ways belongs to nobody's scope. The fleet is a segment that only
        those see whose scope is everything.
        """
        if self.entries is None:
            return True
        names, values = dimension.split(_JOIN), value.split(_JOIN)
        if Entry(dimension, value) in self.entries:
            return True
        if len(names) == 1 or len(names) != len(values):
            return False
        return any(Entry(*part) in self.entries for part in zip(names, values, strict=True))

    def sees_alert(self, alert_id: str) -> bool:
        """Whether they see the segment of an alert, by the alert's id.

        An id that can be split in two ways, because of a slash in its value, belongs only to the scope that names it.
        """
        series = series_of(alert_id)
        if "/" in series.value and self.entries is not None:
            named = f"{series.dimension}/{series.value}"
            return any(f"{entry.dimension}/{entry.value}" == named for entry in self.entries)
        return self.sees_segment(series.dimension, series.value)

    def narrowed(self, other: "Scope") -> "Scope":
        """What both scopes see: the entries that they share."""
        if self.entries is None:
            return other
        if other.entries is None:
            return self
        return Scope(tuple(entry for entry in self.entries if entry in other.entries))

    def covers(self, other: "Scope") -> bool:
        """Whether the other scope sees nothing that this one does not."""
        return self.entries is None or (other.entries is not None and set(other.entries) <= set(self.entries))

    @property
    def parts(self) -> str | None:
        """The dimension that all entries share, so that none of them overlap; None if there is no such dimension."""
        names = {entry.dimension for entry in self.entries or ()}
        return names.pop() if len(names) == 1 else None

    def texts(self) -> list[str]:
        """The entries as `parse_scope` reads them."""
        return [str(entry) for entry in self.entries or ()]


EVERYTHING = Scope()


def parse_scope(role: Role, texts: Iterable[str]) -> Scope:
    """The scope of a user in that role, from entries such as "region=ARA", for account managers "account=A-1".

    Raises ValueError whose message is for the user of a command or page.
    """
    rule = ROLES[role]
    given = [text.strip() for text in texts]
    entries = tuple(dict.fromkeys(_entry(text) for text in given if text))
    if not entries:
        if rule.scope_required:
            raise ValueError(f"scope: the role {role} needs at least one entry, as in account=A-1")
        return EVERYTHING
    if rule.scope is ScopeKind.NONE:
        raise ValueError(f"scope: the role {role} has no scope")
    if len(entries) > _MAX_ENTRIES:
        raise ValueError(f"scope: more than {_MAX_ENTRIES} entries")
    for entry in entries:
        if (entry.dimension == ACCOUNT) != (rule.scope is ScopeKind.ACCOUNTS):
            example = "account=A-1" if rule.scope is ScopeKind.ACCOUNTS else "region=ARA"
            raise ValueError(f"scope: {str(entry)!r} is not an entry for the role {role}, as in {example}")
    return Scope(entries)


def parse_route_scope(texts: Iterable[str]) -> Scope:
    """The scope of a route to receivers, by the rules of users: segments, or accounts, never both.

    Raises ValueError whose message is for whoever writes the configuration.
    """
    entries = tuple(dict.fromkeys(_entry(text.strip()) for text in texts))
    if len(entries) > _MAX_ENTRIES:
        raise ValueError(f"scope: more than {_MAX_ENTRIES} entries")
    if len({entry.dimension == ACCOUNT for entry in entries}) > 1:
        raise ValueError("scope: segments and accounts in one scope, which no user can have")
    return Scope(entries)


def _entry(text: str) -> Entry:
    dimension, separator, value = text.partition("=")
    entry = Entry(normal(dimension), normal(value))
    if not separator or not entry.dimension or not entry.value:
        raise ValueError(f"scope: {text[:_MAX_LENGTH]!r} is not DIMENSION=VALUE, as in region=ARA")
    if _JOIN in entry.dimension:
        raise ValueError(f"scope: {entry.dimension[:_MAX_LENGTH]!r} is a composite level; name one dimension")
    if max(map(len, entry)) > _MAX_LENGTH:
        raise ValueError(f"scope: an entry has more than {_MAX_LENGTH} characters")
    return entry
