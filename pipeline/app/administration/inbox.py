"""Acts of a user of the command line on replies in the inbox."""

from datetime import datetime

from pipeline.app.administration.cases import working
from pipeline.app.installation import now
from pipeline.consumers.inbox import responding
from pipeline.consumers.inbox.responding import Unreachable
from pipeline.domain.access.principal import LOCAL
from pipeline.domain.events.contract import FixedResponse
from pipeline.domain.incidents.lifecycle import Refused
from pipeline.settings import Settings
from pipeline.store.reads import inbox
from pipeline.web.internal.words import why_not


class NotSent(Exception):
    """The response cannot be sent; the message says why."""


def respond_to(settings: Settings, item_id: str, response: FixedResponse) -> datetime:
    """Send a fixed response to the author of a reply. Returns when it is sent at the earliest.

    Raises NotSent, DatabaseMismatch.
    """
    with working(settings) as (_, work):
        item = inbox.read_item(work.connection, LOCAL, item_id)
        if item is None:
            raise NotSent(f"there is no reply {item_id!r} in the inbox")
        if item.order_id is None or item.contact_id is None:
            raise NotSent("this reply belongs to no order, so it is not known whose it is")
        to = item.order_id, item.contact_id
        try:
            return responding.respond(*to, response, LOCAL.name, "command line", work, now())
        except Unreachable as unreachable:
            raise NotSent(f"not sent, because {why_not(unreachable.reason)}") from None
        except Refused as refused:
            raise NotSent(str(refused)) from None
