"""What one order adds to the sums of its account, and the periods that have such sums.

The sums are derived from the order and the counters it is counted in (`reports.counts`). The database keeps them with
every change of an order, so a list of accounts never reads orders.
"""

from datetime import date
from typing import Final, Literal, NamedTuple

from pipeline.domain.orders.facts import Facts
from pipeline.domain.reports.counts import Counts
from pipeline.domain.reports.periods.spans import ALWAYS, month_of

Length = Literal["all", "quarter", "month"]

LENGTHS: tuple[Length, ...] = ("all", "quarter", "month")
PRIOR_ANSWERS = 5
"""Answers that the risk adds to those of an account, so that few answers prove little."""
PRIOR_BAD = 0.5
"""How many of those went badly: one in ten."""
_MOST_PIECES = 10**12  # of one order: a mistake in one line must not drown the others
# What counts as each, by counters of `reports.counts`: an order with one of them.
ANSWERED: Final = ("delivered:answered", "undelivered:answered")
UNHAPPY: Final = ("delivered:detractor", "undelivered:detractor")
BAD: Final = ("on_time:10", "on_time:00", "in_full:10", "in_full:00", *UNHAPPY)


class Sums(NamedTuple):
    """Orders of one account, counted; `pieces` sums the quantities of their lines, each order rounded to whole pieces.

    `answered`: with an answer that states something. `bad`: of them, late, incomplete or with an unhappy customer.
    `dated`: delivered, with a date that the customer requested or, without one, a first promise; `kept`: of them, on
    time by it. The last four are the two-by-two table of claims and experience on time (`reports.counts`).
    """

    orders: int = 0
    pieces: int = 0
    asked: int = 0
    answered: int = 0
    bad: int = 0
    unhappy: int = 0
    delivered: int = 0
    dated: int = 0
    kept: int = 0
    in_full_stated: int = 0
    in_full: int = 0
    on_time_stated: int = 0
    on_time: int = 0
    confirmed: int = 0
    denied: int = 0
    better: int = 0
    late: int = 0

    def minus(self, other: "Sums") -> "Sums":
        """The difference, each number by itself."""
        return Sums(*(one - two for one, two in zip(self, other, strict=True)))

    def plus(self, other: "Sums") -> "Sums":
        """The sum, each number by itself."""
        return Sums(*(one + two for one, two in zip(self, other, strict=True)))

    def counts(self) -> dict[str, int]:
        """The counters of `reports.counts` that trends and comparisons need."""
        found = {"on_time:stated": self.on_time_stated, "on_time": self.on_time, "on_time:11": self.confirmed}
        return found | {"on_time:10": self.denied, "on_time:01": self.better, "on_time:00": self.late}


NONE = Sums()


class Place(NamedTuple):
    """What an order adds, and where: to this account, on that day (an ordinal)."""

    account: str
    day: int
    sums: Sums


class Period(NamedTuple):
    """A month, a quarter, or all time (`first_day` is `ALWAYS`)."""

    length: Length
    first_day: int

    def __str__(self) -> str:
        """As in addresses: "2026-11", "2026-Q4", "all"."""
        if self.length == "all":
            return "all"
        first = date.fromordinal(self.first_day)
        return f"{first:%Y}-Q{(first.month + 2) // 3}" if self.length == "quarter" else f"{first:%Y-%m}"

    @property
    def first(self) -> date | None:
        """The first day; None: open."""
        return None if self.length == "all" else date.fromordinal(self.first_day)

    @property
    def last(self) -> date | None:
        """The last day; None: open."""
        if self.length == "all":
            return None
        following = self.first_day
        for _ in range(3 if self.length == "quarter" else 1):
            following = month_of(following + 31)
        return date.fromordinal(following - 1)


def place_of(facts: Facts, counts: Counts) -> Place | None:
    """What an order with these counters adds; None while no `order.completed` was received."""
    if not counts or not facts.known:
        return None
    return Place(facts.latest.account.id, facts.day(), _sums(facts, counts))


def _sums(facts: Facts, counts: Counts) -> Sums:
    own = "on_time_requested" if "on_time_requested:stated" in counts else "on_time_first"

    def has(*names: str) -> int:
        return int(any(counts.get(name, 0) > 0 for name in names))

    return Sums(
        orders=1,
        pieces=min(round(sum(line.ordered for line in facts.latest.lines)), _MOST_PIECES),
        asked=has("asked"),
        answered=has(*ANSWERED),
        bad=has(*BAD),
        unhappy=has(*UNHAPPY),
        delivered=has("delivered"),
        dated=has(own + ":stated"),
        kept=has(own),
        in_full_stated=has("in_full:stated"),
        in_full=has("in_full"),
        on_time_stated=has("on_time:stated"),
        on_time=has("on_time"),
        confirmed=has("on_time:11"),
        denied=has("on_time:10"),
        better=has("on_time:01"),
        late=has("on_time:00"),
    )


def period_of(length: Length, day: int) -> Period:
    """The month, the quarter or all time that contains a day."""
    if length == "all":
        return Period("all", ALWAYS)
    month = month_of(day)
    if length == "quarter":
        found = date.fromordinal(month)
        month = found.replace(month=found.month - (found.month - 1) % 3).toordinal()
    return Period(length, month)


def parse_period(text: str) -> Period:
    """The period that an address names. Raises ValueError."""
    if text == "all":
        return Period("all", ALWAYS)
    year, separator, part = text.partition("-")
    if not separator or len(year) != len("2026"):
        raise ValueError(text)
    if part.startswith("Q"):
        return period_of("quarter", date(int(year), 3 * int(part[1:]) - 2, 1).toordinal())
    return period_of("month", date(int(year), int(part), 1).toordinal())


def before(period: Period) -> Period:
    """The period of the same length before this one; of all time, all time."""
    return period if period.length == "all" else period_of(period.length, period.first_day - 1)


def risk(sums: Sums) -> float:
    """How many orders probably went badly for the customer: the share of bad ones among the answers times the orders.

    Five answers are added to both, half an answer of them bad: silence counts like one bad answer in ten.
    """
    return sums.orders * (sums.bad + PRIOR_BAD) / (sums.answered + PRIOR_ANSWERS)
