"""Comments of the simulated customers, by language and by what they experienced. All invented."""

from collections.abc import Mapping
from typing import Literal

Mood = Literal["content", "late", "missing", "damaged", "incomplete", "wrong", "papers_missing"]

COMMENTS: Mapping[str, Mapping[Mood, tuple[str, ...]]] = {
    "en": {
        "content": ("Smooth as usual", "Driver was friendly", "Right on time, thanks"),
        "late": (
            "We had two people waiting for nothing",
            "Came after the shift had left",
            "Not the time we agreed",
        ),
        "missing": ("It says delivered but nothing is here", "Still waiting", "Where is our pallet?"),
        "damaged": ("Two boxes crushed at the corner", "Film torn, one bag is wet"),
        "incomplete": ("One carton short", "Half of the second line is missing"),
        "wrong": ("Not the size we ordered", "This is for somebody else"),
        "papers_missing": ("No delivery note again",),
    },
    "fr": {
        "content": ("Très bien comme d'habitude", "Livreur aimable", "À l'heure, merci"),
        "late": (
            "L'équipe a attendu pour rien",
            "Arrivé après la fermeture",
            "Ce n'était pas l'heure convenue",
        ),
        "missing": ("Noté livré mais rien ici", "Toujours rien reçu", "Où est notre palette ?"),
        "damaged": ("Deux cartons écrasés", "Film déchiré, un sac mouillé"),
        "incomplete": ("Il manque un carton", "La moitié de la deuxième ligne manque"),
        "wrong": ("Pas la bonne taille", "Ce n'est pas notre commande"),
        "papers_missing": ("Encore sans bon de livraison",),
    },
    "de": {
        "content": ("Wie immer reibungslos", "Netter Fahrer", "Pünktlich, danke"),
        "late": ("Zwei Leute standen umsonst da", "Kam erst nach Schichtende", "So war das nicht zugesagt"),
        "missing": ("Angeblich zugestellt, hier ist nichts", "Warten immer noch", "Wo bleibt die Palette?"),
        "damaged": ("Zwei Kartons eingedrückt", "Folie gerissen, ein Sack nass"),
        "incomplete": ("Ein Karton fehlt", "Die Hälfte der zweiten Position fehlt"),
        "wrong": ("Falsche Größe geliefert", "Das ist für jemand anderen"),
        "papers_missing": ("Wieder kein Lieferschein",),
    },
    "es": {
        "content": ("Todo bien, como siempre", "Repartidor muy amable", "Puntual, gracias"),
        "late": (
            "Dos personas esperando para nada",
            "Llegó con el almacén cerrado",
            "No era la hora acordada",
        ),
        "missing": ("Consta entregado y aquí no hay nada", "Seguimos esperando", "¿Dónde está el palé?"),
        "damaged": ("Dos cajas aplastadas", "Plástico roto y un saco mojado"),
        "incomplete": ("Falta una caja", "Falta la mitad de la segunda línea"),
        "wrong": ("No es la talla pedida", "Esto es de otro cliente"),
        "papers_missing": ("Otra vez sin albarán",),
    },
    "it": {
        "content": ("Tutto bene come sempre", "Autista gentile", "Puntuali, grazie"),
        "late": (
            "Due persone ad aspettare per niente",
            "Arrivato a magazzino chiuso",
            "Non era l'ora concordata",
        ),
        "missing": ("Risulta consegnato ma qui non c'è", "Aspettiamo ancora", "Dov'è il bancale?"),
        "damaged": ("Due scatole schiacciate", "Pellicola rotta, un sacco bagnato"),
        "incomplete": ("Manca un cartone", "Manca metà della seconda riga"),
        "wrong": ("Misura sbagliata", "Non è roba nostra"),
        "papers_missing": ("Di nuovo senza bolla",),
    },
    "nl": {
        "content": ("Prima zoals altijd", "Vriendelijke chauffeur", "Netjes op tijd, dank"),
        "late": (
            "Twee man voor niets laten wachten",
            "Kwam pas na sluitingstijd",
            "Zo was het niet afgesproken",
        ),
        "missing": ("Staat op geleverd, hier is niets", "We wachten nog steeds", "Waar blijft de pallet?"),
        "damaged": ("Twee dozen ingedeukt", "Folie gescheurd, een zak nat"),
        "incomplete": ("Er ontbreekt een doos", "De helft van regel twee ontbreekt"),
        "wrong": ("Verkeerde maat", "Dit is voor iemand anders"),
        "papers_missing": ("Weer geen pakbon",),
    },
}
