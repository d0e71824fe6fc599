"""Where segments and the orders behind their figures are shown."""

from datetime import date
from urllib.parse import urlencode

from pipeline.domain.detection.segments import Segment


def segment_address(dimension: str, value: str) -> str:
    """The page of a segment. Its name is a query parameter: it may contain anything."""
    return "/segment?" + urlencode({"segment": f"{dimension}:{value}"})


def orders_address(
    segment: Segment, first: date | None = None, last: date | None = None, *, verdict: str = "", account: str = ""
) -> str:
    """The orders of a segment, of those completed in the period, with that verdict, of that account."""
    given = {
        "segment": f"{segment.dimension}:{segment.value}",
        "verdict": verdict,
        "account": account,
        "from": first or "",
        "to": last or "",
    }
    return "/orders?" + urlencode({name: value for name, value in given.items() if value})
