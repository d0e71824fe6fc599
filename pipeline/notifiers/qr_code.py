"""The code on a delivery note: the link to an order's form as a picture (ISO/IEC 18004), to print."""

from io import BytesIO
from typing import Literal

import segno

PictureFormat = Literal["svg", "png"]
_SCALE = 8  # pixels of a module in a PNG: 25 mm across at 300 dots an inch
_QUIET_ZONE = 4  # modules around the code, as the standard requires


def picture(link: str, file_format: PictureFormat) -> bytes:
    """The code of a link. A quarter of it may be dirty or torn (error correction Q)."""
    made = segno.make(link, error="q", micro=False)
    out = BytesIO()
    if file_format == "svg":
        made.save(out, kind="svg", border=_QUIET_ZONE, light="#fff", title=None, omitsize=True)
    else:
        made.save(out, kind="png", border=_QUIET_ZONE, scale=_SCALE)
    return out.getvalue()
