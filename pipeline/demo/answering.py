"""Live answers of the demo: some contacts fill in the form behind the link on their phone, the others are left to you.

The company's story decides what they answer. Where real customers take hours, these take the time of some deliveries.
"""

import heapq
import re
import time
from random import Random
from typing import NamedTuple

from pipeline.consumers.runtime.background import Background
from pipeline.demo.company import Company, is_live
from pipeline.demo.http_client import HttpClient
from pipeline.demo.installation_view import InstallationView
from pipeline.demo.replies import reply
from pipeline.domain.events.contract import FeedbackReceived, FeedbackRequested
from pipeline.domain.events.decoding import decode

SOONEST, LATEST = 2, 12  # deliveries after the question
_POLL_SECONDS = 0.5
_RETRY_SECONDS = 1.0
_LINK = re.compile(r"/f/([A-Za-z0-9_-]+)")


class ScheduledAnswer(NamedTuple):
    """An answer to send, and when (`time.monotonic` seconds). `seq`: the question's position in the journal."""

    due: float
    seq: int
    request: FeedbackRequested
    number: str
    feedback: FeedbackReceived


def form_fields(feedback: FeedbackReceived, submission: str) -> list[tuple[str, str]]:
    """An answer as the fields that the form sends."""
    goods: list[str] = [*feedback.condition] or (["complete"] if feedback.complete else [])
    return [
        ("submission", submission),
        ("arrival", feedback.arrival or ""),
        *(("goods", name) for name in goods),
        ("score", "" if feedback.score is None else str(feedback.score.value)),
        ("comment", feedback.comment or ""),
    ]


class Answering(Background):
    """Answers questions about live orders. `pace`: deliveries a minute.

    Who answers, and what, follows from the seed and the question alone, and the form ignores a submission it already
    has: a process that is killed and started again sends the same answers.
    """

    def __init__(self, view: InstallationView, company: Company, client: HttpClient, pace: float) -> None:
        super().__init__("answering")
        self._view = view
        self._company = company
        self._client = client
        self._delivery = 60 / pace  # seconds
        self._seen = 0
        self._scheduled: list[ScheduledAnswer] = []

    def _work(self) -> None:
        while self._pause(_POLL_SECONDS):
            self._read_questions()
            while self._scheduled and self._scheduled[0].due <= time.monotonic() and not self._stopping:
                self._submit(heapq.heappop(self._scheduled))

    def _read_questions(self) -> None:
        """Read the new questions, and schedule the answers to those that get one."""
        for seq, _, request in self._view.requests_after(self._seen):
            self._seen = seq
            found = self._company.order_and_contact(request) if is_live(request.order_id) else None
            if found is None:
                continue
            story, person = found
            timed = reply(self._company.seed, story, person, request, story.last)
            if timed is not None and person.phone is not None:
                rng = Random(f"{self._company.seed}:{_name(request)}:live")
                due = time.monotonic() + rng.uniform(SOONEST, LATEST) * self._delivery
                answer = ScheduledAnswer(due, seq, request, person.phone, decode(timed[1].raw).data)
                heapq.heappush(self._scheduled, answer)

    def _submit(self, answer: ScheduledAnswer) -> None:
        request = answer.request
        text = self._view.text_about(request.order_id, answer.number)
        link = None if text is None else _LINK.search(text)
        if link is None or self._view.answered(request.order_id, request.contact_id):
            return  # the visitor has answered first
        if not self._client.submit_form(link[1], form_fields(answer.feedback, _name(request))):
            heapq.heappush(self._scheduled, answer._replace(due=time.monotonic() + _RETRY_SECONDS))


def _name(request: FeedbackRequested) -> str:
    return f"{request.order_id}:{request.contact_id}:{request.purpose}"
