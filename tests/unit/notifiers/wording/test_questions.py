"""The text of a question: short in every language, with its link and the opt-out, and without injected text."""

import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.answers.replies import PlainReader
from pipeline.domain.answers.settled import settled_of
from pipeline.domain.events.contract import ContactRole, FixedResponse, Purpose
from pipeline.notifiers.wording.gsm import plain, segments, unsupported
from pipeline.notifiers.wording.languages import languages
from pipeline.notifiers.wording.questions import (
    MAX_COMPANY,
    MAX_ORDER,
    MIN_ORDER,
    QUESTIONS,
    RESPONSES,
    RIGHT_TO_LEFT_MARK,
    most_segments,
    question_text,
    subject,
)

LINK = "https://ask.example.com/f/" + "A" * 22
ORDER = "SO-20261127-0001-FRA"


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("purpose", QUESTIONS)
@pytest.mark.parametrize("company", ["Acme", "C" * MAX_COMPANY])
@pytest.mark.parametrize("role", [None, *get_args(ContactRole)])
def test_a_question_is_short_with_its_sender_first_its_link_and_the_way_out(
    language: str, purpose: Purpose, company: str, role: ContactRole | None
) -> None:
    assert len(ORDER) == MAX_ORDER
    text = question_text(language, purpose, company, ORDER, LINK, role)
    assert segments(text) <= most_segments(language), (len(text), text)
    assert text.lstrip(RIGHT_TO_LEFT_MARK).startswith(f"{company}: ")
    assert LINK in text
    assert "STOP" in text
    assert (ORDER if company == "Acme" and role is None and most_segments(language) == 1 else ORDER[:MIN_ORDER]) in text


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("company", ["Acme", "C" * MAX_COMPANY])
def test_who_cannot_reply_gets_two_links_and_no_options(language: str, company: str) -> None:
    stop = LINK.replace("/f/", "/u/")
    text = question_text(language, "delivery", company, ORDER, LINK, unsubscribe_url=stop)
    assert text.endswith(f"{LINK} STOP: {stop}")
    assert not re.search(r"\b[1-4] ", text.removesuffix(f"{LINK} STOP: {stop}").replace(ORDER, ""))
    affordable = most_segments(language) if company == "Acme" else max(2, most_segments(language))
    assert segments(text) <= affordable, (len(text), text)


@pytest.mark.parametrize("language", languages())
def test_with_a_short_name_a_question_costs_two_segments_at_most(language: str) -> None:
    assert segments(question_text(language, "delivery", "Acme", "SO-10001", LINK)) <= 2


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("response", get_args(FixedResponse))
@pytest.mark.parametrize("company", ["Acme", "C" * MAX_COMPANY])
def test_a_response_is_short_names_its_order_and_has_no_options(
    language: str, response: FixedResponse, company: str
) -> None:
    text = question_text(language, "response", company, ORDER, LINK, response=response)
    assert segments(text) <= most_segments(language), (len(text), text)
    assert text.lstrip(RIGHT_TO_LEFT_MARK).startswith(f"{company}: ")
    assert ORDER[:MIN_ORDER] in text
    assert re.search(rf"{LINK} .*STOP", text)
    assert not re.search(r" [1-4] ", text.replace(ORDER, ""))
    stop = LINK.replace("/f/", "/u/")
    one_way = question_text(language, "response", company, ORDER, LINK, response=response, unsubscribe_url=stop)
    assert one_way.endswith(f"{LINK} STOP: {stop}")
    assert segments(one_way) <= max(2, most_segments(language)), one_way


def test_there_is_a_text_for_every_response_and_its_subject_is_a_sentence() -> None:
    assert set(RESPONSES) == set(get_args(FixedResponse))
    assert subject("en", "response", "SO-1", "receiver", response="will_call") == "Order SO-1: we will call you."
    assert subject("de", "response", "SO-1", None, response="put_right") == "Lieferung SO-1: wir haben es behoben."


def test_each_role_is_asked_about_what_it_sees() -> None:
    asked = {role: question_text("en", "delivery", "Acme", "SO-1", LINK, role) for role in get_args(ContactRole)}
    assert asked["receiver"].startswith("Acme: how was order SO-1? 1 OK")
    assert asked["user"].startswith("Acme: is order SO-1 as you need it? 1 OK")
    assert asked["purchaser"].startswith("Acme: did order SO-1 go well? 1 OK")
    assert asked["decision_maker"].startswith("Acme: how did we do on order SO-1? 1 OK")


def test_a_company_words_the_question_and_nothing_else() -> None:
    own = {"en": {"all": "all fine with order %(order)s?", "user": "does order %(order)s work for you?"}}
    text = question_text("en", "delivery", "Acme", "SO-1", LINK, "receiver", own)
    assert text == f"Acme: all fine with order SO-1? 1 OK 2 late 3 missing/damaged 4 not received {LINK} STOP=end"
    assert "does order SO-1 work for you? 1 OK" in question_text("en", "delivery", "Acme", "SO-1", LINK, "user", own)
    assert "is order SO-1 here?" in question_text("en", "missing_scan", "Acme", "SO-1", LINK, "user", own)
    assert "wie war Lieferung SO-1?" in question_text("de", "delivery", "Acme", "SO-1", LINK, None, own)


def test_a_wording_that_is_too_long_gives_way_to_the_general_one() -> None:
    own = {"en": {"all": "how satisfied were you altogether with order %(order)s?"}}
    text = question_text("en", "delivery", "C" * MAX_COMPANY, "SO-1", LINK, "purchaser", own)
    assert ": did order SO-1 go well?" in text


def test_an_order_number_is_cut_only_as_far_as_the_segment_requires() -> None:
    lengths = [len(question_text("en", "delivery", "C" * n, ORDER, LINK)) for n in (10, 20, 25, MAX_COMPANY)]
    assert lengths == [150, 160, 160, 160]


def test_with_a_link_that_is_too_long_the_order_number_stays_recognisable() -> None:
    text = question_text("en", "delivery", "Acme", ORDER, f"https://{'a' * 120}.example/f/{'A' * 22}")
    assert f"order {ORDER[:MIN_ORDER]}?" in text


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("purpose", [purpose for purpose in QUESTIONS if purpose != "settled"])
def test_every_option_of_a_question_is_parsed(language: str, purpose: Purpose) -> None:
    text = question_text(language, purpose, "Acme", ORDER, LINK)
    read = {}
    for option in "1234":
        assert f" {option} " in text
        reading = PlainReader().read(option, "arrival", language)
        read[option] = (reading.arrival, reading.complete)
    assert read == {
        "1": ("on_time", True),
        "2": ("late", None),
        "3": (None, False),
        "4": ("not_received", None),
    }


@pytest.mark.parametrize("language", languages())
def test_the_options_of_the_closing_question_are_parsed_as_numbers_and_as_words(language: str) -> None:
    text = question_text(language, "settled", "Acme", ORDER, LINK)
    options = re.search(r" 1 (\S+) 2 (\S+) https:", text)
    assert options
    for reply, settled in (("1", True), (options[1], True), ("2", False), (options[2], False)):
        assert settled_of(reply, language) is settled


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        *[("OK", ("on_time", True)), ("late", ("late", None)), ("retard", ("late", None))],
        *[("missing/damaged", (None, False)), ("manquant ou abimé", (None, False))],
        *[("not received", ("not_received", None)), ("Non livré", ("not_received", None))],
    ],
)
def test_the_words_of_an_option_are_parsed_like_its_number(reply: str, read: tuple[str, bool | None]) -> None:
    reading = PlainReader().read(reply, "arrival", "en")
    assert (reading.arrival, reading.complete) == read


def test_an_order_number_cannot_inject_text_into_a_message() -> None:
    order_id = "http://evil.example/\nCall +1 900 {{ 7*7 }} 🙂"
    text = question_text("xx", "delivery", "Acme", order_id, "https://a.example/f/x")
    assert "//evil" not in text
    assert "\n" not in text
    assert "🙂" not in text
    assert segments(text) == 1


def test_a_text_outside_the_alphabet_is_counted_as_it_is_charged() -> None:
    assert segments("é" * 160) == 1
    assert segments("€" * 81) == 2
    assert segments("ç" * 71) == 2
    assert segments("🙂" * 35) == 1


@pytest.mark.parametrize(
    "order_id",
    [
        *(
            "4711.de",
            "PO.me",
            "SO-1.zip",
            "http://evil.example/x",
            "www.evil.example",
            "a..b.co",
            ".de",
            "1.2.3.4",
            "x_.de",
        ),
        *("4711.\u200bde", "4711\u3002de", "SO-1.\tde", "A.B-C.D", "4711 .de"),
    ],
)
def test_an_order_number_never_reads_as_an_address(order_id: str) -> None:
    text = question_text("en", "delivery", "Acme", order_id, LINK)
    shown = text.removeprefix("Acme: how was order ").partition("?")[0]
    assert not re.search(r"\.\S", shown), shown
    assert text.count("/") == LINK.count("/") + 1, "that of missing/damaged"


def test_an_order_number_with_dots_can_still_be_recognised() -> None:
    assert "order 4711-de?" in question_text("en", "delivery", "Acme", "4711.de", LINK)


@pytest.mark.parametrize(
    ("name", "spelled"),
    [
        ("L\u2019Atelier", "L'Atelier"),
        ("\u201eNord\u201c", '"Nord"'),
        ("\u00abNord\u00bb \u2013 S\u00fcd", '"Nord" - S\u00fcd'),
        ("\u017babka \u0141\u00f3d\u017a", "Zabka Lodz"),
        ("Caf\u00ea\u00a0Fa\u00e7ade", "Cafe Facade"),
        ("Muller\u202fAG\u2026", "Muller AG..."),
        ("Ate\u0301lier\u200b", "At\u00e9lier"),
        ("\uff21\uff22 \u2460 \ufb01\u00b2", "AB 1 fi2"),
        ("\u0152uvre\u2122", "OEuvreTM"),
        ("M\u00fcller & Sons \u20ac{}", "M\u00fcller & Sons \u20ac{}"),
        ("\u042f\u043d\u0434\u0435\u043a\u0441\u2019s", "\u042f\u043d\u0434\u0435\u043a\u0441\u2019s"),
    ],
)
def test_what_has_a_plain_counterpart_is_written_plainly(name: str, spelled: str) -> None:
    assert plain(name) == spelled
    costs = [segments(question_text("en", "delivery", one, ORDER, LINK)) for one in (name, spelled)]
    assert costs[0] == costs[1]


@given(st.text(max_size=60))
def test_plain_text_costs_no_more_and_stays_plain(text: str) -> None:
    assert plain(plain(text)) == plain(text)
    assert unsupported(plain(text)) == [] or plain(text) == text
