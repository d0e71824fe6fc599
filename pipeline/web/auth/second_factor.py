"""The optional second factor of local accounts: time-based codes of an app (TOTP, RFC 6238)."""

import io
from datetime import datetime

import segno
from markupsafe import Markup
from pyotp import random_base32
from pyotp.totp import TOTP
from pyotp.utils import strings_equal

_STEP = 30  # seconds
_TOLERATED = (0, -1, 1)  # steps: clocks of phones differ
_DIGITS = 6


def new_secret() -> str:
    """A new secret, base32."""
    return random_base32()


def matching_step(secret: str, code: str, now: datetime) -> int | None:
    """The time step that a code belongs to; None if it is wrong. Whoever accepts a code uses up its step."""
    digits = code.replace(" ", "")
    if len(digits) != _DIGITS or not (digits.isascii() and digits.isdigit()):
        return None
    totp, current = TOTP(secret, digits=_DIGITS, interval=_STEP), int(now.timestamp()) // _STEP
    return next((current + n for n in _TOLERATED if strings_equal(digits, totp.generate_otp(current + n))), None)


def uri_of(secret: str, name: str) -> str:
    """What an app reads."""
    return TOTP(secret, digits=_DIGITS, interval=_STEP).provisioning_uri(name=name, issuer_name="Unvarnished")


def qr_code(uri: str) -> Markup:
    """The same as a QR code: an SVG element of a page, without styles."""
    written = io.BytesIO()
    segno.make(uri, error="m").save(
        written, kind="svg", xmldecl=False, svgns=True, omitsize=True, border=4, light="#fff", dark="#000"
    )
    return Markup(written.getvalue().decode())  # noqa: S704 - drawn above; the data is in its paths
