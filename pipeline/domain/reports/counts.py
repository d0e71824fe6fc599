"""What one order contributes to the figures of its segments and day, as counters that are summed.

A segment's figures are the sum of its orders' contributions, so a change of an order is the difference of two
contributions: no report scans orders, and the order in which events arrive does not matter.
"""

from collections.abc import Mapping

from pipeline.domain.answers.answer import Answer
from pipeline.domain.answers.scores import is_detractor, is_promoter
from pipeline.domain.asking.eligibility import WITHIN_REACH, Reason, nearest
from pipeline.domain.detection.pairs import IN_FULL, ON_TIME, Experience, experience_of, observations
from pipeline.domain.orders.claims import Claim
from pipeline.domain.orders.dialogue import Dialogue
from pipeline.domain.orders.endings import could_hide, ending_of
from pipeline.domain.orders.order import Order
from pipeline.domain.reports.embellishment import was_at_risk, was_missed, was_rescued, was_scanned_early

Counts = Mapping[str, int]

NOT_ASKED = "not_asked:"  # + eligibility.Reason
UNREAD = "unread"  # replied, and nothing codable is known of it: a person has to read it
NOTHING_TO_CODE = "nothing_to_code"  # replied, and a person has read that nothing of it can be counted
UNSCORED = "on_time:unscored"  # claimed on time and understood, without a score
PENDING = "pending"  # completed and neither delivered nor missed yet, or the question is not sent yet
SCORE = "score:"  # + scale:score, delivered orders only
CONDITION = "condition:"  # + events.Condition
CAUSE = "cause:"  # + what went wrong:mood, of answers with a score: what a cause costs, see periods.improvements
MOODS = ("promoter", "passive", "detractor")
SHARED_ADDRESS = "shared_address"  # a contact's address serves other accounts, too
QR_ANSWERS = "qr_answers"  # by the code on the delivery note: counted here and nowhere else
CORRECTED = ":corrected"  # after on_time, in_full: a denial that was corrected to agreement
CHANGED_ADDRESS = "changed_address"  # a contact had another address shortly before
ERASED = "erased"  # persons who were erased, counted for each of their orders


def contribution(order: Order) -> dict[str, int]:
    """The counters of one order in its current state. Empty while no `order.completed` was received."""
    if not order.facts.known:
        return {}
    claim = order.dialogue.claim
    names = ["completed"]
    _coverage(order, claim, names)
    experience = experience_of(order.dialogue.current_answers())
    _claimed(claim, experience, names)
    if order.dialogue.is_understood():
        _pairs(claim, experience, names)
        _corrected(order, claim, experience, names)
        _answers(order, claim, experience, names)
    _signs(order, claim, experience, names)
    counts = dict.fromkeys(names, 1)
    if len(counts) < len(names):  # several people gave the same answer
        counts = {name: names.count(name) for name in counts}
    if order.dialogue.qr_answers:
        counts[QR_ANSWERS] = order.dialogue.qr_answers
    return counts


def difference(before: Counts, after: Counts) -> dict[str, int]:
    """What to add to `before` to get `after`; unchanged counters are omitted."""
    changed = {name: n - before.get(name, 0) for name, n in after.items() if n != before.get(name, 0)}
    changed.update({name: -n for name, n in before.items() if name not in after})
    return changed


def _coverage(order: Order, claim: Claim, names: list[str]) -> None:
    """Completed -> contactable -> asked -> replied -> understood, the reason of a loss, and responses by late and other
    orders. A reply that states nothing codable is no response there: it gives no pair either.
    """
    dialogue = order.dialogue
    if _reachable(dialogue):
        names.append("contactable")
    if dialogue.asks:
        names.append("asked")
    elif dialogue.due:
        names.append(PENDING)
    elif dialogue.refusals:
        names.append(NOT_ASKED + nearest([refusal.reason for refusal in dialogue.current_refusals()]))
    elif order.facts.historic:
        names.append(NOT_ASKED + Reason.HISTORIC)
    elif (ending := ending_of(order.facts)) is not None:
        names.append(NOT_ASKED + ending)
    else:
        names.append(PENDING)
    understood = dialogue.is_understood()
    if dialogue.answers:
        names.append("answered")
        words = [] if understood else [answer for answer in dialogue.current_answers() if not answer.opt_out]
        if words:  # a correction that leaves nothing to count says that somebody has read them
            names.append(UNREAD if any(answer.correction is None for answer in words) else NOTHING_TO_CODE)
    if dialogue.asks and claim.on_time is not None:
        names.append("asked:on_time" if claim.on_time else "asked:late")
        if understood:
            names.append("answered:on_time" if claim.on_time else "answered:late")


def _reachable(dialogue: Dialogue) -> bool:
    """Whether a contact could have been asked."""
    if dialogue.asks or dialogue.due:
        return True
    refusals = dialogue.current_refusals()
    return bool(refusals) and nearest([refusal.reason for refusal in refusals]) in WITHIN_REACH


def nobody_could_be_asked(dialogue: Dialogue) -> bool:
    """Whether no contact of the order can be asked, or only one whose address other accounts have used up."""
    return not _reachable(dialogue) or _lost_to_others(dialogue)


def _lost_to_others(dialogue: Dialogue) -> bool:
    """Whether the questions to other accounts at a contact's address are why nobody is asked about this order."""
    if dialogue.asks or dialogue.due:
        return False
    return any(refusal.reason == Reason.ADDRESS_ASKED_RECENTLY for refusal in dialogue.current_refusals())


def _claimed(claim: Claim, experience: Experience, names: list[str]) -> None:
    """What operations claims, by each date it may be measured by; `:stated` counts the orders that have the date."""
    if claim.delivered_at is None:
        return
    names.append("delivered")
    for name, kept in (
        ("on_time_first", claim.on_time_first),
        ("on_time", claim.on_time),
        ("on_time_requested", claim.on_time_requested),
        ("in_full", claim.in_full),
        ("perfect", _perfect(claim, experience)),
    ):
        if kept is not None:
            names.append(name + ":stated")
        if kept:
            names.append(name)


def _perfect(claim: Claim, experience: Experience) -> bool | None:
    """In full x on time (by the customer's date, else the first promise) x papers x condition.

    Operations states the first two, the customer the others. None while one of the factors is unknown.
    """
    on_time = claim.on_time_first if claim.on_time_requested is None else claim.on_time_requested
    if on_time is None or claim.in_full is None or experience.faulty is None:
        return None
    return on_time and claim.in_full and experience.faulty < 0.5


def _pairs(claim: Claim, experience: Experience, names: list[str]) -> None:
    """The two-by-two tables: the first digit is the claim, the second the experience (1 good, 0 bad)."""
    for name, claimed, bad_experience in (
        ("on_time", claim.on_time, experience.late),
        ("in_full", claim.in_full, experience.incomplete),
    ):
        if claimed is not None and bad_experience is not None:
            names.append(f"{name}:{int(claimed)}{int(bad_experience < 0.5)}")


def _corrected(order: Order, claim: Claim, experience: Experience, names: list[str]) -> None:
    """Orders whose customer denies a claim as first read, and no longer as corrected."""
    if all(answer.correction is None for answer in order.dialogue.answers):
        return
    first = observations(claim, experience_of(order.dialogue.original_answers()))
    now = observations(claim, experience)
    for signal in (ON_TIME, IN_FULL):
        if first.get(signal, 0) >= 0.5 and now.get(signal, 0) < 0.5:
            names.append(signal + CORRECTED)


def corrected_share(counts: Counts, signal: str) -> float | None:
    """The share of denials of a signal (on_time, in_full) that were corrected to agreement; None without denials."""
    corrected = counts.get(signal + CORRECTED, 0)
    denials = counts.get(f"{signal}:10", 0) + corrected
    return corrected / denials if denials else None


def _answers(order: Order, claim: Claim, experience: Experience, names: list[str]) -> None:
    """Answers about delivered orders (the report's figures), and about those that were never delivered.

    Each states something codable: what nobody has understood is in no denominator.
    """
    unhappy = experience.detractor is not None and experience.detractor >= 0.5
    delivered = claim.delivered_at is not None
    group = "delivered" if delivered else "undelivered"
    names.append(group + ":answered")
    if unhappy:
        names.append(group + ":detractor")
    if claim.on_time:
        names.append("on_time:answered")
        if experience.detractor is None:
            names.append(UNSCORED)
        if unhappy:
            names.append("on_time:detractor")
    for answer in order.dialogue.current_answers() if delivered else ():
        if answer.score is not None:
            names.append(f"{SCORE}{answer.score.scale}:{answer.score.value}")
            names.extend(_costs(answer))
        names.extend(CONDITION + condition for condition in answer.condition)


def _costs(answer: Answer) -> list[str]:
    """What went wrong by an answer with a score, each with how its author feels; nothing of a good delivery."""
    causes = ["late"] if answer.arrival in ("late", "not_received") else []
    causes += dict.fromkeys(answer.condition)
    if answer.complete is False and "incomplete" not in causes:
        causes.append("incomplete")
    if not causes or answer.score is None:
        return []
    mood = "promoter" if is_promoter(answer.score) else "detractor" if is_detractor(answer.score) else "passive"
    return [f"{CAUSE}{cause}:{mood}" for cause in causes]


def _signs(order: Order, claim: Claim, experience: Experience, names: list[str]) -> None:
    """The counts for the signs of embellishment (see `embellishment`)."""
    facts, dialogue = order.facts, order.dialogue
    names += [ERASED] * len(dialogue.erased)
    if dialogue.shared_addresses:
        names.append(SHARED_ADDRESS)
    if dialogue.changed_addresses:
        names.append(CHANGED_ADDRESS)
    if claim.delivered_at is not None:
        for answer in dialogue.current_answers():
            early = was_scanned_early(claim.delivered_at, answer.arrived_at)
            if early is not None:
                names.append("stated_arrival")
            if early:
                names.append("scanned_early")
    hidden = could_hide(facts, None if facts.historic else ending_of(facts))
    if not facts.promises:
        if hidden:
            _at_risk(dialogue, True, names)
        return
    first, last = facts.promises[0], facts.promises[-1]
    moved_at = facts.moved_at
    if was_missed(first.by_when, claim.delivered_at):
        names.append("missed_first")
    if was_rescued(first.by_when, moved_at, last.by_when, claim.delivered_at):
        names.append("rescued")
        if experience.late is not None:
            names.append("rescued:denied" if experience.late >= 0.5 else "rescued:confirmed")
    if hidden or dialogue.asks or dialogue.due or dialogue.refusals:
        _at_risk(dialogue, hidden or was_at_risk(first.by_when, moved_at, claim.delivered_at), names)


def _at_risk(dialogue: Dialogue, at_risk: bool, names: list[str]) -> None:
    """Whether there was a motive to avoid a question, and whether one was possible."""
    group = "risk" if at_risk else "clean"
    names.append(group)
    if nobody_could_be_asked(dialogue):
        names.append(group + ":unreachable")
