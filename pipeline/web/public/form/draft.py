"""What was entered and not sent yet, kept in the reader's own browser: a change of language or Back must not lose it.

A cookie of the link's path holds it for ten minutes at most. The page comes by GET, so no browser asks to send it
anew.
"""

import base64
import json
import zlib
from collections.abc import Mapping
from datetime import timedelta

from litestar.datastructures import Cookie

from pipeline.web.public.form.submission import Submission

_PREFIX = "draft"
_PART, _MAX_PARTS = 3_000, 3  # characters of a cookie, number of cookies: a request's head has at most 16 KiB
_MAX_BYTES = 32_000  # of a draft
_KEPT_FOR = timedelta(minutes=10)


def cookies_of(submission: Submission, path: str, secure: bool) -> list[Cookie]:
    """The cookies that hold a draft. A comment that is too long for them is left out."""
    written = _written(submission)
    if len(written) > _PART * _MAX_PARTS:
        written = _written(submission._replace(comment=""))
    parts = [written[n * _PART : (n + 1) * _PART] for n in range(_MAX_PARTS)]
    return [_cookie(n, part, path, secure) for n, part in enumerate(parts)]


def no_cookies(path: str, secure: bool) -> list[Cookie]:
    """The cookies that end a draft."""
    return [_cookie(n, "", path, secure) for n in range(_MAX_PARTS)]


def draft_in(cookies: Mapping[str, str]) -> Submission | None:
    """The draft in a request's cookies; None: there is none that can be read."""
    written = "".join(cookies.get(f"{_PREFIX}{n}", "") for n in range(_MAX_PARTS))
    if not written:
        return None
    try:
        packed = base64.urlsafe_b64decode(written.encode("ascii"))
        arrival, goods, score, comment = json.loads(zlib.decompressobj().decompress(packed, _MAX_BYTES))
        return Submission(_text(arrival), tuple(map(str, goods)), _text(score), str(comment))
    except (ValueError, TypeError, zlib.error):
        return None


def _written(submission: Submission) -> str:
    entered = [submission.arrival, submission.goods, submission.score, submission.comment]
    packed = zlib.compress(json.dumps(entered, ensure_ascii=False).encode("utf-8", "replace"), 9)
    return base64.urlsafe_b64encode(packed).decode("ascii")


def _cookie(n: int, part: str, path: str, secure: bool) -> Cookie:
    seconds = int(_KEPT_FOR.total_seconds()) if part else 0
    name = f"{_PREFIX}{n}"
    return Cookie(key=name, value=part, path=path, max_age=seconds, secure=secure, httponly=True, samesite="strict")


def _text(value: object) -> str | None:
    return None if value is None else str(value)
