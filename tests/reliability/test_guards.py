"""Tests of the three most important guards: each is removed. `make bench WHAT=guards` removes all of them."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reliability.guards import GUARDS, Guard, copied, red
from tests.support.paths import ROOT

pytestmark = pytest.mark.reliability

FOUNDATIONS = [guard for guard in GUARDS if guard.name.startswith(("one decision", "committed", "the adapter"))]


@pytest.fixture(scope="module")
def tree() -> Iterator[Path]:
    """A copy of the tree. That the tests pass with their guards is shown by the rest of the suite."""
    with copied() as made:
        yield made


@pytest.mark.slow
@pytest.mark.parametrize("guard", FOUNDATIONS, ids=lambda guard: guard.name)
def test_without_the_guard_its_tests_fail(tree: Path, guard: Guard) -> None:
    red(tree, guard)


def test_every_guard_is_found_once_in_its_file() -> None:
    assert {guard.name for guard in GUARDS if (ROOT / guard.file).read_text().count(guard.text) != 1} == set()
    assert max(Counter(guard.name for guard in GUARDS).values()) == 1


def test_every_test_of_a_guard_exists(request: pytest.FixtureRequest) -> None:
    """In a run of all tests they are known; otherwise those that are not part of it are collected."""
    collected = {item.nodeid for item in request.session.items}
    tests = sorted({test for guard in GUARDS for test in guard.tests} - collected)
    if not tests:
        return
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2_000:]
