"""The simulated distributor's regions, depots and carriers, and its customers with their contacts. All invented."""

from collections.abc import Iterator, Mapping
from random import Random
from typing import NamedTuple

from pipeline.domain.events.contract import ContactRole

ASKED: tuple[ContactRole, ...] = ("receiver", "user", "purchaser")


class Depot(NamedTuple):
    """One depot: its region, its customers' language and time zone, its carriers, and the number of its accounts."""

    name: str
    region: str
    language: str
    timezone: str
    carriers: tuple[str, ...]
    accounts: int


class Person(NamedTuple):
    """One contact of an account. Without consent never asked; without a phone not reachable by SMS."""

    id: str
    role: ContactRole
    name: str
    phone: str | None
    email: str
    language: str
    timezone: str
    consent: bool


class Customer(NamedTuple):
    """One account with its contacts. `weight`: how often it orders, relative to the others."""

    id: str
    name: str
    tier: str
    depot: Depot
    people: tuple[Person, ...]
    weight: float
    disputes: bool = False  # its contacts answer "late" whatever happened


SCANS_EARLY = "Falkenrode"
MOVES_PROMISES = "Montvray"
ASKS_NOTHING = "Valdecobre"
DISPUTED = "Hallowby"  # honest, with one customer who is never satisfied

CARRIERS = ("Nordhaul", "Karro", "Swiftrill", "Velora", "Pontis")
DEPOTS = (
    Depot("Hallowby", "Channel", "en", "Europe/London", ("Swiftrill", "Nordhaul", "Velora"), 18),
    Depot("Wexmoor", "Channel", "en", "Europe/London", ("Swiftrill", "Velora"), 18),
    Depot("Montvray", "Gallia", "fr", "Europe/Paris", ("Velora", "Pontis", "Nordhaul"), 22),
    Depot("Saint-Ouvain", "Gallia", "fr", "Europe/Paris", ("Velora", "Pontis"), 16),
    Depot("Clairbois", "Gallia", "fr", "Europe/Paris", ("Pontis", "Swiftrill"), 16),
    Depot(
        "Falkenrode", "Rhine-Elbe", "de", "Europe/Berlin", CARRIERS, 24
    ),  # all carriers: none of them explains the difference
    Depot("Ostermarn", "Rhine-Elbe", "de", "Europe/Berlin", ("Nordhaul", "Karro"), 17),
    Depot("Lindholt", "Rhine-Elbe", "de", "Europe/Berlin", ("Karro", "Velora"), 17),
    Depot("Valdecobre", "South", "es", "Europe/Madrid", ("Pontis", "Karro"), 22),
    Depot("Puertolaz", "South", "es", "Europe/Madrid", ("Pontis", "Velora"), 16),
    Depot("Castelrovo", "South", "it", "Europe/Rome", ("Karro", "Swiftrill"), 16),
    Depot("Zuiderkade", "Channel", "nl", "Europe/Amsterdam", ("Nordhaul", "Swiftrill"), 17),
)

_TRADES: Mapping[str, tuple[str, ...]] = {
    "en": ("Joinery", "Fabrication", "Site Services", "Foods", "Packaging", "Marine"),
    "fr": ("Atelier", "Charpentes", "Verrerie", "Conserverie", "Fonderie", "Menuiserie"),
    "de": ("Werkhof", "Holzbau", "Metallbau", "Molkerei", "Druckhaus", "Gerüstbau"),
    "es": ("Talleres", "Bodegas", "Montajes", "Envases", "Carpintería", "Huertas"),
    "it": ("Officine", "Vetreria", "Pastificio", "Cantieri", "Falegnameria", "Stampi"),
    "nl": ("Kwekerij", "Staalbouw", "Zuivel", "Drukkerij", "Timmerwerk", "Scheepswerf"),
}
_NAMES = (
    "Orvane",
    "Tildemar",
    "Quensby",
    "Brellic",
    "Maruval",
    "Hestrin",
    "Dovarre",
    "Pelwick",
    "Soravin",
    "Kestaro",
)
_FIRST: Mapping[str, tuple[str, ...]] = {
    "en": ("Amy", "Ben", "Carol", "Dan", "Ella", "Frank"),
    "fr": ("Anne", "Bruno", "Claire", "Denis", "Elise", "Fabien"),
    "de": ("Anja", "Bernd", "Clara", "Dirk", "Eva", "Frieda"),
    "es": ("Alba", "Bruno", "Carla", "Diego", "Elena", "Felipe"),
    "it": ("Anna", "Bice", "Carlo", "Dario", "Elsa", "Fabio"),
    "nl": ("Anke", "Bram", "Coen", "Daan", "Els", "Femke"),
}


def customers(seed: int) -> tuple[Customer, ...]:
    """All accounts, the same for the same seed."""
    rng = Random(f"{seed}:people")
    mobiles, landlines = _mobiles(), _landlines()
    names = {language: _names(rng, language) for language in _TRADES}
    found: list[Customer] = []
    for depot in DEPOTS:
        for nth in range(depot.accounts):
            number = len(found) + 1
            disputes = depot.name == DISPUTED and nth == 0
            roles = _roles(rng, disputes)
            people = tuple(
                _person(rng, f"C-{number:03d}-{index}", role, depot, mobiles if role in ASKED else landlines, disputes)
                for index, role in enumerate(roles, 1)
            )
            tier = rng.choice(("key", "standard", "standard", "small"))
            weight = 2.0 if disputes else rng.uniform(0.6, 1.4)
            found.append(
                Customer(f"A-{number:03d}", next(names[depot.language]), tier, depot, people, weight, disputes)
            )
    return tuple(found)


def _names(rng: Random, language: str) -> Iterator[str]:
    """Company names in random order, each once."""
    names = [f"{trade} {name}" for trade in _TRADES[language] for name in _NAMES]
    rng.shuffle(names)
    return iter(names)


def _roles(rng: Random, disputes: bool) -> list[ContactRole]:
    """Two to four roles; one is always a receiver, who sees the goods arrive."""
    if disputes:
        return ["receiver", "receiver", "user", "purchaser"]
    others: list[ContactRole] = ["user", "purchaser", "decision_maker", "gatekeeper", "receiver"]
    return ["receiver", *rng.sample(others, rng.choice((1, 2, 2, 3)))]


def _person(rng: Random, name: str, role: ContactRole, depot: Depot, phones: Iterator[str], disputes: bool) -> Person:
    called = f"{rng.choice(_FIRST[depot.language])} {rng.choice(_NAMES)[0]}."
    reachable, consents = rng.random() >= 0.03 or disputes, rng.random() >= 0.04 or disputes
    phone = next(phones)
    email = f"{name.lower()}@example.{rng.choice(('com', 'org'))}"
    return Person(name, role, called, phone if reachable else None, email, depot.language, depot.timezone, consents)


# Unassigned numbers: ranges that the regulators reserve for films and books. Each contact has its own number, because
# one phone for several accounts is itself a sign of embellishment. Of the reserved mobile ranges only the German and
# Swedish ones pass validation (the British 07700 900 and the French 06 39 98 do not), so all contacts use those,
# whatever their language. Roles that are never asked have a French landline.


def _mobiles() -> Iterator[str]:
    """Germany 0171 39200 00-99 and 0176 040690 00-99, Sweden 070-174 06 05 to 99, then London landlines."""
    yield from (f"+4917139200{number:02d}" for number in range(100))
    yield from (f"+49176040690{number:02d}" for number in range(100))
    yield from (f"+4670174{number:04d}" for number in range(605, 700))
    yield from (f"+442079460{number:03d}" for number in range(1_000))


def _landlines() -> Iterator[str]:
    """France 01 99 00 xx xx."""
    yield from (f"+331990{number:05d}" for number in range(10_000))
