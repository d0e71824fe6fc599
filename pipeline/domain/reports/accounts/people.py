"""Who of an account was asked, who answered and who is silent, and the score by role, from some of its orders.

Weights of influence say how much the score of a role counts for the account as a whole. They are a setting for readers
of the page; no evidence and no figure of a segment knows them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple, get_args

from pipeline.domain.answers.answer import Answer
from pipeline.domain.detection.intervals import mean_interval
from pipeline.domain.events.contract import QR_CONTACT, SETTLED, ContactRole
from pipeline.domain.orders.order import Order
from pipeline.domain.reports.scenario_nps import Figure

ROLES: tuple[ContactRole, ...] = get_args(ContactRole)
SILENT_FROM = 2
"""Questions without an answer that make somebody silent."""
_NEVER = datetime.min.replace(tzinfo=UTC)

Status = Literal["answers", "silent", "asked", "not_asked"]


class Person(NamedTuple):
    """A contact of an account, by id. `role`: on the newest order that names them.

    `asked`, `answered`: orders. `points`: the scores they give now, from 0 to 10. `reason`: why they were not asked
    lately (`eligibility.Reason`).
    """

    contact_id: str
    role: ContactRole | None
    asked: int
    answered: int
    last_asked: datetime | None
    last_answer: datetime | None
    points: tuple[float, ...]
    reason: str | None

    @property
    def status(self) -> Status:
        """`silent`: asked about `SILENT_FROM` orders or more, and never answered."""
        if self.answered:
            return "answers"
        if self.asked >= SILENT_FROM:
            return "silent"
        return "asked" if self.asked else "not_asked"


class RoleFigures(NamedTuple):
    """The people of one role together. `score`: mean from 0 to 10; None without a score. `weight`: of influence."""

    role: ContactRole
    people: int
    asked: int
    answered: int
    silent: int
    score: Figure | None
    weight: float


def people_of(orders: Sequence[Order]) -> list[Person]:
    """The contacts that these orders of one account name, newest order first; those who answer last come last."""
    found: dict[str, _Seen] = {}
    for order in orders:
        _note(found, order)
    people = [seen.person(contact_id) for contact_id, seen in found.items()]
    ranks = {"silent": 0, "asked": 1, "not_asked": 2, "answers": 3}
    return sorted(people, key=lambda one: (ranks[one.status], -one.asked, one.contact_id))


def by_role(people: Iterable[Person], weights: Mapping[ContactRole, float]) -> list[RoleFigures]:
    """The figures of each role that somebody has, in the order of the contract."""
    known = list(people)
    return [
        _role(role, mine, weights.get(role, 1.0))
        for role in ROLES
        if (mine := [person for person in known if person.role == role])
    ]


def weighted_score(roles: Iterable[RoleFigures]) -> float | None:
    """The mean of the scores of the roles, each with its weight; None if no role with a weight has a score."""
    scored = [(one.weight, one.score.value) for one in roles if one.score is not None and one.weight]
    total = sum(weight for weight, _ in scored)
    return sum(weight * value for weight, value in scored) / total if total else None


def points_of(answer: Answer) -> float | None:
    """The score of an answer from 0 to 10, whatever its scale; None without a score."""
    if answer.score is None:
        return None
    return float(answer.score.value) if answer.score.scale == 10 else (answer.score.value - 1) * 2.5


class _Seen:
    """What some orders say about a contact, the newest order first."""

    def __init__(self, role: ContactRole | None) -> None:
        self.role = role
        self.asked = 0
        self.answered = 0
        self.last_asked: datetime | None = None
        self.last_answer: datetime | None = None
        self.points: list[float] = []
        self.reason: str | None = None

    def person(self, contact_id: str) -> Person:
        times = (self.last_asked, self.last_answer)
        return Person(contact_id, self.role, self.asked, self.answered, *times, tuple(self.points), self.reason)


def _note(found: dict[str, _Seen], order: Order) -> None:
    dialogue = order.dialogue
    for contact in order.facts.latest.contacts if order.facts.known else ():
        found.setdefault(contact.id, _Seen(contact.role))
    asks = [ask for ask in dialogue.asks if ask.purpose != SETTLED and ask.contact_id != QR_CONTACT]
    for contact_id in {ask.contact_id for ask in asks}:
        seen = found.setdefault(contact_id, _Seen(None))
        seen.asked += 1
        asked_at = max(ask.at for ask in asks if ask.contact_id == contact_id)
        seen.last_asked = max(seen.last_asked or _NEVER, asked_at)
    for answer in dialogue.current_answers():
        if answer.contact_id != QR_CONTACT:
            _answered(found.setdefault(answer.contact_id, _Seen(None)), answer)
    for refusal in dialogue.current_refusals():
        if refusal.contact_id in found and found[refusal.contact_id].reason is None:
            found[refusal.contact_id].reason = refusal.reason


def _answered(seen: _Seen, answer: Answer) -> None:
    seen.answered += 1
    points = points_of(answer)
    if points is not None:
        seen.points.append(points)
    if answer.answered_at is not None:
        seen.last_answer = max(seen.last_answer or _NEVER, answer.answered_at)


def _role(role: ContactRole, people: Sequence[Person], weight: float) -> RoleFigures:
    points = Counter(point for person in people for point in person.points)
    silent = sum(person.status == "silent" for person in people)
    asked, answered = (sum(numbers) for numbers in zip(*((one.asked, one.answered) for one in people), strict=True))
    return RoleFigures(role, len(people), asked, answered, silent, _mean(points), weight)


def _mean(points: Counter[float]) -> Figure | None:
    n = points.total()
    if not n:
        return None
    low, high = mean_interval(points, 0.0, 10.0)
    return Figure(sum(point * many for point, many in points.items()) / n, low, high, n)
