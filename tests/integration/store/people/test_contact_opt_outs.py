"""Opt-outs of contacts: those that an earlier version stored by address, and the times of the provider."""

from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module

import pytest
from sqlalchemy import Engine, select, text

from pipeline.store.db.engine import connect, reading
from pipeline.store.people import contact_opt_outs
from pipeline.store.people.contact_opt_outs import ContactOptChange
from pipeline.store.schema.asks import asks
from pipeline.store.schema.people import contact_opt_changes, opt_outs, people
from tests.support.builders import at

ANA, BEN, EVA, JO = (("A-1", name) for name in ("ana", "ben", "eva", "jo"))
STOPPED, FORMER, FREE = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = connect(database_url)
    yield made
    made.dispose()


def test_who_has_opted_out_by_address_has_opted_out_as_a_contact(engine: Engine) -> None:
    migration = import_module("pipeline.store.schema.migrations.versions.0029_contact_opt_outs")
    with engine.begin() as connection:
        addresses = (ANA, {"phone_digest": STOPPED}), (BEN, {"email_digest": FREE}), (EVA, {"email_digest": STOPPED})
        for (account, contact), digests in addresses:
            row = {"account_id": account, "contact_id": contact, "said_at": at()}
            connection.execute(people.insert().values(**row, **digests))
        sent = {"order_id": "SO-1", "purpose": "delivery", "decided_at": at(), "state": "sent", "recipient": FORMER}
        connection.execute(asks.insert().values(account_id=JO[0], contact_id=JO[1], **sent))
        for digest in (STOPPED, FORMER):
            connection.execute(opt_outs.insert().values(digest=digest, at=at(), source="unvarnished/text"))
        connection.execute(text(migration._HAVE_OPTED_OUT))
        assert contact_opt_outs.opted_out(connection, [ANA, BEN, EVA, JO]) == {ANA, EVA, JO}


def test_the_same_change_again_keeps_its_first_time_in_one_batch_and_in_several(engine: Engine) -> None:
    again = [ContactOptChange(*ANA, "erp", "SO-1", True, at(days)) for days in (3, 1, 2)]
    with engine.begin() as connection:
        contact_opt_outs.record_contacts(connection, again)
        contact_opt_outs.record_contacts(connection, again[:1])
        contact_opt_outs.record_contacts(connection, [ContactOptChange("", "ana", "erp", "SO-1", True, at())])
    with reading(engine) as connection:
        assert [row.at for row in connection.execute(select(contact_opt_changes))] == [at(1)]


def test_the_providers_times_replace_those_of_webhooks(engine: Engine) -> None:
    later = at() + timedelta(minutes=1)
    with engine.begin() as connection:
        changes = [
            ContactOptChange(*ANA, "text", "SM-1", True, at()),
            ContactOptChange(*ANA, "text", "SM-2", False, at()),
        ]
        contact_opt_outs.record_contacts(connection, changes)
        assert contact_opt_outs.opted_out(connection, [ANA]) == {ANA}
        contact_opt_outs.correct_times(connection, {"SM-2": later, "SM-9": later}, "other", "text")
        assert contact_opt_outs.opted_out(connection, [ANA]) == frozenset()
    with reading(engine) as connection:
        assert {row.id: row.at for row in connection.execute(select(contact_opt_changes))} == {
            "SM-1": at(),
            "SM-2": later,
        }
