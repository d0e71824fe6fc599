"""Further figures that the reference file states for a poststratified segment and the product does not show."""

from typing import Any

from pipeline.domain.detection.intervals import Poststratified, breakdown_rho, rate_interval


def further_figures(
    figures: Poststratified, *, n10: float, n11: float, claimed_on_time: int, alpha: float = 0.05, **_: Any
) -> dict[str, Any]:
    """The experienced share, and how much of the disagreement response bias could explain."""
    low, high = rate_interval(n10, n10 + n11, alpha / 2)
    certain = (n10 / claimed_on_time, (claimed_on_time - n11) / claimed_on_time) if claimed_on_time else (0.0, 1.0)
    return {
        "experienced": None if figures.gap is None else figures.claimed - figures.gap,
        "certain_share_of_claimed": certain,
        "disagreement_interval_alpha_half": (low, high),
        "d_pop_if_rho2": (_among_all(low, 2.0), _among_all(high, 2.0)),
        "breakdown_rho_at_5pct": breakdown_rho(low, 0.05),
    }


def _among_all(d: float, rho: float) -> float:
    """The rate over all orders behind rate `d` among answers, if late orders are answered `rho` times as often."""
    return d / (d + rho * (1.0 - d))
