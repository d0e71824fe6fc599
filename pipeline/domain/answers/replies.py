"""Parsing of text messages: the port that every reader of replies implements, and the first reader.

The first reader understands numbers, yes and no, a few set phrases and control words, in English and French. It prefers
no code to a wrong code: text that it does not understand becomes a comment for a person to read.
"""

import re
import unicodedata
from typing import Literal, Protocol

from msgspec import Struct

from pipeline.domain.events.contract import Arrival, Condition

_MAX_LINES = 50  # lines that are examined one by one
MAX_TEXT = 1_600  # characters: the longest text a provider delivers; the rest is not parsed

Question = Literal["arrival", "score", "comment"]
Control = Literal["stop", "start", "help"]


class ParsedReply(Struct, frozen=True, omit_defaults=True):
    """What one text states.

    `comment`: the text itself, where it says more than the codes. `unclear`: there was a text, and none of it was
    understood. A reply without content that is not unclear is an automatic reply, or "nothing to add".
    """

    arrival: Arrival | None = None
    conditions: tuple[Condition, ...] = ()
    complete: bool | None = None
    score: int | None = None
    comment: str | None = None
    control: Control | None = None
    unclear: bool = False


class Reader(Protocol):
    """Parses a text as the answer to the question that was open when it was received.

    Pure, linear in the length of the text, and limited to its first MAX_TEXT characters. `language` is the contact's
    (BCP 47) or None; control words are understood in every language.
    """

    def read(self, text: str, question: Question, language: str | None) -> ParsedReply:
        """Parse one text."""
        ...


NOTHING = ParsedReply()
UNCLEAR = ParsedReply(unclear=True)

_YES = ParsedReply(arrival="on_time", complete=True)
_LATE = ParsedReply(arrival="late")
_INCOMPLETE = ParsedReply(complete=False)
_NOT_RECEIVED = ParsedReply(arrival="not_received")
_OPTIONS = {"1": _YES, "2": _LATE, "3": _INCOMPLETE, "4": _NOT_RECEIVED}


def _condition_only(condition: Condition) -> ParsedReply:
    return ParsedReply(conditions=(condition,), complete=False)


def _phrases(parsed: ParsedReply, *phrases: str) -> dict[str, ParsedReply]:
    return dict.fromkeys(phrases, parsed)


# Whole texts, without courtesies, accents and punctuation. Longer texts need a reader of natural language.
_SET_PHRASES: dict[str, ParsedReply] = {
    **_phrases(_YES, "yes", "y", "yep", "yeah", "yup", "ok", "okay", "all good", "all ok", "all fine", "\U0001f44d"),
    **_phrases(_YES, "yes all good", "yes all ok", "yes to both", "on time and complete", "yes on time and complete"),
    **_phrases(_YES, "oui", "ouais", "oui tout est ok", "tout est ok", "tout ok", "tout va bien", "tout est bon"),
    **_phrases(_YES, "a l'heure et complet", "a l'heure et complete", "oui a l'heure et au complet"),
    **_phrases(_YES, "a l'heure et au complet", "oui a l'heure et complet", "oui tout va bien"),
    **_phrases(ParsedReply(arrival="on_time"), "on time", "not late", "yes on time", "a l'heure", "pas en retard"),
    **_phrases(ParsedReply(complete=True), "complete", "all there", "nothing missing", "complet", "au complet"),
    **_phrases(_LATE, "late", "it was late", "too late", "yes but late", "en retard", "oui mais en retard"),
    **_phrases(_NOT_RECEIVED, "not received", "nothing received", "never came", "never arrived", "nothing yet"),
    **_phrases(_NOT_RECEIVED, "did not arrive", "didn't arrive", "non recu", "non recue", "pas recu", "rien recu"),
    **_phrases(_NOT_RECEIVED, "toujours rien recu", "jamais recu", "pas arrive", "jamais arrive", "toujours rien"),
    **_phrases(_INCOMPLETE, "incomplete or damaged", "incomplete ou endommagee", "incomplet ou endommage"),
    # The words of the options in a question.
    **_phrases(_INCOMPLETE, "missing or damaged", "missing/damaged", "manquant ou abime", "manquant/abime"),
    **_phrases(_LATE, "retard"),
    **_phrases(_NOT_RECEIVED, "non livre", "non livree"),
    **_phrases(_condition_only("incomplete"), "incomplete", "incomplet"),
    **_phrases(_condition_only("damaged"), "damaged", "broken", "endommage", "endommagee", "casse"),
    **_phrases(_condition_only("papers_missing"), "no papers", "papers missing", "pas de papiers"),
    **_phrases(_condition_only("wrong"), "wrong item", "wrong goods", "mauvais article"),
}

_NUMBERS = {
    word: value
    for words in (
        "zero one two three four five six seven eight nine ten",
        "zero un deux trois quatre cinq six sept huit neuf dix",
    )
    for value, word in enumerate(words.split())
}
_NEGATIONS = frozenset({"no", "n", "nope", "non", "\U0001f44e"})
_NOTHING_TO_ADD = _NEGATIONS | {
    *("nothing", "none", "nothing to add", "no nothing", "no comment", "that's all", "n/a"),
    *("rien", "ras", "r.a.s", "rien a signaler", "rien a ajouter", "rien de plus", "non rien", "c'est tout"),
}
_COURTESY = frozenset(
    {
        *("please", "pls", "plz", "thanks", "thank", "you", "thx", "ty", "cheers", "hi", "hello", "dear", "\U0001f64f"),
        *("svp", "stp", "merci", "mrc", "bonjour", "bonsoir", "salut", "s'il", "vous", "te", "plait"),
    }
)

_STOP_WORDS = frozenset(
    {
        *("stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"),
        *("arret", "arreter", "arretez", "desabonner", "desabonnement", "desinscription", "desinscrire"),
    }
)
_START_WORDS = frozenset({"start", "unstop", "resume", "subscribe", "reprendre", "reabonnez-moi", "reabonner"})
_HELP_WORDS = frozenset(
    {
        *("help", "info", "who is this", "who's this", "who are you", "how do i answer", "how do i reply"),
        *("aide", "c'est qui", "qui est-ce", "qui etes-vous", "qui etes vous", "comment repondre"),
    }
)

_NOT = r"(?<!not )(?<!n't )(?<!dont )(?<!never )"
_STOP_IT = r"\b(?:arretez|arrete|arreter|cessez|stoppez) (?:de |d')?"
_MESSAGES = r"(?:sms|texts?|text messages?|messages?|msgs?|textos?)\b"
# Opting out in free wording. Each pattern refers to the messages themselves: goods, trucks and drivers may stop, too.
_STOP_WORDINGS = tuple(
    re.compile(pattern)
    for pattern in (
        _NOT + r"\bstop (?:texting|messaging|contacting|bothering|spamming)(?: me| us| this number|$)",
        _NOT + r"\bstop (?:sending )?(?:me |us )?(?:these |those |the |your |any |all )?(?:more )?" + _MESSAGES,
        r"\b(?:do not|don't|dont|never) (?:text|message|sms|contact|write to) (?:me|us)\b"
        r"(?! (?:before|after|until|at|on|between|when|while|if|during|about))",
        r"\bno more " + _MESSAGES,
        r"\b(?:take|remove|delete) (?:me|us|my number|our number|this number) (?:off|from) (?:your|the|this) list\b",
        r"\b(?:take|remove|delete) (?:my|our|this) (?:phone )?number(?: please)?$",
        r"\bunsubscribe (?:me|us)\b|\bopt (?:me |us )?out\b|\bwant to unsubscribe\b",
        _STOP_IT + r"(?:m'|me |nous )(?:ecrire|contacter|texter)",
        _STOP_IT + r"(?:m'|nous )?envoyer (?:des |ces |vos |les )?" + _MESSAGES,
        r"\b(?:arretez|cessez|stoppez|stop) (?:avec |aux )?(?:les |ces |vos )?" + _MESSAGES,
        r"\bne (?:m'|nous )(?:ecrivez|ecris) plus\b|\bne (?:me |nous )(?:contactez|contacte) plus\b",
        r"\bne (?:m'|nous )(?:envoyez|envoie) plus (?:de |d'|ces |vos |aucun )?" + _MESSAGES,
        r"\bne plus (?:m'ecrire|nous ecrire|me contacter|nous contacter)\b",
        r"\bne plus (?:m'envoyer|nous envoyer|recevoir) (?:de |d'|ces |vos |aucun )?" + _MESSAGES,
        r"^plus (?:de |aucun )" + _MESSAGES,
        r"\b(?:desabonnez|desinscrivez)[- ](?:moi|nous)\b|\bme (?:desabonner|desinscrire)\b",
        r"\b(?:retirez|enlevez|supprimez)[- ]moi de (?:votre|la|cette) liste\b",
    )
)
_MACHINE = re.compile(
    r"^(?:re: )?(?:automatic reply|auto[- ]?reply|out of office|reponse automatique|message d'absence)"
)
_QUOTED = re.compile(r"(?:\bwrote|\ba ecrit) ?:$")
_CLOSING = re.compile(
    r"^(?:--$|sent from my |envoye de(?:puis)? mon |(?:kind |best |warm )?regards\b|cordialement\b|cdlt\b|bien a vous)"
)
# A number is an answer if it is alone, or followed by a full stop, comma, dash or line end and then a space.
_LEADING = re.compile(r"^(10|[0-9])(?: ?/ ?10| out of 10| sur 10)?(?: ?[.,;:!)-]+(?= |$)| ?\n|$)")
_TWO_OPTIONS = re.compile(r"^([1-4]) ?(?:and|et|&|\+) ?([1-4])$")
_OPTION_SCORE = re.compile(r"^([1-4])[ ,;]+(10|[0-9])$")
_MARKED = re.compile(r"^(10|[0-9])(?: ?/ ?10| out of 10| sur 10)\b[ .,;:!-]*")
_CORRECTION = re.compile(r"\b(?:sorry|meant|mean|no|wrong key|oops|pardon|non|erreur|plutot|voulais)\b")
_LETTER = re.compile(r"[^\W\d_]")


class PlainReader:
    """Numbers, yes and no, set phrases, STOP, START and HELP, in English and French."""

    def read(self, text: str, question: Question, language: str | None) -> ParsedReply:
        """Parse one text, in both languages at once: people mix them, and no word has two meanings."""
        kept = _without_quotes(text[:MAX_TEXT])
        plain = _plain(kept)
        if _MACHINE.match(plain):
            return NOTHING
        control = control_of(plain)
        if control is None:
            return _answer(kept, plain, question)
        rest = _LEADING.match(plain)
        option = _OPTIONS.get(rest[1]) if rest and question == "arrival" else None
        if option is None:
            return ParsedReply(control=control)
        return ParsedReply(arrival=option.arrival, complete=option.complete, control=control)


def control_of(plain: str) -> Control | None:
    """The control word that a plain text (see `_plain`) contains or paraphrases; None if it contains none."""
    words = [word for word in _words(plain) if word not in _COURTESY]
    bare = " ".join(words)
    named = {word for word in words if not word.isdigit()}
    if (named and named <= _STOP_WORDS) or bare in {"opt out", "stop it", "stop now"}:
        return "stop"
    if bare in _START_WORDS or (named and named <= _START_WORDS):
        return "start"
    if bare in _HELP_WORDS or plain.strip() == "?":
        return "help"
    line = plain.replace("\n", " ")
    if any(wording.search(line) for wording in _STOP_WORDINGS):
        return "stop"
    return None


def _answer(kept: str, plain: str, question: Question) -> ParsedReply:
    bare = " ".join(word for word in _words(plain) if word not in _COURTESY)
    if question == "comment":
        return _comment(kept, plain, bare)
    phrase = _SET_PHRASES.get(bare)
    if phrase is not None and (question == "arrival" or bare not in _ASSENTS):
        return phrase
    parsed = _arrival(plain, bare, kept) if question == "arrival" else _score(plain, bare, kept)
    if parsed is not None:
        return parsed
    return ParsedReply(comment=kept) if _has_words(bare) else UNCLEAR


# "OK" or a thumb after the question for a score is no score, and nothing new about the delivery.
_ASSENTS = frozenset(bare for bare, parsed in _SET_PHRASES.items() if parsed is _YES and " " not in bare)


def _arrival(plain: str, bare: str, kept: str) -> ParsedReply | None:
    both = _TWO_OPTIONS.match(plain)
    if both:
        options = {both[1], both[2]}
        return ParsedReply(arrival="late", complete=False) if options == {"2", "3"} else UNCLEAR
    pair = _OPTION_SCORE.match(plain)
    if pair:
        option = _OPTIONS[pair[1]]
        return ParsedReply(arrival=option.arrival, complete=option.complete, score=int(pair[2]))
    if bare in _OPTIONS:
        return _OPTIONS[bare]
    first = _LEADING.match(plain)
    if first and first[1] in _OPTIONS and "/" not in first[0]:
        option, rest = _OPTIONS[first[1]], plain[first.end() :].strip()
        if _CORRECTION.search(rest):
            return ParsedReply(comment=kept)
        second = _LEADING.match(rest)
        words = rest[second.end() :].strip() if second else rest
        return ParsedReply(
            arrival=option.arrival,
            complete=option.complete,
            score=int(second[1]) if second else None,
            comment=kept if _worth_keeping(words) else None,
        )
    return None


def _score(plain: str, bare: str, kept: str) -> ParsedReply | None:
    if bare in _NUMBERS:
        return ParsedReply(score=_NUMBERS[bare])
    if bare in _ASSENTS or plain.startswith("-"):
        return UNCLEAR
    first = _LEADING.match(bare) or _LEADING.match(plain) or _MARKED.match(plain)
    if first is None:
        return None
    rest = plain[first.end() :].strip() if plain.startswith(first[0]) else ""
    if _CORRECTION.search(rest):
        return ParsedReply(comment=kept)
    return ParsedReply(score=int(first[1]), comment=kept if _worth_keeping(rest) else None)


def _comment(kept: str, plain: str, bare: str) -> ParsedReply:
    if not bare:
        return NOTHING if plain else UNCLEAR
    if bare in _NOTHING_TO_ADD or bare in _ASSENTS:
        return NOTHING
    marked = _MARKED.match(plain)
    score = int(marked[1]) if marked else None
    if score is None and not _has_words(bare):
        return UNCLEAR
    words = plain[marked.end() :].strip() if marked else plain
    return ParsedReply(score=score, comment=kept if _worth_keeping(words) and words != "from me" else None)


def _has_words(bare: str) -> bool:
    """Whether the text has words: more than a bare "no", a single letter or a number."""
    return bare not in _NEGATIONS and len(_LETTER.findall(bare)) > 1


def _worth_keeping(words: str) -> bool:
    bare = " ".join(word for word in _words(words) if word not in _COURTESY)
    return bool(bare) and bare not in _NOTHING_TO_ADD and _has_words(bare)


def _words(plain: str) -> list[str]:
    return [word for word in (raw.strip('.,;:!?…"()«»-') for raw in plain.split()) if word]


def _without_quotes(text: str) -> str:
    """The text that its sender wrote: without the quoted question, the device's signature and the closing."""
    lines: list[str] = []
    for line in text.replace("\r\n", "\n").replace("\r", "\n").strip().split("\n", _MAX_LINES):
        plain = _plain(line)
        if plain.startswith(">"):
            continue
        if _QUOTED.search(plain) or (lines and _CLOSING.match(plain)):
            break
        lines.append(line)
    kept = "\n".join(lines).strip()
    return kept if kept.isprintable() else "".join(char for char in kept if char in "\n\t" or _storable(char))


def _storable(char: str) -> bool:
    """Whether databases and screens can represent the character: no control characters, no surrogates."""
    return unicodedata.category(char) not in {"Cc", "Cs"}


def _plain(text: str) -> str:
    """Lower case without accents, with one kind of apostrophe, dash and space; line ends are kept."""
    bare = text.casefold()
    if not bare.isascii():
        decomposed = unicodedata.normalize("NFKD", bare)[:MAX_TEXT]  # one character may become eighteen
        bare = "".join(char for char in decomposed if unicodedata.category(char) not in {"Mn", "Me", "Cf", "Sk"})
        for variant, plain in (("’", "'"), ("‘", "'"), ("–", "-"), ("—", "-")):
            bare = bare.replace(variant, plain)
    return "\n".join(" ".join(line.split()) for line in bare.split("\n") if line.strip())
