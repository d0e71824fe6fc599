"""HTML forms as browsers and providers send them: `application/x-www-form-urlencoded`."""

import re
from typing import Any, Literal
from urllib.parse import parse_qsl

from litestar import Request

from pipeline.web.http.problems import Problem

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def form_fields(
    body: bytes, max_fields: int, invalid_utf8: Literal["replace", "strict"] = "replace"
) -> list[tuple[str, str]]:
    """The fields of a form body in their order, empty ones included.

    Raises ValueError if the body is not ASCII, has more than `max_fields` fields, or, with `strict`, escapes bytes
    that are not UTF-8; by default such bytes become replacement characters.
    """
    return parse_qsl(body.decode("ascii"), keep_blank_values=True, errors=invalid_utf8, max_num_fields=max_fields)


async def read_form(request: Request[Any, Any, Any], max_fields: int) -> list[tuple[str, str]]:
    """The fields of the form in a request's body. Raises Problem 400 if the body is not a form."""
    try:
        return form_fields(await request.body(), max_fields)
    except ValueError:
        raise Problem(400, "the body is not a form as browsers send it") from None


def printable(text: str) -> str:
    """A text field with line ends as `\\n` and without control characters, half surrogates or outer white space."""
    return _UNPRINTABLE.sub("", text.replace("\r\n", "\n")).strip()
