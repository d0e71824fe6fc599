"""Form bodies and bearer tokens, as browsers, providers and attackers send them."""

import pytest

from pipeline.web.http.bearer import bearer_token
from pipeline.web.http.forms import form_fields, printable


def test_fields_keep_their_order_and_empty_values() -> None:
    assert form_fields(b"a=1&b=&a=%C3%A9+x", 10) == [("a", "1"), ("b", ""), ("a", "é x")]


@pytest.mark.parametrize("body", [b"a=\xff", b"&".join([b"a=1"] * 11)])
def test_a_malformed_form_body_is_rejected(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        form_fields(body, 10)


def test_invalid_utf_8_is_replaced_unless_the_caller_is_strict() -> None:
    assert form_fields(b"a=%ff", 10) == [("a", "\N{REPLACEMENT CHARACTER}")]
    with pytest.raises(ValueError, match="utf-8"):
        form_fields(b"a=%ff", 10, "strict")


def test_text_loses_control_characters_and_carriage_returns() -> None:
    assert printable(" a\r\nb\x00\x1b[31m\ttab\ud800 \n") == "a\nb[31m\ttab"


@pytest.mark.parametrize(
    ("header", "token"),
    [("Bearer abc", "abc"), ("bearer  abc ", "abc"), ("Basic abc", None), ("abc", None), ("", None), ("Bearer ", "")],
)
def test_a_bearer_token_needs_its_scheme(header: str, token: str | None) -> None:
    assert bearer_token(header) == token
