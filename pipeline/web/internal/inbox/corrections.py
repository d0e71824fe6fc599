"""Corrections that wait, as the inbox shows them: confirmed by a second user, or counting by themselves on a day."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from pipeline.consumers.corrections import WaitingCorrection, waiting_for
from pipeline.domain.access.principal import Principal
from pipeline.domain.events.contract import AnswerRef, Reading
from pipeline.store.acts.corrections import number_waiting
from pipeline.store.asks.inbox import item_id_of
from pipeline.store.reads.inbox import words_of_answers
from pipeline.store.store import Store
from pipeline.web.internal.words import statement_in_words

MOST = 20  # corrections on one page: those that wait longest


class CorrectionView(NamedTuple):
    """A correction that waits. `stated`: what counts until then, in words; `item_id`: of the reply in the inbox."""

    id: str
    order_id: str
    contact_id: str
    words: str
    stated: str
    reading: Reading
    by: str
    proposed_at: datetime
    may_confirm: bool
    is_own: bool
    counts_at: datetime | None
    item_id: str


class WaitingCorrections(NamedTuple):
    """The corrections to show, and how many wait in all."""

    shown: list[CorrectionView]
    number: int


def corrections_for(
    connection: Connection, store: Store, viewer: Principal, order_id: str | None = None
) -> WaitingCorrections:
    """The corrections that wait and that the viewer sees, the oldest first; those of one order."""
    found = waiting_for(connection, viewer, order_id=order_id, limit=MOST)
    named = [AnswerRef(one.proposal.source, one.proposal.answer_id) for one in found]
    words = words_of_answers(connection, viewer, store.vault, named)
    shown = [_view(viewer, one, words.get(answer, "")) for one, answer in zip(found, named, strict=True)]
    return WaitingCorrections(shown, number_waiting(connection, viewer))


def _view(viewer: Principal, waiting: WaitingCorrection, words: str) -> CorrectionView:
    proposal = waiting.proposal
    return CorrectionView(
        proposal.correction_id,
        proposal.order_id,
        proposal.contact_id,
        words,
        "" if waiting.stated is None else statement_in_words(waiting.stated),
        proposal.reading,
        proposal.by,
        proposal.proposed_at,
        waiting.may_confirm,
        viewer.name == proposal.by,
        waiting.counts_at,
        item_id_of(proposal.source, proposal.answer_id),
    )
