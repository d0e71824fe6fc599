"""Makes and revokes links to scorecards. The database has the digest of a link's token only."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from pipeline.store.schema.orders import scorecard_links
from pipeline.store.users.secrets import digest_of, new_secret


class NewLink(NamedTuple):
    """What a link is to open, and until when."""

    account_id: str
    period: str
    by: str
    ends_at: datetime


def create(connection: Connection, wanted: NewLink, now: datetime) -> str:
    """Make a link and return its token."""
    token = new_secret()
    row = {"token_hash": digest_of(token), "account_id": wanted.account_id, "period": wanted.period}
    row |= {"created_by": wanted.by}
    connection.execute(scorecard_links.insert(), row | {"created_at": now, "ends_at": wanted.ends_at})
    return token


def revoke(connection: Connection, account_id: str, key: str, by: str, now: datetime) -> bool:
    """Revoke a link to a scorecard of that account. False: there is none with that key that is not revoked."""
    mine = scorecard_links.c.token_hash == key, scorecard_links.c.account_id == account_id
    working = scorecard_links.c.revoked_at.is_(None)
    done = scorecard_links.update().where(*mine, working).values(revoked_at=now, revoked_by=by)
    return connection.execute(done).rowcount == 1
