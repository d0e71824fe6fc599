"""What a list of orders is filtered and sorted by: one entry for each order, derived from its state.

The figures of reports are sums of the counters of orders (`reports.counts`), so an order keeps which of them it is
counted in: that is how every figure leads to exactly the orders behind it.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from pipeline.domain.answers.answer import Answer
from pipeline.domain.answers.scores import is_detractor, is_promoter
from pipeline.domain.detection.pairs import Verdict, verdict_of
from pipeline.domain.orders.dialogue import Dialogue
from pipeline.domain.orders.facts import Facts, Promise, Revision, Scan
from pipeline.domain.orders.order import Order
from pipeline.domain.reports.counts import NOT_ASKED, Counts

_NEVER = datetime.min.replace(tzinfo=UTC)

# Each entry of these two is one bit of a stored number: new ones go to the end, at most 62, and none is removed.
COUNTED: Mapping[str, str] = {
    "completed": "completed",
    "contactable": "contactable",
    "asked": "asked",
    "answered": "answered",
    "pending": "question pending",
    "unread": "replied, and nobody has understood it yet",
    "delivered": "delivered",
    "on_time:stated": "delivered, with a promise",
    "on_time": "claimed on time",
    "on_time_first:stated": "delivered, with a first promise",
    "on_time_first": "on time by the first promise",
    "on_time_requested:stated": "delivered, with a date requested by the customer",
    "on_time_requested": "on time by the customer’s date",
    "in_full:stated": "delivered, with quantities",
    "in_full": "claimed in full",
    "perfect:stated": "known to be perfect or not",
    "perfect": "perfect orders",
    "on_time:11": "claimed on time, experienced on time",
    "on_time:10": "claimed on time, experienced late or never received",
    "on_time:01": "claimed late, experienced on time",
    "on_time:00": "claimed late, experienced late or never received",
    "in_full:11": "claimed in full, experienced in full",
    "in_full:10": "claimed in full, experienced incomplete, damaged or wrong",
    "in_full:01": "claimed incomplete, experienced in full",
    "in_full:00": "claimed incomplete, experienced incomplete, damaged or wrong",
    "on_time:answered": "claimed on time, answered",
    "on_time:detractor": "claimed on time, and the customer is unhappy",
    "on_time:unscored": "claimed on time, answered without a score",
    "delivered:answered": "delivered and answered",
    "delivered:detractor": "delivered, and the customer is unhappy",
    "undelivered:answered": "never delivered by the record, and answered",
    "undelivered:detractor": "never delivered by the record, and the customer is unhappy",
    "stated_arrival": "the customer stated when it arrived",
    "scanned_early": "scanned as delivered before it arrived",
    "missed_first": "missed the first promise",
    "rescued": "on time because the promise was moved after it was missed",
    "rescued:denied": "promise moved after it was missed, and the customer says late",
    "rescued:confirmed": "promise moved after it was missed, and the customer says on time",
    "clean": "without a motive to avoid the question",
    "clean:unreachable": "without a motive to avoid the question, and nobody could be asked",
    "risk": "with a motive to avoid the question",
    "risk:unreachable": "with a motive to avoid the question, and nobody could be asked",
    "shared_address": "a contact’s number also serves another customer",
    "changed_address": "a contact’s number changed shortly before completion",
    "on_time:corrected": "a denial of on time was corrected to agreement",
    "in_full:corrected": "a denial of in full was corrected to agreement",
    "qr_answers": "answered by the code on the delivery note",
    "erased": "a person was erased",
    "understood": "replied, and understood",
    "not_answered": "asked, no answer yet",
    "on_time:scored": "claimed on time, answered with a score",
    "nothing_to_code": "replied, and a person has read that nothing can be counted",
}
"""Counters that a list can be filtered by, in words. Each counts orders."""
CODES: Mapping[str, str] = {
    "on_time": "arrived on time",
    "late": "arrived late",
    "not_received": "never arrived",
    "complete": "everything was there",
    "incomplete": "something was missing",
    "damaged": "damaged",
    "wrong": "wrong goods",
    "papers_missing": "papers missing",
    "unhappy": "unhappy (0–6 of 10, 1–2 of 5)",
    "neutral": "neutral",
    "happy": "happy (9–10 of 10, 5 of 5)",
}
"""What customers state, in words."""

# Few orders have these, so each has an index of its orders; the others are found soon among the newest orders.
_RARE_COUNTED = frozenset(
    {"unread", "on_time:10", "on_time:01", "on_time:00", "in_full:10", "in_full:01", "in_full:00", "on_time:detractor"}
    | {"on_time:unscored", "delivered:detractor", "undelivered:answered", "undelivered:detractor", "scanned_early"}
    | {"missed_first", "rescued", "rescued:denied", "rescued:confirmed", "risk", "risk:unreachable", "shared_address"}
    | {"clean:unreachable", "changed_address", "on_time:corrected", "in_full:corrected", "qr_answers", "erased"}
    | {"nothing_to_code"}
)
_RARE_CODES = frozenset({"late", "not_received", "incomplete", "damaged", "wrong", "papers_missing", "unhappy"})
_FREQUENT = frozenset({"agrees", "historic"})  # a verdict, and a reason of history


class Term(NamedTuple):
    """One property of an order that a list is filtered by."""

    kind: str
    value: str

    def __str__(self) -> str:
        """The term between spaces, escaped: no term is part of another."""
        return f" {self.kind}={self.value} "


class ListedOrder(NamedTuple):
    """One order's entry. `day`: the ordinal of the day of its figures; None until its `order.completed` is received.

    `reason`: why nobody was asked (`eligibility.Reason`). `counted`, `codes`: bits (`counted_bits`, `code_bits`).
    `membership`: its account and dimensions. `indexed`: the terms that have an index of their orders.
    """

    last_event_at: datetime
    day: int | None
    verdict: Verdict | None
    reason: str | None
    counted: int
    codes: int
    membership: tuple[Term, ...]
    indexed: tuple[Term, ...]


def account_term(account_id: str) -> Term:
    """The orders of an account."""
    return Term("account", _escaped(account_id))


def segment_term(dimension: str, value: str) -> Term:
    """The orders with that value of a dimension."""
    return Term("segment", f"{_escaped(dimension)}:{_escaped(value)}")


def _escaped(text: str) -> str:
    """The text without what separates terms and their parts."""
    for char, code in (("%", "%25"), (" ", "%20"), (":", "%3A"), ("=", "%3D")):
        text = text.replace(char, code)
    return text


def verdict_term(verdict: str) -> Term | None:
    """The orders with that verdict; None: they have no index of their own."""
    return None if verdict in _FREQUENT else Term("verdict", verdict)


def reason_term(reason: str) -> Term | None:
    """The orders about which nobody was asked for that reason; None: they have no index of their own."""
    return None if reason in _FREQUENT else Term("reason", reason)


def counted_term(counter: str) -> Term | None:
    """The orders that are counted in a figure; None: they have no index of their own."""
    return Term("counted", counter) if counter in _RARE_COUNTED else None


def code_term(code: str) -> Term | None:
    """The orders of which a customer states that; None: they have no index of their own."""
    return Term("code", code) if code in _RARE_CODES else None


def counted_bits(counters: Iterable[str]) -> int:
    """The bits of those of these counters that are in `COUNTED`."""
    return _bits(_COUNTED_PLACES, counters)


def code_bits(codes: Iterable[str]) -> int:
    """The bits of those of these codes that are in `CODES`."""
    return _bits(_CODE_PLACES, codes)


_COUNTED_PLACES = {name: place for place, name in enumerate(COUNTED)}
_CODE_PLACES = {name: place for place, name in enumerate(CODES)}


def _bits(places: Mapping[str, int], names: Iterable[str]) -> int:
    return sum({1 << places[name] for name in names if name in places})


def listed(order: Order, counts: Counts) -> ListedOrder:
    """The entry of an order with these counters."""
    facts, dialogue = order.facts, order.dialogue
    reason = next((name.removeprefix(NOT_ASKED) for name in counts if name.startswith(NOT_ASKED)), None)
    counted = tuple(_counted_in(counts))
    codes = tuple(dict.fromkeys(_codes(dialogue.current_answers())))
    found, membership = verdict_of(order), _membership(facts)
    rare = [verdict_term(found or "agrees"), reason_term(reason or "historic")]
    rare += [counted_term(name) for name in counted] + [code_term(code) for code in codes]
    return ListedOrder(
        last_event_at=last_event_at(facts, dialogue),
        day=facts.day() if facts.known else None,
        verdict=found,
        reason=reason,
        counted=counted_bits(counted),
        codes=code_bits(codes),
        membership=membership,
        indexed=(*membership, *(term for term in rare if term is not None)),
    )


def _counted_in(counts: Counts) -> Iterator[str]:
    """The counters, and figures that are differences of counters."""
    yield from (name for name, n in counts.items() if n > 0 and name in COUNTED)
    for name, of, *without in (
        ("understood", "answered", "unread", "nothing_to_code"),
        ("not_answered", "asked", "answered"),
        ("on_time:scored", "on_time:answered", "on_time:unscored"),
    ):
        if counts.get(of, 0) > 0 and not any(counts.get(each, 0) for each in without):
            yield name


def last_event_at(facts: Facts, dialogue: Dialogue) -> datetime:
    """When the last event of an order was received; of what earlier versions stored without its receipt, its time."""
    received: list[Revision | Promise | Scan] = [*facts.revisions, *facts.promises, *facts.scans]
    times = [fact.received_at or fact.time for fact in received]
    times += [one.known_at for one in facts.cancellations] + [one.time for one in facts.retractions]
    times += [ask.at for ask in dialogue.asks] + list(dialogue.decided_at.values())
    times += [answer.answered_at for answer in dialogue.answers if answer.answered_at is not None]
    times += [answer.correction.at for answer in dialogue.answers if answer.correction is not None]
    if dialogue.last_answer_at is not None:
        times.append(dialogue.last_answer_at)
    return max(times, default=_NEVER)


def _membership(facts: Facts) -> tuple[Term, ...]:
    if not facts.known:
        return ()
    dimensions = sorted(facts.dimensions.items())
    return (account_term(facts.latest.account.id), *(segment_term(name, value) for name, value in dimensions))


def _codes(answers: list[Answer]) -> Iterator[str]:
    for answer in answers:
        if answer.arrival is not None:
            yield answer.arrival
        yield from answer.condition
        if answer.complete is not None:
            yield "complete" if answer.complete else "incomplete"
        if answer.score is not None:
            yield "unhappy" if is_detractor(answer.score) else "happy" if is_promoter(answer.score) else "neutral"
