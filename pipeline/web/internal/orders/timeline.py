"""An order's story: what operations said, what we asked, what the customer said, each at its time."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

from msgspec import Struct

from pipeline.domain.asking.eligibility import NOBODY
from pipeline.domain.orders.dialogue import Ask
from pipeline.domain.orders.facts import Facts, Promise, Revision, Scan
from pipeline.domain.orders.order import Order
from pipeline.domain.reports.alerts import Alert
from pipeline.notifiers.wording.sentences import headline
from pipeline.store.reads.pages import Record, StoredAnswer, StoredAsk, StoredClaim, StoredText
from pipeline.web.internal.orders.words import (
    STATES,
    channel_in_words,
    claim_in_words,
    heard,
    moment,
    mood,
    named,
    plain_word,
    why_not,
)

Voice = Literal["operations", "customer", "unvarnished"]
What = Literal[
    "ordered",
    "promise",
    "completed",
    "scan",
    "deadline",
    "claim",
    "asked",
    "not_asked",
    "message",
    "text",
    "answer",
    "pair",
    "alert",
]

_LATE_WORD = timedelta(minutes=5)  # a report that comes later than this is said to be late
_PURPOSE = {
    "delivery": "",
    "missing_scan": ", because the promise had passed and no delivery was reported",
    "reminder": " once more, the only reminder",
}
_READ_AS = {
    "answered": "read as an answer",
    "unclear": "which could not be read as an answer",
    "control": "with STOP, START or HELP",
    "ignored": "which asks for nothing",
    "quarantined": "kept aside: its sender is not known here",
}


class Moment(Struct, frozen=True, kw_only=True):
    """One thing that happened: when, who says so, what in one line, the rest, and the customer's own words."""

    at: datetime
    what: What
    voice: Voice
    title: str
    details: tuple[str, ...] = ()
    words: str | None = None
    alarming: bool = False


def timeline_of(record: Record, behind: Iterable[Alert], where: tzinfo) -> tuple[Moment, ...]:
    """Everything that happened, in the order of time; `behind`: the alerts this order is among the evidence of."""
    order = record.order
    told = [
        *_facts(order.facts, where),
        *_deadlines(order, where),
        *_claims(record.claims),
        *(one for ask in record.asks for one in _asking(order, ask, where)),
        *_answers(order, record.answers, where),
        *(_text(order, text) for text in record.texts),
        *_pairs(record),
        *_alerts(behind),
    ]
    rank = {name: place for place, name in enumerate(What.__args__)}  # type: ignore[attr-defined]
    return tuple(sorted(told, key=lambda one: (one.at, rank[one.what])))


def _facts(facts: Facts, where: tzinfo) -> Iterator[Moment]:
    if facts.known and facts.latest.ordered_at is not None:
        yield Moment(at=facts.latest.ordered_at, what="ordered", voice="customer", title="Ordered")
    before: Revision | None = None
    for number, revision in enumerate(facts.revisions, 1):
        yield _revision(number, revision, before, where)
        before = revision
    earlier: Promise | None = None
    for promise in facts.promises:
        if earlier is None or promise.by_when != earlier.by_when or promise.by or promise.reason:
            yield _promise(promise, earlier, where)
        earlier = promise
    for scan in facts.scans:
        yield _scan(scan, where)


def _revision(number: int, revision: Revision, before: Revision | None, where: tzinfo) -> Moment:
    title = "Reported as completed" if before is None else f"Reported again (revision {number})"
    # What was known, or stands above the timeline already, is not said again.
    former = _places(revision) if before is None else _contents(before, where)
    details = [line for line in _contents(revision, where) if line not in former] or ["nothing in it changed"]
    details.append(f"said by {revision.source}")
    return Moment(at=revision.time, what="completed", voice="operations", title=title, details=tuple(details))


def _contents(revision: Revision, where: tzinfo) -> list[str]:
    """What a revision says, a line for each thing that may change."""
    lines = [f"completed {moment(revision.completed_at, where)}"]
    if revision.requested_by is not None:
        lines.append(f"the customer asked for it by {moment(revision.requested_by, where)}")
    lines += [
        f"{line.sku}: {line.ordered:g} ordered"
        if line.delivered is None
        else f"{line.sku}: {line.delivered:g} of {line.ordered:g} delivered"
        for line in revision.lines
    ]
    lines.append("1 shipment" if revision.shipments == 1 else f"{revision.shipments} shipments")
    lines += _places(revision)
    people = ", ".join(f"{contact.id} ({plain_word(contact.role)})" for contact in revision.contacts)
    lines.append(f"people who could be asked: {people}" if people else "names nobody who could be asked")
    return lines


def _places(revision: Revision) -> list[str]:
    return [f"{plain_word(name)} {value}" for name, value in revision.dimensions.items()]


def _promise(promise: Promise, earlier: Promise | None, where: tzinfo) -> Moment:
    until = moment(promise.by_when, where)
    details, missed = [], False
    if earlier is None:
        title = f"Promised by {until}"
    else:
        missed = promise.time > earlier.by_when and promise.by_when > earlier.by_when
        title = f"Promise moved to {until}"
        details.append(f"it was {moment(earlier.by_when, where)}" + (", and had already passed" if missed else ""))
    if promise.reason:
        details.append(f"reason given: {promise.reason}")
    if promise.by:
        details.append(f"moved by {promise.by}")
    details.append(f"said by {promise.source}")
    return Moment(
        at=promise.time,
        what="promise",
        voice="operations",
        title=title,
        details=tuple(details),
        alarming=missed,
    )


def _scan(scan: Scan, where: tzinfo) -> Moment:
    details = [f"shipment {scan.shipment}"] if scan.shipment else []
    details += [f"{line.sku}: {line.delivered:g} brought" for line in scan.lines or ()]
    if scan.time - scan.at > _LATE_WORD:
        details.append(f"reported only {moment(scan.time, where)}")
    if scan.note:
        details.append(f"note: {scan.note}")
    details.append(f"said by {scan.source}")
    title = f"Scan: {plain_word(scan.status)}"
    return Moment(at=scan.at, what="scan", voice="operations", title=title, details=tuple(details))


def _deadlines(order: Order, where: tzinfo) -> Iterator[Moment]:
    """The moments at which a promise ran out with nothing delivered by then."""
    facts = order.facts
    delivered_at = order.dialogue.claim.delivered_at
    for name, by_when in (("first", facts.first_promise), ("latest", facts.latest_promise)):
        if by_when is None or (name == "latest" and by_when == facts.first_promise):
            continue
        if delivered_at is not None and delivered_at > by_when:
            title = f"The {name} promise passed"
            details = (f"by the record it came {moment(delivered_at, where)}",)
            yield Moment(at=by_when, what="deadline", voice="unvarnished", title=title, details=details, alarming=True)


def _claims(claims: Sequence[StoredClaim]) -> Iterator[Moment]:
    for stored in claims:
        claim = stored.claim
        title = "Claim" if stored.revision == 1 else f"Claim changed (revision {stored.revision})"
        measured = (
            ("first promise", claim.on_time_first),
            ("latest promise", claim.on_time_latest),
            ("customer's date", claim.on_time_requested),
        )
        details = [f"{name}: {'kept' if kept else 'missed'}" for name, kept in measured if kept is not None]
        yield Moment(
            at=stored.recorded_at,
            what="claim",
            voice="operations",
            title=f"{title}: {claim_in_words(claim)}",
            details=tuple(details),
        )


def _asking(order: Order, ask: StoredAsk, where: tzinfo) -> Iterator[Moment]:
    """The decision, and the message's way if there is one."""
    who = named(order, ask.contact_id)
    if ask.reason is not None:
        title = "Nobody asked" if ask.contact_id == NOBODY else f"Not asked: {who}"
        because = (f"because {why_not(ask.reason)}",)
        yield Moment(at=ask.decided_at, what="not_asked", voice="unvarnished", title=title, details=because)
        return
    purpose = _PURPOSE.get(ask.purpose, f" ({plain_word(ask.purpose)})")
    handed_on = ask.state == "due" and ask.due_at is None  # somebody else sends it, and told us only that it went out
    details = ["no answer so far" if handed_on else f"now: {STATES.get(ask.state, plain_word(ask.state))}"]
    if ask.outcome in ("rejected", "opted_out", "given_up"):
        details.append(f"outcome: {plain_word(ask.outcome)}" + ("" if ask.code is None else f" (code {ask.code})"))
    if ask.due_at is not None and ask.due_at - ask.decided_at > _LATE_WORD:
        details.append(f"to be sent from {moment(ask.due_at, where)} on, outside quiet hours")
    asked = next((one for one in order.dialogue.asks if _same(one, ask)), None)
    if asked is not None:
        details.append(f"the claim at that moment, frozen: {claim_in_words(asked.claim)}")
    title = f"{'To ask' if asked is None else 'Asked'} {who} by {channel_in_words(ask.channel)}{purpose}"
    yield Moment(at=ask.decided_at, what="asked", voice="unvarnished", title=title, details=tuple(details))
    if ask.sent_at is not None:
        tries = () if ask.attempt < 2 else (f"attempt {ask.attempt}",)
        title = f"Message to {who} handed to the provider"
        yield Moment(at=ask.sent_at, what="message", voice="unvarnished", title=title, details=tries)
    if ask.delivered_at is not None:
        title = f"Message on the phone of {who}"
        yield Moment(at=ask.delivered_at, what="message", voice="unvarnished", title=title)


def _same(asked: Ask, ask: StoredAsk) -> bool:
    return (asked.contact_id, asked.purpose) == (ask.contact_id, ask.purpose)


def _answers(order: Order, answers: Sequence[StoredAnswer], where: tzinfo) -> Iterator[Moment]:
    stands = standing(answers)
    for answer in answers:
        said = heard(answer)
        details = []
        if answer.arrived_at is not None:
            details.append(f"says the goods came {moment(answer.arrived_at, where)}")
        if answer.answered_at is not None and abs(answer.received_at - answer.answered_at) > _LATE_WORD:
            details.append(f"written {moment(answer.answered_at, where)}")
        if answer not in stands:
            details.append("amended later by the same person; both are kept")
        yield Moment(
            at=answer.received_at,
            what="answer",
            voice="customer",
            title=f"{named(order, answer.contact_id)} answers by {channel_in_words(answer.channel)}"
            + (f": {said}" if said else ""),
            details=tuple(details),
            words=answer.comment,
            alarming=mood(answer) == "unhappy" or answer.arrival in ("late", "not_received"),
        )


def _text(order: Order, text: StoredText) -> Moment:
    who = "somebody" if text.contact_id is None else named(order, text.contact_id)
    replied = () if text.reply is None else (f"our reply: {text.reply}",)
    title = f"Text message from {who}, {_READ_AS.get(text.outcome, plain_word(text.outcome))}"
    return Moment(at=text.received_at, what="text", voice="customer", title=title, details=replied)


def standing(answers: Sequence[StoredAnswer]) -> list[StoredAnswer]:
    """The latest answer of each person, as `Dialogue.standing` has it."""
    first = datetime.min.replace(tzinfo=UTC)
    in_order = sorted(answers, key=lambda answer: answer.answered_at or first)
    return list({answer.contact_id: answer for answer in in_order}.values())


def _pairs(record: Record) -> Iterator[Moment]:
    for pair in record.pairs:
        title = f"Claim and answer compared: {pair.verdict}"
        yield Moment(
            at=pair.told_at, what="pair", voice="unvarnished", title=title, alarming=pair.verdict == "embellished"
        )


def _alerts(behind: Iterable[Alert]) -> Iterator[Moment]:
    for alert in behind:
        opened = "Alert opened, this order among its evidence"
        yield Moment(
            at=alert.opened_at,
            what="alert",
            voice="unvarnished",
            title=f"{opened}: {headline(alert)}",
            alarming=True,
        )
        if alert.resolved_at is not None:
            title = f"Alert over: {headline(alert)}"
            yield Moment(at=alert.resolved_at, what="alert", voice="unvarnished", title=title)
