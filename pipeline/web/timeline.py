"""One order as a story: what operations said, what we asked, what the customer said, each at its time.

The page and the read API show the same of it. Names and addresses are sealed and appear in neither: people are called
by their id and role.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

from msgspec import Struct

from pipeline.domain.eligibility import NOBODY
from pipeline.domain.events import Score, zone
from pipeline.domain.figures import Alert
from pipeline.domain.orders import Ask, Claim, Facts, Order, Promise, Revision, Scan, contact_of
from pipeline.domain.pairs import EXPERIENCE, IN_FULL, ON_TIME, Verdict, experience_of, observations, verdict
from pipeline.domain.scores import is_detractor, is_promoter
from pipeline.domain.segments import TOTAL, Level, Segment, segments_of
from pipeline.notifiers.sentences import day, describe, headline
from pipeline.store.pages import Record, StoredAnswer, StoredAsk, StoredClaim, StoredText

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
_WHY_NOT = {
    "historic": "the order comes from the past, and nobody is asked about history",
    "not_a_role_that_is_asked": "people in this role are not asked",
    "no_consent": "no consent to be asked is on record",
    "no_reachable_contact": "the order names nobody with a number or an address that works",
    "opted_out": "this person asked not to be written to",
    "duplicate": "this person was asked about this order already",
    "sampled_out": "only a sample is asked, and this order is not in it",
    "asked_recently": "this person was asked a few days ago, and is left in peace",
    "account_cap": "this customer was asked often enough these days",
    "quiet_all_day": "no hour of the day is open in all the time zones this person may live in",
    "rejected": "the provider cannot reach this number",
    "not_sent": "the provider took nothing until it was too late",
    "unresolved": "nobody knows whether the message was sent, and nothing is sent twice",
}
_PURPOSE = {
    "delivery": "",
    "missing_scan": ", because the promise had passed and no delivery was reported",
    "reminder": " once more, the only reminder",
}
STATES = {
    "due": "waits to be sent",
    "sending": "on its way out",
    "unknown": "nobody knows yet whether it was sent; it is being looked for",
    "unresolved": "nobody knows whether it was sent, and it was looked for long enough",
    "sent": "sent, no answer so far",
    "failed": "the provider took it and could not deliver it",
    "delivered": "the message arrived, no answer so far",
    "answered": "answered",
    "expired": "no answer came in time",
    "not_asked": "it was not sent after all",
}
_READ_AS = {
    "answered": "read as an answer",
    "unclear": "which could not be read as an answer",
    "control": "with STOP, START or HELP",
    "ignored": "which asks for nothing",
    "quarantined": "kept aside: its sender is not known here",
}
_ARRIVAL = {"on_time": "it came on time", "late": "it came late", "not_received": "it never arrived"}
_CONDITION = {
    "damaged": "damaged",
    "incomplete": "something was missing",
    "wrong": "the wrong goods",
    "papers_missing": "papers missing",
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


class Said(Struct, frozen=True):
    """A claim in words, and as it can be checked. None: nothing is said."""

    summary: str
    delivered_at: datetime | None
    on_time_first: bool | None
    on_time_latest: bool | None
    on_time_requested: bool | None
    in_full: bool | None


class Behind(Struct, frozen=True):
    """An alert whose evidence this order is part of."""

    alert_id: str
    state: Literal["open", "unverified", "resolved"]
    headline: str
    evidence: str


class Party(Struct, frozen=True):
    """One person who could be asked."""

    contact_id: str
    role: str


class Heard(Struct, frozen=True):
    """What one person says of the order, as it stands."""

    who: str
    said: str
    words: str | None


class OrderView(Struct, frozen=True, kw_only=True):
    """All there is to know of an order. `verdict` None: there are not both a claim and an answer to compare."""

    order_id: str
    account_id: str | None
    account: str | None
    dimensions: dict[str, str]
    contacts: tuple[Party, ...]
    timezone: str
    first_promise: datetime | None
    latest_promise: datetime | None
    claim: Said
    claim_when_asked: Said | None
    verdict: Verdict | None
    verdict_in_words: str
    answers: tuple[Heard, ...]
    alerts: tuple[Behind, ...]
    timeline: tuple[Moment, ...]


def view_of(record: Record, alerts: Iterable[Alert], levels: Sequence[Level]) -> OrderView:
    """The order's story; `alerts` may hold any, only those that this order is behind are told."""
    order = record.order
    facts, dialogue = order.facts, order.dialogue
    behind = _behind(order, alerts, levels)
    zone_name = facts.latest.timezone if facts.known else None
    frozen = dialogue.claim_when_asked()
    experience = experience_of(dialogue.standing())
    judged = verdict(frozen, experience) if frozen is not None and dialogue.answers else None
    account = facts.latest.account if facts.known else None
    return OrderView(
        order_id=order.order_id,
        account_id=account.id if account else None,
        account=(account.name or account.id) if account else None,
        dimensions=facts.latest.dimensions if facts.known else {},
        contacts=tuple(Party(contact.id, plain_word(contact.role)) for contact in facts.latest.contacts)
        if facts.known
        else (),
        timezone=zone_name or "UTC",
        first_promise=facts.first_promise,
        latest_promise=facts.latest_promise,
        claim=_said(dialogue.claim),
        claim_when_asked=_said(frozen) if frozen is not None else None,
        verdict=judged,
        verdict_in_words=_in_words(order, frozen, judged),
        answers=tuple(
            Heard(_who(order, answer.contact_id), _heard(answer), answer.comment)
            for answer in _standing(record.answers)
        ),
        alerts=tuple(Behind(alert.alert_id, alert.state, headline(alert), describe(alert)) for alert in behind),
        timeline=_timeline(record, behind, zone_of(zone_name)),
    )


def zone_of(name: str | None) -> tzinfo:
    """The zone in which an order's times are shown."""
    return UTC if name is None else zone(name)


def moment(at: datetime, where: tzinfo) -> str:
    """An instant as "3 March 2026, 14:05"."""
    local = at.astimezone(where)
    return f"{day(local)}, {local:%H:%M}"


def plain_word(name: str) -> str:
    """A name from a closed list as people write it."""
    return name.replace("_", " ")


def why_not(reason: str) -> str:
    """Why somebody was not asked, in half a sentence."""
    return _WHY_NOT.get(reason, plain_word(reason))


def claim_in_words(claim: Claim) -> str:
    """What operations says, in one line: "on time by the latest promise, late by the first; in full"."""
    if claim.delivered_at is None:
        return "no delivery reported"
    promised, first = claim.on_time_latest, claim.on_time_first
    if promised is None:
        parts = ["delivered, without a promise to measure it by"]
    elif first is not None and first != promised:
        parts = ["on time by the latest promise, late by the first" if promised else "late by the latest promise"]
    else:
        parts = ["on time" if promised else "late"]
    if claim.in_full is not None:
        parts.append("in full" if claim.in_full else "not in full")
    return ", ".join(parts)


def answer_in_words(answer: StoredAnswer) -> str:
    """What the customer says, without the words: "it came late; damaged"."""
    parts = [_ARRIVAL.get(answer.arrival, plain_word(answer.arrival))] if answer.arrival else []
    complaints = [_CONDITION.get(name, plain_word(name)) for name in answer.condition.split(",") if name]
    if complaints:
        parts.append(", ".join(complaints))
    elif answer.complete is not None:
        parts.append("everything was there" if answer.complete else "not everything was there")
    return "; ".join(parts)


def score_in_words(answer: StoredAnswer) -> str | None:
    """The score with its mood: "2 of 10, unhappy"."""
    if answer.score is None or answer.scale is None:
        return None
    return f"{answer.score} of {answer.scale}, {mood(answer)}"


def mood(answer: StoredAnswer) -> Literal["unhappy", "neutral", "happy"]:
    """How the score counts: as a detractor's, a promoter's or neither's."""
    if answer.score is None:
        return "neutral"
    score = Score(answer.score, 5 if answer.scale == 5 else 10)
    return "unhappy" if is_detractor(score) else "happy" if is_promoter(score) else "neutral"


def _said(claim: Claim) -> Said:
    return Said(
        claim_in_words(claim),
        claim.delivered_at,
        claim.on_time_first,
        claim.on_time_latest,
        claim.on_time_requested,
        claim.in_full,
    )


def _in_words(order: Order, frozen: Claim | None, judged: Verdict | None) -> str:
    """The verdict in a sentence, or what is still missing for one."""
    if judged is None or frozen is None:
        if not order.dialogue.answers:
            return "Nothing to compare yet: no customer has answered."
        return "Nothing to compare: there was no question whose claim could be held against the answer."
    lived = observations(frozen, experience_of(order.dialogue.standing()))
    if judged == "agrees":
        if not lived:
            return "Agrees: the answer touches nothing that was claimed well."
        return "Agrees: the customer does not contradict what was claimed."
    if judged == "understated":
        return "Understated: it went better for the customer than was claimed."
    denied = {ON_TIME: "on time", IN_FULL: "in full", EXPERIENCE: "delivered well"}
    claims = [words for signal, words in denied.items() if lived.get(signal, 0) >= 0.5]
    return f"Embellished: claimed {' and '.join(claims)}, and the customer says otherwise."


def _behind(order: Order, alerts: Iterable[Alert], levels: Sequence[Level]) -> list[Alert]:
    """The alerts whose run this order's contradiction fell into."""
    dimensions = order.facts.latest.dimensions if order.facts.known else {}
    homes = {Segment(*TOTAL), *segments_of(dimensions, levels)}
    found = []
    for alert in alerts:
        placed = order.dialogue.placed.get(alert.signal)
        if placed is None or placed.x <= 0 or Segment(alert.dimension, alert.value) not in homes:
            continue
        over = alert.resolved_at is not None and placed.day > alert.resolved_at.toordinal()
        if order.order_id in alert.orders or (placed.day >= alert.since.toordinal() and not over):
            found.append(alert)
    return found


def _timeline(record: Record, behind: Iterable[Alert], where: tzinfo) -> tuple[Moment, ...]:
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
    who = _who(order, ask.contact_id)
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
    title = f"{'To ask' if asked is None else 'Asked'} {who} by {_channel(ask.channel)}{purpose}"
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
    standing = _standing(answers)
    for answer in answers:
        said = _heard(answer)
        details = []
        if answer.arrived_at is not None:
            details.append(f"says the goods came {moment(answer.arrived_at, where)}")
        if answer.answered_at is not None and abs(answer.received_at - answer.answered_at) > _LATE_WORD:
            details.append(f"written {moment(answer.answered_at, where)}")
        if answer not in standing:
            details.append("amended later by the same person; both are kept")
        yield Moment(
            at=answer.received_at,
            what="answer",
            voice="customer",
            title=f"{_who(order, answer.contact_id)} answers by {_channel(answer.channel)}"
            + (f": {said}" if said else ""),
            details=tuple(details),
            words=answer.comment,
            alarming=mood(answer) == "unhappy" or answer.arrival in ("late", "not_received"),
        )


def _text(order: Order, text: StoredText) -> Moment:
    who = "somebody" if text.contact_id is None else _who(order, text.contact_id)
    replied = () if text.reply is None else (f"our reply: {text.reply}",)
    title = f"Text message from {who}, {_READ_AS.get(text.outcome, plain_word(text.outcome))}"
    return Moment(at=text.received_at, what="text", voice="customer", title=title, details=replied)


def _standing(answers: Sequence[StoredAnswer]) -> list[StoredAnswer]:
    """The latest answer of each person, as `Dialogue.standing` has it."""
    first = datetime.min.replace(tzinfo=UTC)
    in_order = sorted(answers, key=lambda answer: answer.answered_at or first)
    return list({answer.contact_id: answer for answer in in_order}.values())


def _heard(answer: StoredAnswer) -> str:
    return "; ".join(filter(None, [answer_in_words(answer), score_in_words(answer)]))


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


def _who(order: Order, contact_id: str) -> str:
    contact = contact_of(order.facts, contact_id)
    return contact_id if contact is None else f"{contact_id} ({plain_word(contact.role)})"


def _channel(channel: str | None) -> str:
    return {"sms": "SMS", "email": "e-mail", None: "an unknown way"}.get(channel, channel or "")
