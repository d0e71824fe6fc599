"""An order, in the two halves in which it is stored: what its events told, and what we did about it."""

from msgspec import Struct, field

from pipeline.domain.orders.dialogue import Dialogue
from pipeline.domain.orders.facts import Facts


class Order(Struct):
    """An order: its facts and the dialogue about it."""

    order_id: str
    facts: Facts = field(default_factory=Facts)
    dialogue: Dialogue = field(default_factory=Dialogue)
