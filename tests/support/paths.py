"""The checkout, and where data lies that is not ours to publish: beside it, or where UNVARNISHED_SHARED says."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("UNVARNISHED_SHARED", ROOT.parent / "shared"))
