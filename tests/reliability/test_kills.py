"""The short form of `make bench WHAT=kills`: the live demo under load, killed three times."""

import pytest

from tests.reliability.kills import Load, run

pytestmark = [pytest.mark.reliability, pytest.mark.e2e, pytest.mark.slow]


def test_the_live_demo_killed_three_times_under_load_loses_nothing_and_asks_no_contact_twice() -> None:
    result = run(Load(kills=3, orders=80, outside=20, pace=1_200, life=1.0, days=1), expire_leases=True)
    assert result.killed.messages > 60
    assert len(result.acknowledged) == 40
    assert result.lost == set()
    assert result.killed.doubled == 0
    assert result.differing == []
