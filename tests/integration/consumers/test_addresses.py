"""Addresses as systems send them: understood, or counted as what they are."""

from typing import Any

import msgspec
import pytest

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.orders.facts import Facts
from pipeline.store.schema.asks import asks
from pipeline.store.schema.orders import orders
from tests.support.builders import at, completed, contact, scanned
from tests.support.modes import EVERYWHERE
from tests.support.running.embedded import VAULT, ingest
from tests.support.stored import opened_people, rows

pytestmark = pytest.mark.parametrize("database_url", EVERYWHERE, indirect=True)


def reason(runtime: EmbeddedRunner, account: dict[str, Any] | None = None, **person: Any) -> str | None:
    """Why the contact of an order is not asked; None: they are."""
    order = completed(account={"id": "A-1"} | (account or {}), contacts=[contact(**person)])
    ingest(runtime, order, scanned(time=at(hours=2)))
    (row,) = rows(runtime, asks)
    found: str | None = row["reason"]
    return found


@pytest.mark.parametrize("phone", ["07700 900123", "n/a", "+44"])
def test_a_number_that_cannot_be_read_has_its_reason(runtime: EmbeddedRunner, phone: str) -> None:
    assert reason(runtime, phone=phone) == "invalid_address"
    (row,) = opened_people(runtime)
    assert row["phone"] == phone, "kept, for a person to look at"


@pytest.mark.parametrize("phone", [None, "", "  "])
def test_no_number_is_another_reason(runtime: EmbeddedRunner, phone: str | None) -> None:
    assert reason(runtime, phone=phone) == "no_reachable_contact"


def test_what_a_sender_says_of_usable_addresses_counts_for_nothing(runtime: EmbeddedRunner) -> None:
    assert reason(runtime, phone=None, name="Ana", unusable_addresses=["phone"]) == "no_reachable_contact"


@pytest.mark.parametrize("country", ["GB", "gb", "UK"])
def test_the_accounts_country_makes_a_national_number_usable(runtime: EmbeddedRunner, country: str) -> None:
    assert reason(runtime, {"country": country}, phone="07700 900123") is None
    (row,) = opened_people(runtime)
    assert row["phone_digest"] == VAULT.phone_digest("+447700900123")
    assert row["phone"] == "+447700900123", "as it is sent to, whatever is set later"


def test_a_corrected_number_is_asked(runtime: EmbeddedRunner) -> None:
    assert reason(runtime, phone="07700 900123") == "invalid_address"
    ingest(runtime, completed(time=at(hours=3), event_id="corrected"))
    assert [row["reason"] for row in rows(runtime, asks)] == [None]


@pytest.mark.parametrize(
    ("more", "country"),
    [
        ({"phone": "+33612345678"}, "FR"),
        ({"phone": "+33612345678", "country": "de"}, "DE"),
        ({"phone": "+33612345678", "country": "Gaul"}, "FR"),
        ({"phone": None, "email": "ana@example.com"}, None),
    ],
)
def test_a_contact_has_the_country_they_are_said_to_be_in_or_that_of_their_phone(
    runtime: EmbeddedRunner, more: dict[str, Any], country: str | None
) -> None:
    ingest(runtime, completed(contacts=[contact(**more)]))
    (row,) = rows(runtime, orders)
    (found,) = msgspec.json.decode(row["facts"], type=Facts).contacts
    assert found.country == country
