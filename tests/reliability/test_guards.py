"""The three guards that everything rests on, each taken away. `make bench WHAT=guards` takes away all of them."""

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
    """That the same tests are green with their guards in place, the rest of the suite shows."""
    with copied() as made:
        yield made


@pytest.mark.slow
@pytest.mark.parametrize("guard", FOUNDATIONS, ids=lambda guard: guard.name)
def test_without_the_guard_a_test_turns_red(tree: Path, guard: Guard) -> None:
    red(tree, guard)


def test_every_guard_stands_where_it_is_said_to_stand() -> None:
    assert {guard.name for guard in GUARDS if (ROOT / guard.file).read_text().count(guard.text) != 1} == set()
    assert max(Counter(guard.name for guard in GUARDS).values()) == 1


def test_every_test_that_watches_over_a_guard_is_there() -> None:
    tests = sorted({test for guard in GUARDS for test in guard.tests})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2_000:]
