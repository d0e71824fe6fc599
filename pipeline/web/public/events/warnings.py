"""Warnings about accepted events: what will not have the effect that its sender expects."""

from collections.abc import Iterator
from typing import NamedTuple

from pipeline.domain.events.contract import Event, OrderCompleted
from pipeline.store.people.people import unusable_addresses
from pipeline.store.people.phone_numbers import country_code
from pipeline.store.people.vault import Vault

_EXPLAINED = {
    "phone": "not a phone number that can be written to, so the contact is not asked there: send it as in +33612345678",
    "email": "not an e-mail address, so the contact is not asked there",
}


class Warned(NamedTuple):
    """The field of an event that a warning is about, and why."""

    field: str
    reason: str


def warnings_of(event: Event, vault: Vault) -> Iterator[Warned]:
    """The warnings about an event whose addresses are not sealed yet."""
    data = event.data
    if not isinstance(data, OrderCompleted):
        return
    yield from _about_country(data.account.country, "data.account.country")
    for index, contact in enumerate(data.contacts):
        yield from _about_country(contact.country, f"data.contacts[{index}].country")
        for kind in unusable_addresses(vault, data.account, contact.phone, contact.email):
            yield Warned(f"data.contacts[{index}].{kind}", _EXPLAINED[kind])


def _about_country(country: str | None, field: str) -> Iterator[Warned]:
    if country and country_code(country) is None:
        yield Warned(field, f"{country!r} is not the code of a country, as in FR (ISO 3166), and is ignored")
