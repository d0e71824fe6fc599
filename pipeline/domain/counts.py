"""What one order contributes to the figures of its segments and day, as counters that only ever add up.

A segment's figures are the sum of its orders' contributions, so a change of an order is the difference of two of them:
no report has to scan orders, and the order in which events came leaves no trace.
"""

from collections.abc import Iterator, Mapping
from itertools import chain

from pipeline.domain.eligibility import WITHIN_REACH, Reason, nearest
from pipeline.domain.embellishment import was_at_risk, was_missed, was_rescued, was_scanned_early
from pipeline.domain.orders import Claim, Dialogue, Order
from pipeline.domain.pairs import Experience, experience_of

Counts = Mapping[str, int]

NOT_ASKED = "not_asked:"  # + eligibility.Reason
PENDING = "pending"  # completed, and neither delivered nor missed yet: nothing was to be decided
SCORE = "score:"  # + scale:score, delivered orders only
CONDITION = "condition:"  # + events.Condition


def contribution(order: Order) -> dict[str, int]:
    """The counters of one order, as its record stands now. Empty while the order itself is unknown."""
    if not order.facts.known:
        return {}
    claim = order.dialogue.claim
    experience = experience_of(order.dialogue.standing())
    counts = {"completed": 1}
    parts = (
        _coverage(order, claim),
        _claimed(claim, experience),
        _pairs(claim, experience),
        _answers(order, claim, experience),
        _signs(order, claim),
    )
    for name in chain.from_iterable(parts):
        counts[name] = counts.get(name, 0) + 1
    return counts


def difference(before: Counts, after: Counts) -> dict[str, int]:
    """What has to be added to `before` to reach `after`; counters that stay are left out."""
    changed = {name: n - before.get(name, 0) for name, n in after.items() if n != before.get(name, 0)}
    changed.update({name: -n for name, n in before.items() if name not in after})
    return changed


def _coverage(order: Order, claim: Claim) -> Iterator[str]:
    """Completed -> contactable -> asked -> answered, the reason of a loss, and who answers: the late or the others."""
    dialogue = order.dialogue
    if _reachable(dialogue):
        yield "contactable"
    if dialogue.asks:
        yield "asked"
    elif dialogue.refusals:
        yield NOT_ASKED + nearest([refusal.reason for refusal in dialogue.refusals])
    elif order.facts.historic:
        yield NOT_ASKED + Reason.HISTORIC
    else:
        yield PENDING
    if dialogue.answers:
        yield "answered"
    if dialogue.asks and claim.on_time is not None:
        group = "on_time" if claim.on_time else "late"
        yield f"asked:{group}"
        if dialogue.answers:
            yield f"answered:{group}"


def _reachable(dialogue: Dialogue) -> bool:
    """Whether somebody could have been asked."""
    if dialogue.asks:
        return True
    return (
        bool(dialogue.refusals) and nearest([refusal.reason for refusal in dialogue.refusals]) in WITHIN_REACH
    )


def _claimed(claim: Claim, experience: Experience) -> Iterator[str]:
    """What operations claims, against each date it may be measured by; `:stated` counts those that have the date."""
    if claim.delivered_at is None:
        return
    yield "delivered"
    for name, kept in (
        ("on_time_first", claim.on_time_first),
        ("on_time", claim.on_time),
        ("on_time_requested", claim.on_time_requested),
        ("in_full", claim.in_full),
        ("perfect", _perfect(claim, experience)),
    ):
        if kept is not None:
            yield f"{name}:stated"
        if kept:
            yield name


def _perfect(claim: Claim, experience: Experience) -> bool | None:
    """In full x on time (the customer's date, else the first promise) x papers x condition, by both sides' word.

    None while one of the factors is not known: papers and condition only the customer can tell.
    """
    on_time = claim.on_time_first if claim.on_time_requested is None else claim.on_time_requested
    if on_time is None or claim.in_full is None or experience.faulty is None:
        return None
    return on_time and claim.in_full and experience.faulty < 0.5


def _pairs(claim: Claim, experience: Experience) -> Iterator[str]:
    """The two-by-two tables: first what is claimed, then what was lived (1 good, 0 bad)."""
    for name, claimed, lived_badly in (
        ("on_time", claim.on_time, experience.late),
        ("in_full", claim.in_full, experience.incomplete),
    ):
        if claimed is not None and lived_badly is not None:
            yield f"{name}:{int(claimed)}{int(lived_badly < 0.5)}"


def _answers(order: Order, claim: Claim, experience: Experience) -> Iterator[str]:
    """Answers about delivered orders (the report's figures), and about those that never came."""
    if not experience.stakeholders:
        return
    unhappy = experience.detractor is not None and experience.detractor >= 0.5
    delivered = claim.delivered_at is not None
    group = "delivered" if delivered else "undelivered"
    yield f"{group}:answered"
    if unhappy:
        yield f"{group}:detractor"
    if claim.on_time:
        yield "on_time:answered"
        if unhappy:
            yield "on_time:detractor"
    for answer in order.dialogue.standing() if delivered else ():
        if answer.score is not None:
            yield f"{SCORE}{answer.score.scale}:{answer.score.value}"
        for condition in answer.condition:
            yield CONDITION + condition


def _signs(order: Order, claim: Claim) -> Iterator[str]:
    """What the signs of embellishment are made from (see `embellishment`)."""
    facts, dialogue = order.facts, order.dialogue
    if claim.delivered_at is not None:
        for answer in dialogue.standing():
            early = was_scanned_early(claim.delivered_at, answer.arrived_at)
            if early is not None:
                yield "stated_arrival"
            if early:
                yield "scanned_early"
    if not facts.promises:
        return
    first, last = facts.promises[0], facts.promises[-1]
    moved_at = last.time if last.by_when != first.by_when else None
    if was_missed(first.by_when, claim.delivered_at):
        yield "missed_first"
    if was_rescued(first.by_when, moved_at, last.by_when, claim.delivered_at):
        yield "rescued"
    if dialogue.asks or dialogue.refusals:
        group = "risk" if was_at_risk(first.by_when, moved_at, claim.delivered_at) else "clean"
        yield group
        if not _reachable(dialogue):
            yield f"{group}:unreachable"
