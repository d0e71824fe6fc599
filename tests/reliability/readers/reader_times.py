"""How long the readers take for hostile texts: 99 % in less than 5 ms, none more than 50 ms.

    python -m tests.reliability.readers.reader_times

CPU time of one reading, the least of five: the machine's other work does not count. Ends with 1 if a limit is missed.
"""

import random
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from pipeline.domain.answers.parsed_reply import MAX_TEXT, Question
from pipeline.domain.answers.reading.comments import CommentReader
from pipeline.domain.answers.reading.lexicon import lexicon
from pipeline.domain.answers.reading.reader import PlainReader

P99: Final = 0.005  # seconds
MOST: Final = 0.05
_READINGS = 5
_RANDOM_TEXTS = 60  # of each kind
_QUESTIONS: tuple[Question, ...] = ("arrival", "score", "comment")
_PIECES = (
    *("1", "1 ", "1\n", "1,", "1/", "-1", "(1/1)", "10/10 ", "1 - 2 late 3 missing 4 not ", "2, not 1 ", "9", "a"),
    *("stop ", "not ", "no more ", "stop sending ", "sorry ", "wrote:\n", "sent from my ", "regards\n", "a.b.", "x'"),
    *(
        "arretez de m'envoyer des ",
        "届いて",
        "不",
        "七八",
        "لا ",
        "نه ",
        "می ",
        "ﷺ",
        "👍",
        "é\u0301",
        "\u0301",
        "{{",
        "<",
    ),
    *("> ", "\n", '"', " \t", "`", "$(", "--", "but ", "between 1 and ", "last time ", "if ", "not late or "),
)


def hostile_texts() -> list[str]:
    """Texts of the greatest length: repeated pieces, random words of all vocabularies, random characters."""
    draw = random.Random(1)
    words = sorted(lexicon().words)
    ranges = ((0x20, 0x7E), (0xC0, 0x24F), (0x600, 0x6FF), (0x3041, 0x30FF), (0x4E00, 0x9FFF), (0x1F300, 0x1F6FF))
    texts = [piece * (MAX_TEXT // len(piece)) for piece in _PIECES]
    for _ in range(_RANDOM_TEXTS):
        texts.append(" ".join(draw.choice(words) for _ in range(MAX_TEXT // 4)))
        texts.append(" ".join("".join(draw.choices("abcdefgilmnoprstu", k=draw.randint(4, 9))) for _ in range(300)))
        texts.append("".join(chr(draw.randint(*draw.choice(ranges))) for _ in range(MAX_TEXT)))
    return [text[:MAX_TEXT] for text in texts]


def seconds_of(read: Callable[[], object]) -> float:
    """The least CPU time of some readings."""
    spent = []
    for _ in range(_READINGS):
        started = time.process_time()
        read()
        spent.append(time.process_time() - started)
    return min(spent)


def measured() -> list[tuple[float, str]]:
    """The seconds of every hostile text with each reader, the slowest last."""
    replies, comments = PlainReader(), CommentReader()
    found = []
    for text in hostile_texts():
        for question in _QUESTIONS:
            found.append((seconds_of(partial(replies.read, text, question, None)), text))
        found.append((seconds_of(partial(comments.read, text)), text))
    return sorted(found)


def main() -> int:
    """Measure and print; the exit code says whether the limits hold."""
    started = time.process_time()
    lexicon()
    loading = time.process_time() - started
    found = measured()
    p99, slowest = found[len(found) * 99 // 100][0], found[-1]
    print(f"vocabularies loaded in {loading:.2f} s; {len(found)} readings of hostile texts of {MAX_TEXT} characters")
    print(f"median {found[len(found) // 2][0] * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms, slowest {slowest[0] * 1e3:.1f} ms")
    for seconds, text in found[-5:]:
        print(f"  {seconds * 1e3:5.1f} ms  {text[:60]!r}")
    return 0 if p99 < P99 and slowest[0] < MOST else 1


if __name__ == "__main__":
    sys.exit(main())
