"""The cookies of the internal listener, and the token that its forms carry against forgery by other sites.

Cookies are `__Host-` and Secure where users come by HTTPS (UNVARNISHED_INTERNAL_URL). On plain HTTP, which is for
loopback, browsers would reject them; there they have neither.
"""

import base64
import hmac
from binascii import Error as InvalidBase64
from typing import Any

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie

from pipeline.settings import Settings
from pipeline.store.people.vault import UnsealError, Vault
from pipeline.store.users.secrets import new_secret

SESSION, WELCOME, PROVIDER, DEVICE = "session", "welcome", "provider", "device"
_YEAR = 365 * 24 * 3600  # seconds
_DEVICE_PREFIX = b"device\0"
CSRF_FIELD = "csrf"
CSRF_HEADER = "x-csrf-token"
_Connection = ASGIConnection[Any, Any, Any, Any]


class Cookies:
    """Names, attributes and values of the cookies of one installation."""

    def __init__(self, settings: Settings, vault: Vault) -> None:
        self.secure = (settings.internal_url or "").startswith("https://")
        self._prefix = "__Host-unvarnished_" if self.secure else "unvarnished_"
        self._vault = vault

    def name(self, kind: str) -> str:
        """The name of a cookie."""
        return self._prefix + kind

    def make(self, kind: str, value: str, seconds: int | None = None) -> Cookie:
        """A cookie with that value. `seconds` None: until the browser closes, or the server ends it."""
        return Cookie(
            self.name(kind),
            value=value,
            path="/",
            httponly=True,
            samesite="lax",
            secure=self.secure,
            max_age=seconds,
        )

    def removed(self, kind: str) -> Cookie:
        """What deletes a cookie."""
        return self.make(kind, "", 0)

    def read(self, connection: _Connection, kind: str) -> str:
        """The value of a cookie of a request; "" without it."""
        return connection.cookies.get(self.name(kind), "")

    def device(self, folded_name: str) -> Cookie:
        """A cookie by which a browser shows later that it has signed in to this account before."""
        nonce = new_secret()[:16].encode()
        sealed = self._vault.seal_bytes(_DEVICE_PREFIX + nonce + folded_name.encode())
        return self.make(DEVICE, base64.urlsafe_b64encode(sealed).decode(), _YEAR)

    def device_of(self, connection: _Connection, folded_name: str) -> str | None:
        """The id of a browser that signed in to this account before; None for any other browser."""
        try:
            opened = self._vault.open_bytes(base64.urlsafe_b64decode(self.read(connection, DEVICE)))
        except (InvalidBase64, UnsealError, ValueError):
            return None
        nonce = opened[len(_DEVICE_PREFIX) :][:16]
        expected = _DEVICE_PREFIX + nonce + folded_name.encode()
        return nonce.decode("ascii", "replace") if hmac.compare_digest(opened, expected) else None


def csrf_token(session_id: str) -> str:
    """The token that the forms of a session carry. It is derived from the id, which pages of other sites do not see."""
    return hmac.digest(session_id.encode(), b"csrf", "sha256").hex()
