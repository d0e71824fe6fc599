"""The timeline of an order: what operations reported, what we asked and what the customer answered."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Literal

from msgspec import Struct

from pipeline.domain.answers.answer import current_answers
from pipeline.domain.asking.ask_states import SendOutcome
from pipeline.domain.asking.eligibility import NO_CONTACT, Reason
from pipeline.domain.events.contract import FixedResponse
from pipeline.domain.events.times import deadline
from pipeline.domain.orders.cancellations import in_force
from pipeline.domain.orders.dialogue import Ask
from pipeline.domain.orders.endings import could_hide, ending_of
from pipeline.domain.orders.facts import Cancellation, Facts, Promise, Retraction, Revision, Scan
from pipeline.domain.orders.order import Order
from pipeline.domain.orders.parcels import counts
from pipeline.domain.reports.alerts import Alert
from pipeline.notifiers.wording.sentences import headline
from pipeline.store.reads.answers import StoredAnswer
from pipeline.store.reads.order_record import OrderRecord, StoredAsk, StoredClaim, StoredText
from pipeline.web.internal.words import (
    STATES,
    channel_in_words,
    claim_in_words,
    moment,
    mood,
    named,
    plain_word,
    quantity,
    response_in_words,
    response_state,
    statement_in_words,
    why_not,
)

Speaker = Literal["operations", "customer", "unvarnished"]
EntryKind = Literal[
    "ordered",
    "promise",
    "completed",
    "cancelled",
    "scan",
    "retracted",
    "deadline",
    "claim",
    "asked",
    "responded",
    "not_asked",
    "message",
    "text",
    "answer",
    "pair",
    "alert",
]

_NOTABLE_DELAY = timedelta(minutes=5)  # a delay longer than this is shown
_PURPOSE = {
    "delivery": "",
    "missing_scan": ", because the promise was missed and no delivery was reported",
    "reminder": " again, the only reminder",
    "settled": " whether what they complained about is settled",
}
_UNSENT: dict[str, Reason] = {  # by the outcome of the check right before sending
    SendOutcome.TAKEN_BACK: Reason.DELIVERY_TAKEN_BACK,
    SendOutcome.UNDELIVERABLE: Reason.UNDELIVERABLE,
    SendOutcome.ASKED_RECENTLY: Reason.ASKED_RECENTLY,
    SendOutcome.ADDRESS_ASKED: Reason.ADDRESS_ASKED_RECENTLY,
}
_READ_AS = {
    "answered": "understood as an answer",
    "unclear": "not understood as an answer",
    "control": "with STOP, START or HELP",
    "ignored": "which needs no reaction",
    "quarantined": "not processed: the sender is unknown",
}


class TimelineEntry(Struct, frozen=True, kw_only=True):
    """One event of an order. `voice`: whose statement or action it is; `words`: the customer's comment."""

    at: datetime
    what: EntryKind
    voice: Speaker
    title: str
    details: tuple[str, ...] = ()
    words: str | None = None
    alarming: bool = False


def timeline_of(record: OrderRecord, alerts: Iterable[Alert], where: tzinfo) -> tuple[TimelineEntry, ...]:
    """Everything that happened, in order of time; `alerts`: those whose evidence includes this order."""
    order = record.order
    entries = [
        *_facts(order.facts, where),
        *_ending(order.facts),
        *_deadlines(order, where),
        *_claims(record.claims),
        *(entry for ask in record.asks for entry in _ask(order, ask, where)),
        *_answers(order, record.answers, where),
        *(_text(order, text) for text in record.texts),
        *_pairs(record),
        *_alerts(alerts),
    ]
    rank = {kind: n for n, kind in enumerate(EntryKind.__args__)}  # type: ignore[attr-defined]
    return tuple(sorted(entries, key=lambda entry: (entry.at, rank[entry.what])))


def _facts(facts: Facts, where: tzinfo) -> Iterator[TimelineEntry]:
    if facts.known and facts.latest.ordered_at is not None:
        yield TimelineEntry(at=facts.latest.ordered_at, what="ordered", voice="customer", title="Ordered")
    before: Revision | None = None
    for number, revision in enumerate(facts.revisions, 1):
        yield _revision(number, revision, before, where)
        before = revision
    earlier: Promise | None = None
    for promise in facts.promises:
        if earlier is None or promise.by_when != earlier.by_when or promise.by or promise.reason:
            yield _promise(promise, earlier, facts.known and facts.historic, where)
        earlier = promise
    retracted = {(one.of_source, one.of_id) for one in facts.retractions}
    for scan in facts.scans:
        yield _scan(scan, (scan.source, scan.id) in retracted, not counts(facts, scan.source, scan.id), where)
    for cancellation in facts.cancellations:
        yield _cancellation(cancellation, cancellation in in_force(facts), where)
    scanned_at = {(scan.source, scan.id): scan.at for scan in facts.scans}
    for retraction in facts.retractions:
        # Whatever the clock of its source says: nothing is taken back before it was said.
        of = scanned_at.get((retraction.of_source, retraction.of_id), retraction.time)
        yield _retraction(retraction, max(retraction.time, of))


def _revision(number: int, revision: Revision, before: Revision | None, where: tzinfo) -> TimelineEntry:
    title = "Reported as completed" if before is None else f"Reported again (revision {number})"
    # Unchanged lines, and the dimensions that the page shows above the timeline, are left out.
    former = _dimensions(revision) if before is None else _contents(before, where)
    details = [line for line in _contents(revision, where) if line not in former] or ["no change"]
    details.append(f"reported by {revision.source}")
    return TimelineEntry(at=revision.time, what="completed", voice="operations", title=title, details=tuple(details))


def _contents(revision: Revision, where: tzinfo) -> list[str]:
    """What a revision states, one line for each value that may change."""
    lines = [f"completed {moment(revision.completed_at, where)}"]
    if revision.first_promised_at is not None:
        first = deadline(revision.first_promised_at, revision.timezone)
        lines.append(f"first promised for {moment(first, where)}")
    if revision.requested_by is not None:
        lines.append(f"requested by the customer for {moment(revision.requested_by, where)}")
    lines += [
        f"{line.sku}: {quantity(line.ordered)} ordered"
        if line.delivered is None
        else f"{line.sku}: {quantity(line.delivered)} of {quantity(line.ordered)} delivered"
        for line in revision.lines
    ]
    if revision.shipments:  # 0: unknown
        lines.append("1 shipment" if revision.shipments == 1 else f"{revision.shipments} shipments")
    lines += [f"shipment {' '.join(filter(None, (p.shipment_id, p.tracking_number)))}" for p in revision.parcels]
    lines += _dimensions(revision)
    people = ", ".join(f"{contact.id} ({plain_word(contact.role)})" for contact in revision.contacts)
    lines.append(f"contacts: {people}" if people else "no contacts")
    return lines


def _dimensions(revision: Revision) -> list[str]:
    return [f"{plain_word(name)} {value}" for name, value in revision.dimensions.items()]


def _promise(promise: Promise, earlier: Promise | None, historic: bool, where: tzinfo) -> TimelineEntry:
    until = moment(promise.by_when, where)
    details, missed = [], False
    if earlier is None:
        title = f"Promised by {until}"
    else:
        made_at = promise.made_at(historic)
        missed = made_at > earlier.by_when and promise.by_when > earlier.by_when
        title = f"Promise moved to {until}"
        details.append(f"previous promise: {moment(earlier.by_when, where)}" + (", already missed" if missed else ""))
    if promise.reason:
        details.append(f"reason: {promise.reason}")
    if promise.by:
        details.append(f"moved by {promise.by}")
    if promise.made_at(historic) - promise.time > _NOTABLE_DELAY:
        details.append(f"received later, {moment(promise.made_at(historic), where)}")
    details.append(f"reported by {promise.source}")
    return TimelineEntry(
        at=promise.time,
        what="promise",
        voice="operations",
        title=title,
        details=tuple(details),
        alarming=missed,
    )


def _cancellation(cancellation: Cancellation, counts_now: bool, where: tzinfo) -> TimelineEntry:
    details = [
        f"{line.sku}: all of it" if line.cancelled is None else f"{line.sku}: {quantity(line.cancelled)}"
        for line in cancellation.lines or ()
    ]
    if cancellation.reason:
        details.append(f"reason: {cancellation.reason}")
    if not counts_now:
        details.append("the order was reported again afterwards, so this no longer counts")
    if cancellation.known_at - cancellation.time > _NOTABLE_DELAY:
        details.append(f"received later, {moment(cancellation.known_at, where)}")
    details.append(f"reported by {cancellation.source}")
    title = "Order cancelled" if cancellation.lines is None else "Lines cancelled"
    return TimelineEntry(
        at=cancellation.time, what="cancelled", voice="operations", title=title, details=tuple(details)
    )


def _ending(facts: Facts) -> Iterator[TimelineEntry]:
    """Why nobody is asked whether an order has arrived after all."""
    ending = None if not facts.known or facts.historic else ending_of(facts)
    if ending is not None:
        times = [fact.time for fact in facts.revisions] + [fact.time for fact in facts.scans]
        times += [fact.time for fact in facts.cancellations] + [fact.time for fact in facts.retractions]
        yield TimelineEntry(
            at=max(times),
            what="not_asked",
            voice="unvarnished",
            title="The customer is not asked whether it has arrived",
            details=(f"because {why_not(ending)}",),
            alarming=could_hide(facts, ending),
        )


def _retraction(retraction: Retraction, at: datetime) -> TimelineEntry:
    details = (f"scan {retraction.of_id} of {retraction.of_source}", f"reported by {retraction.source}")
    title = "Scan retracted: it was sent by mistake"
    return TimelineEntry(at=at, what="retracted", voice="operations", title=title, details=details)


def _scan(scan: Scan, retracted: bool, foreign: bool, where: tzinfo) -> TimelineEntry:
    details = [f"shipment {scan.shipment}"] if scan.shipment else []
    if scan.tracking is not None:
        details.append(f"tracking number {scan.tracking}")
    if retracted:
        details.append("retracted, so it does not count")
    elif foreign:
        details.append("the tracking number was used for another parcel at that time, so it does not count")
    details += [f"{line.sku}: {quantity(line.delivered)} delivered" for line in scan.lines or ()]
    if scan.stated_at is not None:
        details.append(
            f"dated {moment(scan.stated_at, where)} by the source, ahead of its receipt, which counts instead"
        )
    if scan.time - scan.at > _NOTABLE_DELAY:
        details.append(f"reported later, {moment(scan.time, where)}")
    if scan.note:
        details.append(f"note: {scan.note}")
    details.append(f"reported by {scan.source}")
    title = f"Scan: {plain_word(scan.status)}"
    return TimelineEntry(at=scan.at, what="scan", voice="operations", title=title, details=tuple(details))


def _deadlines(order: Order, where: tzinfo) -> Iterator[TimelineEntry]:
    """The promises that ended before the delivery."""
    facts = order.facts
    delivered_at = order.dialogue.claim.delivered_at
    for name, by_when in (("first", facts.first_promise), ("latest", facts.latest_promise)):
        if by_when is None or (name == "latest" and by_when == facts.first_promise):
            continue
        if delivered_at is not None and delivered_at > by_when:
            title = f"{name.capitalize()} promise missed"
            details = (f"recorded as delivered {moment(delivered_at, where)}",)
            yield TimelineEntry(
                at=by_when, what="deadline", voice="unvarnished", title=title, details=details, alarming=True
            )


def _claims(claims: Sequence[StoredClaim]) -> Iterator[TimelineEntry]:
    for stored in claims:
        claim = stored.claim
        title = "Claim" if stored.revision == 1 else f"Claim changed (revision {stored.revision})"
        measured = (
            ("first promise", claim.on_time_first),
            ("latest promise", claim.on_time_latest),
            ("customer’s requested date", claim.on_time_requested),
        )
        details = [f"{name}: {'kept' if kept else 'missed'}" for name, kept in measured if kept is not None]
        yield TimelineEntry(
            at=stored.recorded_at,
            what="claim",
            voice="operations",
            title=f"{title}: {claim_in_words(claim)}",
            details=tuple(details),
        )


def _ask(order: Order, ask: StoredAsk, where: tzinfo) -> Iterator[TimelineEntry]:
    """The decision to ask or not, then what happened to the message."""
    who = named(order, ask.contact_id)
    if ask.reason is not None:
        title = "No question sent" if ask.contact_id == NO_CONTACT else f"Not asked: {who}"
        because = (f"because {why_not(ask.reason)}",)
        yield TimelineEntry(at=ask.decided_at, what="not_asked", voice="unvarnished", title=title, details=because)
        return
    yield _question(order, ask, where) if ask.response is None else _response(order, ask, ask.response, where)
    at = ask.decided_at
    if ask.sent_at is not None:
        at = max(at, ask.sent_at)
        attempt = () if ask.attempt < 2 else (f"attempt {ask.attempt}",)
        title = f"Message to {who} handed to the provider"
        yield TimelineEntry(at=at, what="message", voice="unvarnished", title=title, details=attempt)
    if ask.delivered_at is not None:
        at = max(at, ask.delivered_at)  # the provider's clock may be behind ours
        title = f"Message delivered to the phone of {who}"
        yield TimelineEntry(at=at, what="message", voice="unvarnished", title=title)


def _response(order: Order, ask: StoredAsk, response: FixedResponse, where: tzinfo) -> TimelineEntry:
    details = [response_in_words(response), f"status: {response_state(ask.state)}", *_why_unsent(ask, where)]
    title = f"Response to {named(order, ask.contact_id)} by {channel_in_words(ask.channel)}"
    return TimelineEntry(at=ask.decided_at, what="responded", voice="unvarnished", title=title, details=tuple(details))


def _question(order: Order, ask: StoredAsk, where: tzinfo) -> TimelineEntry:
    sent_elsewhere = ask.state == "due" and ask.due_at is None  # another system sends it and reports only that it did
    details = ["no answer yet" if sent_elsewhere else f"status: {STATES.get(ask.state, plain_word(ask.state))}"]
    details += _why_unsent(ask, where)
    asked = next((one for one in order.dialogue.asks if _same(one, ask)), None)
    if asked is not None:
        details.append(f"claim at that moment (frozen): {claim_in_words(asked.claim)}")
    purpose = _PURPOSE.get(ask.purpose, f" ({plain_word(ask.purpose)})")
    who, channel = named(order, ask.contact_id), channel_in_words(ask.channel)
    title = f"{'Will ask' if asked is None and ask.sent_at is None else 'Asked'} {who} by {channel}{purpose}"
    return TimelineEntry(at=ask.decided_at, what="asked", voice="unvarnished", title=title, details=tuple(details))


def _why_unsent(ask: StoredAsk, where: tzinfo) -> Iterator[str]:
    """Why a message was not sent, or waits."""
    if ask.outcome in ("rejected", "opted_out", "given_up", "undeliverable") or ask.state == "failed":
        outcome = plain_word(ask.state if ask.state == "failed" else ask.outcome or "")
        yield f"outcome: {outcome}" + ("" if ask.code is None else f" (code {ask.code})")
    if ask.outcome in _UNSENT:
        yield f"not sent because {why_not(_UNSENT[ask.outcome])}"
    if ask.due_at is not None and ask.due_at - ask.decided_at > _NOTABLE_DELAY:
        yield f"to be sent from {moment(ask.due_at, where)}, outside quiet hours and holidays"


def _same(asked: Ask, ask: StoredAsk) -> bool:
    return (asked.contact_id, asked.purpose) == (ask.contact_id, ask.purpose)


def _answers(order: Order, answers: Sequence[StoredAnswer], where: tzinfo) -> Iterator[TimelineEntry]:
    latest = {(answer.source, answer.id) for answer in current_answers(answers)}
    for answer in answers:
        stated, details = statement_in_words(answer.statement), []
        if answer.arrived_at is not None:
            details.append(f"reported arrival: {moment(answer.arrived_at, where)}")
        if answer.answered_at is not None and abs(answer.received_at - answer.answered_at) > _NOTABLE_DELAY:
            details.append(f"answered {moment(answer.answered_at, where)}")
        if (answer.source, answer.id) not in latest:
            details.append("amended later by the same person; both answers are kept")
        yield TimelineEntry(
            at=answer.received_at,
            what="answer",
            voice="customer",
            title=f"{named(order, answer.contact_id)} answers by {channel_in_words(answer.channel)}"
            + (f": {stated}" if stated else ""),
            details=tuple(details),
            words=answer.comment,
            alarming=mood(answer.score) == "unhappy" or answer.arrival in ("late", "not_received"),
        )


def _text(order: Order, text: StoredText) -> TimelineEntry:
    who = "an unknown sender" if text.contact_id is None else named(order, text.contact_id)
    reply = () if text.reply is None else (f"our reply: {text.reply}",)
    title = f"Text message from {who}, {_READ_AS.get(text.outcome, plain_word(text.outcome))}"
    return TimelineEntry(
        at=text.received_at, what="text", voice="customer", title=title, details=reply, words=text.words
    )


def _pairs(record: OrderRecord) -> Iterator[TimelineEntry]:
    for pair in record.pairs:
        title = f"Claim and answer compared: {pair.verdict}"
        yield TimelineEntry(
            at=pair.compared_at, what="pair", voice="unvarnished", title=title, alarming=pair.verdict == "embellished"
        )


def _alerts(alerts: Iterable[Alert]) -> Iterator[TimelineEntry]:
    for alert in alerts:
        title = f"Alert opened, supported by this order: {headline(alert)}"
        yield TimelineEntry(at=alert.opened_at, what="alert", voice="unvarnished", title=title, alarming=True)
        if alert.resolved_at is not None:
            title = f"Alert resolved: {headline(alert)}"
            yield TimelineEntry(at=alert.resolved_at, what="alert", voice="unvarnished", title=title)
