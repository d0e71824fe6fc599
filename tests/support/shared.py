"""Where data lies that is not ours to publish: beside the checkout, or where UNVARNISHED_SHARED says."""

import os
from pathlib import Path

SHARED = Path(os.environ.get("UNVARNISHED_SHARED", Path(__file__).parents[3] / "shared"))
