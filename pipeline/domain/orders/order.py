"""An order in the two parts in which it is stored: the facts from its events, and the dialogue about it."""

from msgspec import Struct, field

from pipeline.domain.orders.dialogue import Dialogue
from pipeline.domain.orders.facts import Facts


class Order(Struct):
    """An order: its facts and the dialogue about it."""

    order_id: str
    facts: Facts = field(default_factory=Facts)
    dialogue: Dialogue = field(default_factory=Dialogue)
