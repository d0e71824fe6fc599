"""Whatever a customer writes, in whatever order: no question comes twice in the same words, and the end is a person."""

from collections import Counter
from datetime import timedelta
from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.notifiers.wording import reply_texts
from pipeline.notifiers.wording.reply_texts import SUPPLIER
from pipeline.store.schema.inbox import inbox
from tests.support.builders import answered, at
from tests.support.examples import examples
from tests.support.requests import installation
from tests.support.requests.conversations import receive_text
from tests.support.running.embedded import ingest
from tests.support.stored import rows

QUESTIONS = [
    reply_texts.SCORE,
    reply_texts.SCORE_AFTER_PROBLEM,
    reply_texts.SCORE_AGAIN,
    reply_texts.COMMENT,
    reply_texts.ARRIVAL_AGAIN,
    reply_texts.ARRIVAL_AFTER_COMMENT,
]
_numbers = count(1)
# What people write: options, scores, words, what nobody understands, corrections, courtesy, devices, control words.
replies = st.sampled_from(
    (
        "1", "2", "3", "4", "9/10", "9", "0", "hm", "?", "see you tomorrow", "late, two boxes were wet", "2, not 1",
        "ok", "thanks", "no", "2,3", "7,5", "it was Ana", "Automatic reply: I am away", "HELP", "START", "STOP", "FORM",
    )
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(15))
@given(texts=st.lists(replies, min_size=2, max_size=9))
def test_no_question_comes_twice_in_the_same_words(runtime: EmbeddedRunner, texts: list[str]) -> None:
    n = next(_numbers)
    order_id, phone, now = f"SO-{n}", f"+336{n:08d}", at(days=n, hours=2)
    installation.sent(runtime, order_id, f"{n:022d}", now, contact_id=f"c-{n}", phone=phone)
    said = []
    for text in texts:
        now += timedelta(minutes=3)
        if text == "FORM":
            ingest(runtime, answered(order_id, now, f"c-{n}", arrival="late", channel="form"))
            continue
        reply = receive_text(runtime, text, now, phone).reply
        assert reply is None or reply.startswith("Your supplier: "), "it names the supplier first"
        said.append(reply)
    asked = Counter(reply for reply in said if reply in {SUPPLIER.say(question, "en") for question in QUESTIONS})
    assert max(asked.values(), default=0) <= 1, said
    by_person = SUPPLIER.say(reply_texts.READ_BY_PERSON, "en")
    assert said.count(by_person) <= 1
    if by_person in said:
        assert [row for row in rows(runtime, inbox) if row["order_id"] == order_id], "a person finds it"
