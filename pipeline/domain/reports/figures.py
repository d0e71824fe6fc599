"""The figures of one segment, from its summed counters.

Shares lie in [0, 1] and are not rounded. The names of the counters are those of `counts`.
"""

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Literal

from msgspec import Struct

from pipeline.domain.detection.intervals import poststratified, rate_interval
from pipeline.domain.detection.pairs import IN_FULL, ON_TIME
from pipeline.domain.reports.counts import (
    CHANGED_ADDRESS,
    CONDITION,
    ERASED,
    NOT_ASKED,
    NOTHING_TO_CODE,
    PENDING,
    QR_ANSWERS,
    SCORE,
    SHARED_ADDRESS,
    UNREAD,
    UNSCORED,
    Counts,
    corrected_share,
)
from pipeline.domain.reports.embellishment import (
    contact_missing_risk_ratio,
    contactable_share,
    early_scan_share,
    inflation,
    rescue_share,
)
from pipeline.domain.reports.scenario_nps import Figure, Histogram, mean_score, nps

ENOUGH_PAIRS = 10
"""Answers below which no point is shown: it would reflect who answered rather than the segment."""


class Row(Struct, frozen=True, kw_only=True):
    """The figures of the read API, under the names of its contract. Counts are delivered orders."""

    delivered: int
    claimed_on_time: int
    answered: int
    answered_claimed_on_time: int
    claimed_on_time_but_detractor: int
    mean_score: Figure | None
    nps: Figure | None
    experienced_on_time: Figure | None
    erased: int
    """Persons who were erased, counted for each of their orders. Their scores and codes are still counted."""


class Against(Struct, frozen=True):
    """A claim by one yardstick: `kept` out of the `stated` orders for which it can be determined."""

    yardstick: Literal["first promise", "latest promise", "requested date", "in full"]
    kept: int
    stated: int

    @property
    def share(self) -> float | None:
        """The share kept; None without any such order."""
        return self.kept / self.stated if self.stated else None


class TwoByTwo(Struct, frozen=True):
    """Answered orders by claim and experience: `n10` good claim, bad experience, and so on."""

    n11: int
    n10: int
    n01: int
    n00: int

    @property
    def n(self) -> int:
        """The number of pairs."""
        return self.n11 + self.n10 + self.n01 + self.n00


class Loss(Struct, frozen=True):
    """Orders without any question, for one reason (see `eligibility.Reason`)."""

    reason: str
    orders: int


class Coverage(Struct, frozen=True, kw_only=True):
    """Completed -> contactable -> asked -> replied -> understood, in orders.

    `losses`: not asked, by reason, largest first.
    """

    completed: int
    contactable: int
    asked: int
    replied: int
    losses: tuple[Loss, ...]
    pending: int
    """Neither delivered nor missed yet, or the question is not sent yet."""
    unread: int = 0
    """Replied, not yet read: no reply states anything codable, so a person has to read it."""
    nothing_to_code: int = 0
    """Replied and read by a person, and no reply states anything that could be counted."""
    qr_answers: int = 0
    """Answers by the code on the delivery note, from whoever scanned it: in no other figure."""

    @property
    def not_answered(self) -> int:
        """Asked, without a reply so far."""
        return max(self.asked - self.replied, 0)

    @property
    def understood(self) -> int:
        """Replied, and something codable is known of it."""
        return self.replied - self.unread - self.nothing_to_code


class Signs(Struct, frozen=True, kw_only=True):
    """Signs of embellishment. None where the orders for it are missing."""

    rescue: Figure | None
    """Share on time after the missed promise was moved, of the orders delivered after their first promise."""
    inflation: float | None
    """On time by the latest promise minus on time by the first, as a difference of shares."""
    early_scans: Figure | None
    """Share of goods that arrived over 2 hours after the "delivered" scan, of the arrivals that customers state."""
    missing_contacts: Figure | None
    """How many times as often orders at risk have no contact to ask as other orders; n: orders at risk."""
    contactable: float | None
    """Share of the decided orders with a contact who could be asked."""
    shared_addresses: int = 0
    """Orders with a contact whose address serves other accounts, too. A count, no sign of its own."""
    changed_addresses: int = 0
    """Orders with a contact whose address changed shortly before completion. A count, no sign of its own."""
    corrected_on_time: float | None = None
    """Share of the customers' denials of "on time" that people corrected to agreement. A share, no sign of its own."""
    corrected_in_full: float | None = None
    """The same share for "in full"."""


class Compared(Struct, frozen=True):
    """Claimed and experienced share over all orders of a segment: the answers, weighted by the census of claims.

    The gap is claimed minus experienced, as a difference of shares; `n` of both figures: answered orders.
    """

    claimed: float
    experienced: Figure
    gap: Figure


class Figures(Struct, frozen=True, kw_only=True):
    """All figures that reports show about one segment."""

    row: Row
    claims: tuple[Against, ...]
    on_time: TwoByTwo
    in_full: TwoByTwo
    compared: Compared | None
    """On time; None until a customer states the arrival of an order that was claimed on time."""
    compared_in_full: Compared | None
    perfect: Figure | None
    """In full x on time for the customer x papers x condition, of the orders where all are known."""
    unhappy: Figure | None
    """Detractors among the orders that were claimed on time and got a score."""
    conditions: tuple[tuple[str, int], ...]
    """The conditions that customers report, with the number of answers, most frequent first."""
    scores: Histogram
    scale: int
    """The scale `row.mean_score` is on: 5 or 10."""
    coverage: Coverage
    signs: Signs

    @property
    def experienced(self) -> Figure | None:
        """Share of orders that were on time for the customer, of all orders; None as `compared` is."""
        return None if self.compared is None else self.compared.experienced

    @property
    def gap(self) -> Figure | None:
        """Claimed minus experienced, on time; None as `compared` is."""
        return None if self.compared is None else self.compared.gap


def row_of(counts: Counts) -> Row:
    """The figures of the read API, from a segment's summed counters."""
    histogram, compared = histogram_of(counts), compared_of(counts)
    return Row(
        delivered=counts.get("delivered", 0),
        claimed_on_time=counts.get("on_time", 0),
        answered=counts.get("delivered:answered", 0),
        answered_claimed_on_time=counts.get("on_time:answered", 0),
        claimed_on_time_but_detractor=counts.get("on_time:detractor", 0),
        mean_score=mean_score(histogram),
        nps=nps(histogram),
        experienced_on_time=compared.experienced if compared else None,
        erased=counts.get(ERASED, 0),
    )


def figures_of(counts: Counts) -> Figures:
    """All figures, from a segment's summed counters."""
    histogram = histogram_of(counts)
    return Figures(
        row=row_of(counts),
        claims=_claims(counts),
        on_time=_two_by_two(counts, "on_time"),
        in_full=_two_by_two(counts, "in_full"),
        compared=compared_of(counts),
        compared_in_full=compared_of(counts, "in_full"),
        perfect=share(counts.get("perfect", 0), counts.get("perfect:stated", 0)),
        unhappy=share(counts.get("on_time:detractor", 0), counts.get("on_time:answered", 0) - counts.get(UNSCORED, 0)),
        conditions=_named(counts, CONDITION),
        scores=histogram,
        scale=5 if {scale for scale, _ in histogram} == {5} else 10,
        coverage=_coverage(counts),
        signs=signs_of(counts),
    )


def share(hits: int, n: int, alpha: float = 0.05) -> Figure | None:
    """`hits` of `n`, with the interval that holds at every look; None if `n` is 0."""
    return _with_interval(hits / n if n > 0 else None, hits, n, alpha)


def rescues(counts: Counts, alpha: float = 0.05) -> Figure | None:
    """The rescue share, with its interval; n: orders delivered after their first promise."""
    rescued, missed = counts.get("rescued", 0), counts.get("missed_first", 0)
    return _with_interval(rescue_share(rescued, missed), rescued, missed, alpha)


def early_scans(counts: Counts, alpha: float = 0.05) -> Figure | None:
    """The share of early scans, with its interval; n: stated arrivals."""
    early, stated = counts.get("scanned_early", 0), counts.get("stated_arrival", 0)
    return _with_interval(early_scan_share(early, stated), early, stated, alpha)


def missing_contacts(counts: Counts, alpha: float = 0.05) -> Figure | None:
    """The risk ratio of missing contacts with its log-normal interval at one look; n: orders at risk."""
    missing, at_risk = counts.get("risk:unreachable", 0), counts.get("risk", 0)
    missing_clean, clean = counts.get("clean:unreachable", 0), counts.get("clean", 0)
    ratio = contact_missing_risk_ratio(missing, at_risk, missing_clean, clean)
    if ratio is None:
        return None
    # The delta method on the logarithm, with the same halves that the ratio is smoothed by.
    variance = 1 / (missing + 0.5) - 1 / (at_risk + 1) + 1 / (missing_clean + 0.5) - 1 / (clean + 1)
    width = math.exp(NormalDist().inv_cdf(1 - alpha / 2) * math.sqrt(variance))
    return Figure(ratio, ratio / width, ratio * width, at_risk)


def on_time_inflation(counts: Counts) -> float | None:
    """How much moving promises adds to the on-time share (a difference of shares); None without promises."""
    promised = counts.get("on_time:stated", 0)
    missed_first = counts.get("on_time_first:stated", 0) - counts.get("on_time_first", 0)
    return inflation(missed_first, promised - counts.get("on_time", 0), promised)


def _with_interval(rate: float | None, hits: int, n: int, alpha: float) -> Figure | None:
    if rate is None:
        return None
    low, high = rate_interval(min(hits, n), n, alpha)
    return Figure(rate, low, high, n)


def histogram_of(counts: Counts) -> Histogram:
    """Answers by (scale, score)."""
    found: dict[tuple[int, int], int] = {}
    for name, n in _named(counts, SCORE):
        scale, _, score = name.partition(":")
        found[int(scale), int(score)] = n
    return dict(sorted(found.items()))


def signs_of(counts: Counts) -> Signs:
    """The signs of embellishment in a segment's summed counters."""
    decided = counts.get("completed", 0) - counts.get(PENDING, 0)
    return Signs(
        rescue=rescues(counts),
        inflation=on_time_inflation(counts),
        early_scans=early_scans(counts),
        missing_contacts=missing_contacts(counts),
        contactable=contactable_share(counts.get("contactable", 0), decided),
        shared_addresses=counts.get(SHARED_ADDRESS, 0),
        changed_addresses=counts.get(CHANGED_ADDRESS, 0),
        corrected_on_time=corrected_share(counts, ON_TIME),
        corrected_in_full=corrected_share(counts, IN_FULL),
    )


def _claims(counts: Counts) -> tuple[Against, ...]:
    return (
        Against("first promise", counts.get("on_time_first", 0), counts.get("on_time_first:stated", 0)),
        Against("latest promise", counts.get("on_time", 0), counts.get("on_time:stated", 0)),
        Against("requested date", counts.get("on_time_requested", 0), counts.get("on_time_requested:stated", 0)),
        Against("in full", counts.get("in_full", 0), counts.get("in_full:stated", 0)),
    )


def _two_by_two(counts: Counts, claim: str) -> TwoByTwo:
    n11, n10, n01, n00 = (counts.get(f"{claim}:{cell}", 0) for cell in ("11", "10", "01", "00"))
    return TwoByTwo(n11, n10, n01, n00)


def compared_of(counts: Counts, claim: str = "on_time", alpha: float = 0.05) -> Compared | None:
    """Claimed and experienced share of a claim (on_time, in_full); None without an answer about a good claim."""
    pairs = _two_by_two(counts, claim)
    weighted = poststratified(
        n10=pairs.n10,
        n11=pairs.n11,
        n00=pairs.n00,
        n01=pairs.n01,
        completed=counts.get(f"{claim}:stated", 0),
        claimed_on_time=counts.get(claim, 0),
        alpha=alpha,
    )
    answered = pairs.n10 + pairs.n11
    if weighted is None or not answered:
        return None
    # Without answers about orders claimed late, the point assumes that they were late as claimed. Otherwise a segment
    # that reports almost nothing late would never get a point. The interval assumes nothing.
    gap = weighted.claimed * pairs.n10 / answered if weighted.gap is None else weighted.gap
    low, high = weighted.gap_interval
    value, bottom, top = (_clip(weighted.claimed - end) for end in (gap, high, low))
    return Compared(weighted.claimed, Figure(value, bottom, top, pairs.n), Figure(gap, low, high, pairs.n))


def _clip(rate: float) -> float:
    return min(max(rate, 0.0), 1.0)


def _coverage(counts: Counts) -> Coverage:
    return Coverage(
        completed=counts.get("completed", 0),
        contactable=counts.get("contactable", 0),
        asked=counts.get("asked", 0),
        replied=counts.get("answered", 0),
        unread=counts.get(UNREAD, 0),
        nothing_to_code=counts.get(NOTHING_TO_CODE, 0),
        losses=tuple(Loss(reason, n) for reason, n in _named(counts, NOT_ASKED)),
        pending=counts.get(PENDING, 0),
        qr_answers=counts.get(QR_ANSWERS, 0),
    )


def _named(counts: Mapping[str, int], prefix: str) -> tuple[tuple[str, int], ...]:
    """The counters with a prefix, by the rest of their names: largest first (equals by name), zeros omitted."""
    found = [(name.removeprefix(prefix), n) for name, n in counts.items() if name.startswith(prefix) and n]
    return tuple(sorted(found, key=lambda item: (-item[1], item[0])))
