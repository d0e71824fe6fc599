"""Whether an ask that is due is sent now, later or never. Everything is checked again at the moment of sending."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.domain.asking.ask_states import Outcome
from pipeline.domain.asking.policy import Policy
from pipeline.domain.asking.quiet_hours import open_from, validity


@dataclass(frozen=True)
class Go:
    """Send it: it may wait in the provider's queue for `valid_for`."""

    valid_for: timedelta


@dataclass(frozen=True)
class Wait:
    """Not now: look at it again at `until`."""

    until: datetime


@dataclass(frozen=True)
class End:
    """Never: this is what became of it."""

    outcome: Outcome


@dataclass(frozen=True)
class Standing:
    """What is known of an ask that is due at the moment of sending it.

    `willing`: there is consent still, and no opt-out; `reachable`: there is an address and a channel that serves it.
    """

    decided_at: datetime
    willing: bool
    reachable: bool
    zones: frozenset[str]


def before_sending(ask: Standing, policy: Policy, now: datetime) -> Go | Wait | End:
    """What to do with an ask that is due. Everything is checked again: much may have happened since the decision."""
    if not ask.willing:
        return End(Outcome.OPTED_OUT)
    give_up_at = ask.decided_at + policy.send_within
    if now >= give_up_at:
        return End(Outcome.GIVEN_UP)
    if not ask.reachable:
        return Wait(give_up_at)
    valid_for = validity(now, ask.zones, policy)
    if valid_for is not None:
        return Go(valid_for)
    return Wait(open_from(now, ask.zones, policy) or give_up_at)
