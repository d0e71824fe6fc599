"""What one person states about one order, and how a later statement amends an earlier one."""

from datetime import datetime

from msgspec import Struct

from pipeline.domain.events.contract import Arrival, Condition, Score


class Statement(Struct, frozen=True, omit_defaults=True):
    """What one person states about one order, from any number of messages and forms. None and (): not stated.

    Conversations store it as JSON, so fields keep their names and types.
    """

    arrival: Arrival | None = None
    complete: bool | None = None
    conditions: tuple[Condition, ...] = ()
    score: Score | None = None
    comment: str | None = None
    arrived_at: datetime | None = None

    @property
    def is_codable(self) -> bool:
        """Whether it states anything besides words. What states nothing codable waits for a person to read it."""
        stated = (self.arrival, self.complete, self.score, self.arrived_at)
        return bool(self.conditions) or any(value is not None for value in stated)

    @property
    def mentions_goods(self) -> bool:
        """Whether the statement says anything about the goods: `complete` and `conditions` are one subject."""
        return self.complete is not None or bool(self.conditions)

    def amended_by(self, later: "Statement") -> "Statement":
        """This statement with what the same person stated later.

        What the later statement does not mention stays. Goods that never came have no condition and no hour of
        arrival, so a later `not_received` withdraws both as stated earlier.
        """
        withdrawn = later.arrival == "not_received"
        goods = later if later.mentions_goods or withdrawn else self
        return Statement(
            arrival=later.arrival or self.arrival,
            complete=goods.complete,
            conditions=goods.conditions,
            score=later.score or self.score,
            comment=later.comment or self.comment,
            arrived_at=later.arrived_at if withdrawn else later.arrived_at or self.arrived_at,
        )
