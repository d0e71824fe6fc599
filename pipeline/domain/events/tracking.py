"""Tracking numbers of carriers: one form for comparison, however a system writes them."""

import unicodedata

from msgspec import Struct

from pipeline.domain.events.contract import DeliveryRetracted, DeliveryUpdated, OrderCompleted


def normal_number(number: str) -> str:
    """The number in capitals, letters and digits only. Empty if it has none."""
    return "".join(character for character in unicodedata.normalize("NFKC", number).upper() if character.isalnum())


def numbers_in(data: Struct) -> set[str]:
    """The tracking numbers in an event's data, in their normal form."""
    numbers: list[str | None] = []
    if isinstance(data, OrderCompleted) and isinstance(data.shipments, list):
        numbers = [shipment.tracking_number for shipment in data.shipments]
    elif isinstance(data, DeliveryUpdated | DeliveryRetracted):
        numbers = [data.tracking_number]
    return {normal_number(number) for number in numbers if number is not None}
