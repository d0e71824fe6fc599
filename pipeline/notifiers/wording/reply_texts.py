"""The texts sent back in a conversation. Each begins with the company's name and is as short as a question: a test
counts the segments in every language.
"""

from collections.abc import Mapping
from typing import NamedTuple

from pipeline.domain.answers.replies import Control
from pipeline.notifiers.wording.gsm import plain
from pipeline.notifiers.wording.languages import best_language, translatable, translate
from pipeline.notifiers.wording.questions import named

HELP = translatable(
    "We ask how your deliveries went. Answer as our question says, or reply STOP to get no more messages."
)
STOPPED = translatable("You will get no more messages from us. To get them again, reply START.")
STARTED = translatable("You will get our messages again. To end them, reply STOP.")
SCORE = translatable(
    "Thank you. Going by this delivery, would you recommend us? Reply 0 (not at all) to 10 (very likely)."
)
SCORE_AFTER_PROBLEM = translatable(
    "We are sorry; our team will look into it. Would you recommend us? Reply 0 (not at all) to 10 (very likely)."
)
SCORE_AGAIN = translatable("Sorry, one number from 0 (not at all) to 10 (very likely): would you recommend us?")
COMMENT = translatable("Thank you. Is there anything we should know? A word is enough, or reply NO.")
DONE = translatable("Thank you, your answer is recorded. To change it, open the link in our first message.")
DONE_AFTER_PROBLEM = translatable("Thank you. Our team is looking into it.")
DONE_AFTER_PROBLEM_CALL = translatable("Thank you. Our team is looking into it. Urgent? Call %(phone)s.")
READ_BY_PERSON = translatable("Thank you, a person will read what you wrote.")
SETTLED = translatable("Thank you, it is good to know that it is settled.")
NOT_SETTLED = translatable("Thank you. Our team will look into it again.")
PICTURE = translatable("Thank you for the picture, a person will look at it.")
ARRIVAL_AGAIN = translatable(
    "Sorry, did your order arrive on time and complete? Reply 1 OK, 2 late, 3 missing or damaged, 4 not received."
)
ARRIVAL_AFTER_COMMENT = translatable(
    "Thank you, noted. And did it arrive on time and complete? "
    "Reply 1 OK, 2 late, 3 missing or damaged, 4 not received."
)
REPLIES: Mapping[str, str] = {
    "help": HELP,
    "stopped": STOPPED,
    "started": STARTED,
    "score": SCORE,
    "score_after_problem": SCORE_AFTER_PROBLEM,
    "score_again": SCORE_AGAIN,
    "comment": COMMENT,
    "done": DONE,
    "done_after_problem": DONE_AFTER_PROBLEM,
    "read_by_person": READ_BY_PERSON,
    "picture": PICTURE,
    "settled_yes": SETTLED,
    "settled_no": NOT_SETTLED,
    "arrival_again": ARRIVAL_AGAIN,
    "arrival_after_comment": ARRIVAL_AFTER_COMMENT,
}
CONTROL_REPLIES: Mapping[Control, str] = {"help": HELP, "stop": STOPPED, "start": STARTED}
TEXTS = tuple(REPLIES.values())


class Speaker(NamedTuple):
    """Who speaks in a conversation: the company, and the number to call after a complaint, if there is one."""

    company: str = "Your supplier"
    phone: str | None = None

    def say(self, reply: str, language: str | None) -> str:
        """One of these texts as it is sent, in the person's language."""
        language = best_language(language)
        if reply == DONE_AFTER_PROBLEM and self.phone:
            reply = DONE_AFTER_PROBLEM_CALL
        text = translate(reply, language)
        if reply == DONE_AFTER_PROBLEM_CALL:
            text %= {"phone": self.phone}
        return named(text, language, plain(self.company))


SUPPLIER = Speaker()
