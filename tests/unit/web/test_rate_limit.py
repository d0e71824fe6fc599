"""Failed attempts are counted by address, and many addresses do not fill the memory."""

from typing import Any

import pytest
from litestar import Request

from pipeline.web.http import rate_limit
from pipeline.web.http.rate_limit import FailedAttempts


def coming_from(host: str) -> Request[Any, Any, Any]:
    return Request({"type": "http", "client": (host, 50_000), "headers": []})  # type: ignore[arg-type]


def test_failed_attempts_are_limited_by_address() -> None:
    wrong, one, other = FailedAttempts(2), coming_from("192.0.2.1"), coming_from("192.0.2.2")
    assert (wrong.count(one), wrong.exhausted(one), wrong.count(one)) == (0, False, 0)
    assert wrong.exhausted(one)
    assert 1 <= wrong.count(one) <= 60
    assert (wrong.exhausted(other), wrong.count(other)) == (False, 0)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),  # the network of one subscriber
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "not an address", False),
    ],
)
def test_which_hosts_count_as_one_address(first: str, second: str, same: bool) -> None:
    wrong = FailedAttempts(1)
    wrong.count(coming_from(first))
    assert wrong.exhausted(coming_from(second)) is same


def test_addresses_beyond_the_maximum_share_one_counter_and_known_ones_keep_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rate_limit, "_MAX_ADDRESSES", 10)
    wrong, known = FailedAttempts(2), coming_from("192.0.2.1")
    wrong.count(known)
    for n in range(1_000):
        wrong.count(coming_from(f"198.51.{n // 250}.{n % 250}"))
    assert len(wrong._counts.storage) <= 11
    assert wrong.exhausted(coming_from("203.0.113.1")), "all further addresses share a counter"
    assert not wrong.exhausted(known)
