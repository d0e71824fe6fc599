"""No folder has too many files."""

from collections import Counter

import pytest

from tests.support.paths import ROOT

MAX_FILES = 16
MIGRATIONS = ROOT / "pipeline" / "store" / "schema" / "migrations" / "versions"  # one file per change of the schema


@pytest.mark.parametrize("top", ["pipeline", "tests", "bench", "deploy"])
def test_no_folder_has_more_than_16_python_files(top: str) -> None:
    folders = Counter(path.parent for path in (ROOT / top).rglob("*.py"))
    assert folders
    full = {str(folder.relative_to(ROOT)): n for folder, n in folders.items() if n > MAX_FILES and folder != MIGRATIONS}
    assert full == {}
