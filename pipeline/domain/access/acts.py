"""Acts: who did what when, to what, from where. Each is one canonical row that is never changed."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum

import msgspec
from msgspec import Struct

_encode = msgspec.json.Encoder(order="sorted").encode


class ActKind(StrEnum):
    """What was done."""

    SIGNED_IN = "signed_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGNED_OUT = "signed_out"
    SIGNED_OUT_EVERYWHERE = "signed_out_everywhere"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a kind, not a password
    SECOND_FACTOR_ADDED = "second_factor_added"
    SECOND_FACTOR_REMOVED = "second_factor_removed"
    USER_ADDED = "user_added"
    USER_CHANGED = "user_changed"
    USER_DISABLED = "user_disabled"
    USER_ENABLED = "user_enabled"
    USER_RESET = "user_reset"
    TOKEN_CREATED = "token_created"  # noqa: S105 - a kind, not a token
    TOKEN_REVOKED = "token_revoked"  # noqa: S105
    COMMAND_RUN = "command_run"
    PERSONAL_DATA_READ = "personal_data_read"
    CORRECTION_PROPOSED = "correction_proposed"
    CORRECTION_CONFIRMED = "correction_confirmed"
    ERASURE_PROPOSED = "erasure_proposed"
    ERASURE_CONFIRMED = "erasure_confirmed"
    SILENCED = "silenced"
    SETTING_CHANGED = "setting_changed"
    EXPORTED = "exported"
    SCORECARD_SHARED = "scorecard_shared"
    SCORECARD_REVOKED = "scorecard_revoked"
    TALK_PLANNED = "talk_planned"
    TALK_CALLED_OFF = "talk_called_off"
    RESPONSE_SENT = "response_sent"


class Act(Struct, frozen=True):
    """One act. `who`: the name of a principal. `subject`: what it was done to, persons by account and contact id only.

    `origin`: the client's address, or "command line". `details`: values of a closed form, never a number or a word.
    """

    at: datetime
    who: str
    what: ActKind
    subject: str = ""
    origin: str = ""
    details: Mapping[str, str] = {}

    def canonical(self) -> bytes:
        """The act as bytes that are the same on every database: JSON with sorted keys, without spaces, time in UTC."""
        at = self.at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        return _encode({**msgspec.structs.asdict(self), "at": at})

    def details_text(self) -> str:
        """The details in the same form."""
        return _encode(dict(self.details)).decode()
