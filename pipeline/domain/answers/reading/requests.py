"""Whether the words of a customer ask for something: to be called, or for an answer to a question."""

import re

from pipeline.domain.answers.reading.tokens import fold
from pipeline.domain.answers.replies import MAX_TEXT
from pipeline.domain.events.contract import Request

# Phrases by language, as people write them; "*" stands for any ending. Between the words there may be two others.
_CALL = (
    # English
    *("call me", "call us", "call back", "callback", "ring me", "ring us", "phone me", "phone us", "give me a call"),
    *("give us a call", "contact me", "contact us", "get in touch", "get back to me", "get back to us"),
    # German
    *("ruf* mich an", "ruf* uns an", "ruckruf*", "zuruckruf*", "rufen sie an", "anruf* bitte", "bitte anruf*"),
    *("meld* euch", "melden sie sich", "kontaktier* mich", "kontaktier* uns", "bitte um ruf"),
    # French
    *("rappel* moi", "rappel* nous", "appel* moi", "appel* nous", "me rappeler", "nous rappeler", "me contacter"),
    *("nous contacter", "contact* moi", "contact* nous", "m appeler", "me recontacter"),
    # Spanish
    *("llam* me", "llamenme", "llameme", "llamame", "llamadme", "llamenos", "que me llamen", "devolver la llamada"),
    *("contact* conmigo", "contactenme", "pongan* en contacto", "comuniquense conmigo"),
    # Portuguese
    *("me lig*", "ligue* me", "liguem para mim", "ligue para mim", "nos lig*", "me telefon*", "telefon* me"),
    *("retorn* a ligacao", "entr* em contato", "entr* em contacto", "contact* me"),
    # Arabic
    *("اتصلوا بي", "اتصل بي", "اتصلوا بنا", "اتصل بنا", "كلموني", "تواصلوا معي", "تواصل معي", "الاتصال بي"),
    # Persian
    *("زنگ بزنید", "زنگ بزن", "تماس بگیرید", "تماس بگیر", "به من زنگ"),
    # Japanese and Chinese, without spaces
    *(
        "電話ください",
        "電話下さい",
        "電話をください",
        "お電話",
        "電話して",
        "折り返し",
        "連絡ください",
        "連絡下さい",
        "ご連絡",
    ),
    *(
        "回电",
        "回電",
        "给我打电话",
        "給我打電話",
        "打电话给我",
        "打電話給我",
        "联系我",
        "聯繫我",
        "联络我",
        "请来电",
        "请致电",
    ),
)
_QUESTION = re.compile(r"[?\u061f\uff1f\u2047\u2048](?!\S*=)")  # not that of a web address
_ADDRESS = re.compile(r"\S+://\S+|www\.\S+", re.IGNORECASE)
_BETWEEN = r"(?:\W+\w+){0,2}\W+"


def _pattern(phrase: str) -> str:
    folded = [word.removesuffix("*") + ("*" if word.endswith("*") else "") for word in fold(phrase)[0].split()]
    words = [re.escape(word.removesuffix("*")) + (r"\w*" if word.endswith("*") else "") for word in folded]
    spaced = all(char < "\u3040" for char in phrase)
    edge = r"\b" if spaced else ""
    return edge + _BETWEEN.join(words) + edge


_CALLS = re.compile("|".join(map(_pattern, _CALL)))
_REFUSED = re.compile(
    r"\b(?:do not|dont|don t|no need to|nicht|ne|pas|no|nao|never|لا|不要|不用|别|別)\W+(?:\w+\W+){0,2}$"
)


def request_of(text: str | None) -> Request | None:
    """What a text asks for; None: nothing that could be recognised. A call counts more than a question."""
    if not text:
        return None
    words = _ADDRESS.sub(" ", text[:MAX_TEXT])
    folded = fold(words)[0]
    for found in _CALLS.finditer(folded):
        if not _REFUSED.search(folded[max(0, found.start() - 30) : found.start()]):
            return "call"
    return "question" if _QUESTION.search(words) else None
