"""The checkout, and the folder of data that we may not publish: next to it, or set by UNVARNISHED_SHARED."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("UNVARNISHED_SHARED", ROOT.parent / "shared"))
