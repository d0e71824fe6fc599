"""The index of the words in answers: keyed digests, so that it holds no readable word.

A word is found by its digest, the beginning of a word by the digests of its first letters, from three on.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from operator import itemgetter

from sqlalchemy import Connection, delete, func, select

from pipeline.store.db.bulk import Row, among, insert_new
from pipeline.store.people.vault import Vault
from pipeline.store.schema.people import answer_words

SHORTEST_PREFIX = 3  # letters
LONGEST_PREFIX = 20
_MOST_WORDS = 1_000  # of one answer that are indexed: more than a comment of ordinary words can have
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_WORD = re.compile(r"[^\W_]+")


def fold(text: str) -> str:
    """A text without case and accents, so that people find a word however they write it."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return _NOT_ASCII.sub(_without_accent, plain)


def _without_accent(found: re.Match[str]) -> str:
    return "" if unicodedata.combining(found[0]) else found[0]


def words_in(text: str) -> list[str]:
    """The folded words of a text, each once, in their order."""
    return list(dict.fromkeys(_WORD.findall(fold(text))))


def digests_of(vault: Vault, text: str) -> frozenset[bytes]:
    """The digests under which a text is found."""
    return frozenset(_digests(vault, words_in(text)[:_MOST_WORDS]))


def _digests(vault: Vault, words: Iterable[str]) -> Iterator[bytes]:
    for word in words:
        yield vault.word_digest("word", word)
        for length in range(SHORTEST_PREFIX, min(len(word), LONGEST_PREFIX) + 1):
            yield vault.word_digest("prefix", word[:length])


def rows_of(seq: int, digests: Collection[bytes]) -> list[Row]:
    """The rows of an answer, by its place in the journal."""
    return [{"digest": digest, "seq": seq} for digest in sorted(digests)]


def save(connection: Connection, rows: list[Row]) -> None:
    """Add rows to the index, each once; in its order, because digests are random and would each touch a page."""
    insert_new(connection, answer_words, sorted(rows, key=itemgetter("digest", "seq")))


def answers_with(
    connection: Connection, vault: Vault, words: Collection[str], beginnings: Collection[str] = ()
) -> frozenset[int]:
    """The places in the journal of the answers that contain all these words, and a word with each of these beginnings.

    Nothing is found by a beginning of fewer than `SHORTEST_PREFIX` letters. The caller checks who may see the answers.
    """
    folded = {("word", word) for text in words for word in words_in(text)}
    folded |= {("prefix", word[:LONGEST_PREFIX]) for text in beginnings for word in words_in(text)}
    if not folded:
        return frozenset()
    wanted = [vault.word_digest("word" if kind == "word" else "prefix", word) for kind, word in sorted(folded)]
    query = (
        select(answer_words.c.seq)
        .where(answer_words.c.digest.in_(wanted))
        .group_by(answer_words.c.seq)
        .having(func.count() == len(wanted))
    )
    return frozenset(connection.execute(query).scalars())


def remove(connection: Connection, seqs: Collection[int]) -> int:
    """Delete the rows of these answers. Returns their number."""
    if not seqs:
        return 0
    return connection.execute(delete(answer_words).where(among(connection, answer_words.c.seq, list(seqs)))).rowcount
