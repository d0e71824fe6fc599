"""Responses: a person sends one of a few fixed texts to a contact who has answered. Nothing is asked.

It goes out like a question, with consent, opt-outs and quiet hours, once for an order and a contact. A response that
promises something opens a case, so that the promise is kept. What the contact writes back changes no figure before a
person has read it: a text that says "put right" must not turn a complaint into a good answer.
"""

from collections.abc import Mapping
from datetime import datetime

from pipeline.consumers.asking import decision_row
from pipeline.consumers.cases.opening import complain
from pipeline.domain.access.acts import Act, ActKind
from pipeline.domain.asking.ask_states import AskState
from pipeline.domain.asking.eligibility import Reason, response, scheduled
from pipeline.domain.cases.complaints import Complaint
from pipeline.domain.events.contract import OWN_SOURCE, RESPONSE, BadEvent, Event, FixedResponse, Request
from pipeline.domain.incidents.lifecycle import Refused
from pipeline.domain.orders.facts import contact_of
from pipeline.store.acts import acts
from pipeline.store.unit_of_work import UnitOfWork

_PROMISES: Mapping[FixedResponse, Request] = {"looking_into_it": "question", "will_call": "call"}


class Unreachable(Exception):
    """The contact must not, or cannot, be written to."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason


def respond(
    order_id: str, contact_id: str, text: FixedResponse, by: str, origin: str, work: UnitOfWork, now: datetime
) -> datetime:
    """Send a fixed text to a contact who has answered about an order. Returns when it is sent at the earliest.

    `by`: the name of a principal; `origin`: the client's address, or "command line". Raises Unreachable, and Refused
    before the contact's first answer and after the first response. The caller has acquired no lock, flushes `work` and
    commits.
    """
    work.lock_case(order_id)
    work.orders.load([order_id])
    order = work.orders.peek(order_id)
    if not order.facts.known:
        raise Refused("the order is not known yet")
    if all(answer.contact_id != contact_id for answer in order.dialogue.answers):
        raise Refused("this contact has not answered about this order")
    before = work.asks.status_of(order_id, contact_id, RESPONSE)
    if before is not None and before.state is not AskState.NOT_ASKED:
        raise Refused("this contact has got a response about this order, and gets one only")
    contact, policy, account_id = contact_of(order.facts, contact_id), work.setup.policy, order.facts.latest.account.id
    if contact is None:
        raise Unreachable(Reason.NO_REACHABLE_CONTACT)
    decision = response(order, contact_id, work.asks.barriers(account_id, contact, now), policy)
    decision = scheduled(order, decision, RESPONSE, policy, now)
    if decision.reason is not None or decision.send_at is None:
        raise Unreachable(decision.reason or Reason.QUIET_ALL_DAY)
    row = decision_row(order, decision, RESPONSE, work, now) | {"response": text}
    if before is None:
        work.asks.add(row)
    else:
        work.asks.respond_again(row, now + policy.send_within)
    details = {"response": text}
    acts.append(work.connection, Act(now, by, ActKind.RESPONSE_SENT, f"{order_id}:{contact_id}", origin, details))
    promise = _PROMISES.get(text)
    if promise is not None:
        complain(order, contact_id, Complaint((promise,), now), by, work, now)
    return decision.send_at


def requested(event: Event) -> None:
    """`feedback.requested` of this purpose: a response was sent. It is in no dialogue. Raises BadEvent if not by us."""
    if event.source != OWN_SOURCE:
        raise BadEvent("only this installation sends responses", "data.purpose")
