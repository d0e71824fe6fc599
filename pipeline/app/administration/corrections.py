"""The command that proposes a correction."""

from pipeline.app.installation import now, open_installation, open_shared
from pipeline.consumers import corrections
from pipeline.consumers.corrections import Refused, Unknown, Wish
from pipeline.domain.access.principal import LOCAL
from pipeline.domain.events.contract import Reading
from pipeline.errors import UserError
from pipeline.settings import Settings


def propose(settings: Settings, order_id: str, contact_id: str, reading: Reading) -> str:
    """Propose a correction as the principal `local`. Returns what became of it, as a sentence. Raises UserError."""
    installation = open_shared(settings) if settings.uses_kafka else open_installation(settings, sending=True)
    store = installation.store
    try:
        with store.engine.begin() as connection:
            wish = Wish(order_id, contact_id, reading)
            proposed = corrections.propose(connection, store, LOCAL, wish, "command line", now())
    except Unknown:
        raise UserError(f"no order {order_id!r} found; order ids are case-sensitive") from None
    except Refused as refused:
        raise UserError(str(refused)) from None
    finally:
        store.engine.dispose()
    if proposed.due_at is None:
        return f"{proposed.correction_id} waits: a user without a stake in the order has to confirm it."
    return f"{proposed.correction_id} waits: no user could confirm it, so it counts on {proposed.due_at:%Y-%m-%d}."
