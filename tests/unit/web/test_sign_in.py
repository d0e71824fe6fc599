"""The path that the sign-in continues with: only a page of ours, whatever a link claims."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.web.auth.continuing import own_path


@pytest.mark.parametrize("path", ["/", "/orders/SO-1", "/dashboard?by=depot&from=2026-11-01", "/orders?q=SO%2F1"])
def test_a_path_of_ours_is_kept(path: str) -> None:
    assert own_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "orders",
        "//other.example",
        "/\\other.example",
        "https://other.example/",
        "/\tother",
        "/é",
        "/" + "a" * 2_000,
    ],
)
def test_anything_else_leads_to_the_dashboard(path: str) -> None:
    assert own_path(path) == "/"


@given(st.text(max_size=60))
def test_no_text_leads_to_another_host(text: str) -> None:
    for given_path in (text, "/" + text):
        found = urlsplit(own_path(given_path))
        assert (found.scheme, found.netloc) == ("", "")
