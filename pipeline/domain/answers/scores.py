"""Scores, and who counts as a detractor or promoter: would the customer recommend us, after this fulfilment?"""

from collections.abc import Mapping

from pipeline.domain.events.contract import Score

SCALES: Mapping[int, range] = {5: range(1, 6), 10: range(11)}
# Detractors and promoters by scale: 0-6 and 9-10 on the scale to 10 (Reichheld 2003), 1-2 and 5 on the scale to 5.
DETRACTOR_UP_TO = {5: 2, 10: 6}
PROMOTER_FROM = {5: 5, 10: 9}


def is_detractor(score: Score) -> bool:
    """Whether the score is that of an unhappy customer."""
    return score.value <= DETRACTOR_UP_TO[score.scale]


def is_promoter(score: Score) -> bool:
    """Whether the score is that of a customer who would recommend us."""
    return score.value >= PROMOTER_FROM[score.scale]
