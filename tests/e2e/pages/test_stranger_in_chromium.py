"""After the demo, a stranger finds within four pages which depots embellish, since when, how, and what to do."""

from pathlib import Path

import pytest

from tests.e2e.pages.stranger import demo, walk
from tests.support.servers.browsing import chromium

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_a_stranger_finds_who_embellishes_since_when_how_and_what_to_do(tmp_path: Path) -> None:
    with demo(tmp_path) as address, chromium() as browser:
        found = walk(browser.new_page(), address)
    depots = ("Valdecobre", "Montvray", "Falkenrode")
    assert sorted(name.split(":")[0] for name in found.since) == sorted(f"Depot {depot}" for depot in depots)
    assert all(day.split()[1:] for day in found.since.values())
    assert "Depot Montvray" in found.sentence
    assert "owner anna" in found.owner
    for depot, words in zip(depots, ("leaves out the contacts", "re-dates missed promises", "early"), strict=True):
        assert words in found.how[depot]
