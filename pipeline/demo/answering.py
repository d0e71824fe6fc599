"""Some of those who are asked live answer, through the form behind the link on their phone; most leave it to you.

What they say is what the company's story makes them say. What takes people hours takes them some deliveries here.
"""

import heapq
import re
import time
from random import Random
from typing import NamedTuple

from pipeline.consumers.runtime.background import Background
from pipeline.demo.company import Company, is_live
from pipeline.demo.door import Door
from pipeline.demo.installed import Observed
from pipeline.demo.replies import reply
from pipeline.domain.events.contract import FeedbackReceived, FeedbackRequested
from pipeline.domain.events.decoding import decode

SOONEST, LATEST = 2, 12  # deliveries after the question
_LOOK_SECONDS = 0.5
_AGAIN = 1.0  # seconds until an answer that was not taken is sent again
_LINK = re.compile(r"/f/([A-Za-z0-9_-]+)")


class Answer(NamedTuple):
    """What somebody will say, and when (`time.monotonic`). `seq`: the question's place in the journal."""

    due: float
    seq: int
    request: FeedbackRequested
    number: str
    said: FeedbackReceived


def fields_of(said: FeedbackReceived, submission: str) -> list[tuple[str, str]]:
    """An answer as the form sends it."""
    goods: list[str] = [*said.condition] or (["complete"] if said.complete else [])
    return [
        ("submission", submission),
        ("arrival", said.arrival or ""),
        *(("goods", name) for name in goods),
        ("score", "" if said.score is None else str(said.score.value)),
        ("comment", said.comment or ""),
    ]


class Answering(Background):
    """Answers what is asked about live orders. `pace`: deliveries a minute.

    Who answers, and what, follows from the seed and the question alone, and the form drops what it has had already: a
    process that is killed in between and started again answers the same.
    """

    def __init__(self, observed: Observed, company: Company, door: Door, pace: float) -> None:
        super().__init__("answering")
        self._observed = observed
        self._company = company
        self._door = door
        self._delivery = 60 / pace  # seconds
        self._seen = 0
        self._due: list[Answer] = []

    def _work(self) -> None:
        while self._pause(_LOOK_SECONDS):
            self._hear()
            while self._due and self._due[0][0] <= time.monotonic() and not self._stopping:
                self._give(heapq.heappop(self._due))

    def _hear(self) -> None:
        """Learn what was asked, and who will answer it when."""
        for seq, _, request in self._observed.requests_after(self._seen):
            self._seen = seq
            found = self._company.asked(request) if is_live(request.order_id) else None
            if found is None:
                continue
            story, person = found
            timed = reply(self._company.seed, story, person, request, story.last)
            if timed is not None and person.phone is not None:
                rng = Random(f"{self._company.seed}:{_name(request)}:live")
                due = time.monotonic() + rng.uniform(SOONEST, LATEST) * self._delivery
                answer = Answer(due, seq, request, person.phone, decode(timed[1].raw).data)
                heapq.heappush(self._due, answer)

    def _give(self, answer: Answer) -> None:
        request = answer.request
        text = self._observed.text_about(request.order_id, answer.number)
        link = None if text is None else _LINK.search(text)
        if link is None or self._observed.answered(request.order_id, request.contact_id):
            return  # somebody was quicker
        if not self._door.fill_in(link[1], fields_of(answer.said, _name(request))):
            heapq.heappush(self._due, answer._replace(due=time.monotonic() + _AGAIN))


def _name(request: FeedbackRequested) -> str:
    return f"{request.order_id}:{request.contact_id}:{request.purpose}"
