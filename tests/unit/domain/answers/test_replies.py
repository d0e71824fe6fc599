# ruff: noqa: RUF001 - texts in many scripts
"""Parsing replies: phrases, numbers and control words; an unknown text gives no code."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from pipeline.domain.answers.replies import MAX_TEXT, NOTHING, UNCLEAR, ParsedReply, PlainReader, Question

READER = PlainReader()
YES = ParsedReply(arrival="on_time", complete=True)
LATE = ParsedReply(arrival="late")
NEVER = ParsedReply(arrival="not_received")


def read(text: str, question: Question = "arrival", language: str | None = "en") -> ParsedReply:
    """The reading without the evidence for it: spans and language."""
    return structs.replace(READER.read(text, question, language), spans=(), language=None)


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("1", YES),
        (" 1. ", YES),
        ("1️⃣", YES),
        ("\N{FULLWIDTH DIGIT ONE}", YES),
        ("1 thanks!", YES),
        ("2", LATE),
        ("3", ParsedReply(complete=False)),
        ("4", NEVER),
        ("Yes, thanks", YES),
        ("OUI !", YES),
        ("👍🏽", YES),
        ("Non reçu", NEVER),
        ("en retard", LATE),
        ("2 and 3", ParsedReply(arrival="late", complete=False)),
        ("2, 6", ParsedReply(arrival="late", score=6)),
        ("1\n9\nnothing to add", ParsedReply(arrival="on_time", complete=True, score=9)),
        ("2. Driver was rude", ParsedReply(arrival="late", comment="2. Driver was rude")),
        ("1\n\nSent from my iPhone", YES),
        ("> did it arrive?\n> 1 yes\n4", NEVER),
        ("Oui.\n\nCordialement,\nP. Lefèvre\n3 quai Perrache", YES),
        ("no", UNCLEAR),
        ("9", UNCLEAR),
        ("1 and 4", UNCLEAR),
        ("", UNCLEAR),
        ("…", UNCLEAR),
        ("Automatic reply: I am out until 3 June", ParsedReply(automatic=True)),
    ],
)
def test_replies_to_the_arrival_question(text: str, reading: ParsedReply) -> None:
    assert read(text) == reading


@pytest.mark.parametrize("text", ["it's a 1-way street", "{{7*7}} boxes", "4 pallets ok", "we are at gate 4"])
def test_numbers_and_words_that_state_nothing_of_the_delivery_are_kept_as_words(text: str) -> None:
    assert read(text) == ParsedReply(comment=text)


@pytest.mark.parametrize(
    ("text", "arrival", "condition"),
    [
        ("2 of 10 boxes missing", None, "incomplete"),
        ("2 cartons sur 10 sont trempés", None, "damaged"),
        ("1 box is wet", None, "damaged"),
        ("yes but box 3 wet", "on_time", "damaged"),
        ("drei Kisten fehlen, sonst rechtzeitig", "on_time", "incomplete"),
        ("llegó tarde y con 2 cajas rotas", "late", "damaged"),
        ("chegou na hora mas sem a nota fiscal", "on_time", "papers_missing"),
        ("時間どおりに届きましたが、3箱濡れていました", "on_time", "damaged"),
        ("准时到的，少了两箱", "on_time", "incomplete"),
        ("وصل في الموعد لكن صندوقين مكسورين", "on_time", "damaged"),
        ("به موقع رسید ولی ۲ کارتن کم بود", "on_time", "incomplete"),
    ],
)
def test_a_condition_in_words_is_read_with_its_details_as_comment(
    text: str, arrival: str | None, condition: str
) -> None:
    reading = read(text, language=None)
    assert (reading.arrival, reading.conditions, reading.complete) == (arrival, (condition,), False)
    assert reading.comment == text or condition == "papers_missing"


@pytest.mark.parametrize(
    "text",
    [
        *("2,3", "2 3", "2\n3", "2 & 3", "2-3"),
        *("3,2", "late, 3"),
    ],
)
def test_two_numbers_from_1_to_4_are_two_options_and_no_score(text: str) -> None:
    assert read(text) == ParsedReply(arrival="late", complete=False)


@pytest.mark.parametrize("text", ["4,2", "1 2", "1,4", "3 4", "0", "5", "10", "7, 8"])
def test_options_that_contradict_each_other_and_numbers_off_the_list_are_unclear(text: str) -> None:
    assert read(text) == UNCLEAR


def test_two_numbers_after_the_question_for_a_score_are_a_decimal() -> None:
    assert read("2,3", "score") == UNCLEAR
    assert read("9/10") == ParsedReply(score=9), "marked as a score"


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        *[("1 yes", YES), ("1 ja", YES), ("1 oui 👍", YES), ("2 late", LATE), ("2 zu spät", LATE), ("2 👎", LATE)],
        *[("4 not received", NEVER), ("4 rien", NEVER), ("4 não recebido", NEVER), ("２ 遅れた", LATE)],
        *[("٢", LATE), ("۴", NEVER), ("२", LATE), ("选2", LATE), ("2番です", LATE), ("option 4", NEVER)],
        ("3 missing/damaged", ParsedReply(complete=False)),
    ],
)
def test_an_option_with_its_own_words_counts_in_every_script(text: str, reading: ParsedReply) -> None:
    assert structs.replace(read(text, language=None), conditions=()) == reading


@pytest.mark.parametrize(
    "text",
    [
        *("2, not 1", "1 sorry I meant 2", "1 - no wait, 2", "2 nicht 1", "2, pas 1", "1 perdón, quise decir 2"),
        *("sorry, it came late", "1ではなく2です", "不是1，是2", "۲ نه ۱", "desculpe, chegou atrasado"),
    ],
)
def test_the_last_word_counts(text: str) -> None:
    assert read(text, language=None).arrival == "late"
    assert read(text, language=None).score is None


@pytest.mark.parametrize("question", ["score", "comment"])
@pytest.mark.parametrize("text", ["2, not 1", "I meant 2", "Sorry, it came late", "late"])
def test_a_correction_of_the_first_answer_counts_after_later_questions(text: str, question: Question) -> None:
    assert read(text, question) == LATE


@pytest.mark.parametrize(
    ("text", "arrival"),
    [
        *[("not late", "on_time"), ("didn't arrive on time", "late"), ("pas en retard", "on_time")],
        *[("nicht pünktlich", "late"), ("no llegó tarde", "on_time"), ("não atrasou", "on_time")],
        *[("遅れてはいません", "on_time"), ("没有按时到", "late"), ("لم يتأخر", "on_time"), ("دیر نکرد", "on_time")],
        *[("ni tarde ni roto", "on_time"), ("wasn't delivered", "not_received")],
    ],
)
def test_a_negation_turns_what_it_precedes_or_follows(text: str, arrival: str) -> None:
    assert read(text, language=None).arrival == arrival


def test_other_deliveries_wishes_and_conditions_are_not_this_delivery() -> None:
    assert read("last time it was late, this time on time").arrival == "on_time"
    assert read("next time please deliver on time", "comment").arrival is None
    assert read("I'd give 10 if the driver were nicer", "score").score is None


@pytest.mark.parametrize(
    "text",
    ["I'd give 10 if it had been on time", "j'aurais mis 10 si elle avait été à l'heure", "اگه سر وقت میومد ۱۰ می‌دادم"],
)
def test_what_would_have_been_says_that_it_was_not(text: str) -> None:
    reading = read(text, "score", None)
    assert (reading.arrival, reading.score) == ("late", None)


@pytest.mark.parametrize(
    "text",
    [
        *("I'm driving with Focus turned on. I'll see your message when I get where I'm going.", "Out of office"),
        *("Abwesenheitsnotiz: bis 3.6. nicht im Büro", "Je conduis, je te rappelle", "Estoy de viaje, le llamo luego"),
        *("Resposta automática: estou de férias", "ただいま運転中です。後ほどご連絡します", "【自动回复】稍后联系您"),
        *("رد آلي: شكرا لتواصلكم", "در حال رانندگی هستم", "Message delivered to +33612345678"),
        *("Liked “Acme: how was order SO-1? 1 OK 2 late 3 missing/damaged 4 not received”", "A adoré « Merci »"),
        *("Gefällt „Acme: Danke, notiert.“", "Le gustó “Acme: gracias”", "Gostou de “Obrigado, anotado”"),
        *(
            "「ありがとうございます」にいいねしました",
            "喜欢了“感谢您的回复”",
            "أعجب بـ “شكراً لكم”",
            "«متشکریم» را پسندید",
        ),
        *('Reacted 👍 to "Thank you, noted."', "👍 to “Acme: thank you”"),
    ],
)
@pytest.mark.parametrize("question", ["arrival", "score", "comment"])
def test_what_a_device_wrote_states_nothing(text: str, question: Question) -> None:
    assert read(text, question, None) == ParsedReply(automatic=True)


def test_the_spans_show_the_words_behind_the_codes() -> None:
    text = "2 boxes wet, came late"
    spans = {span.code: text[span.start : span.end] for span in READER.read(text, "arrival", None).spans}
    assert spans == {"condition": "wet", "arrival": "late"}


def test_the_contacts_language_does_not_have_to_be_right() -> None:
    for hint in ("en", "ja", "xx", None):
        assert READER.read("noch nichts angekommen", "arrival", hint).arrival == "not_received"
        assert READER.read("noch nichts angekommen", "arrival", hint).language == "de"


@pytest.mark.parametrize(
    ("text", "score"),
    [("0", 0), ("10", 10), ("9/10", 9), ("10/10!!", 10), ("8 out of 10", 8), ("nine", 9), ("neuf", 9), ("7.", 7)],
)
def test_replies_to_the_score_question(text: str, score: int) -> None:
    assert read(text, "score") == ParsedReply(score=score)


@pytest.mark.parametrize("text", ["8.5", "8,5", "-1", "11", "18/20", "7-8", "100", "ok", "no", "99999999999"])
def test_only_a_whole_number_from_0_to_10_is_a_score(text: str) -> None:
    assert read(text, "score") == UNCLEAR


@pytest.mark.parametrize("text", ["call me at 5", "we are 10 people here", "I'd give 10 if it had come"])
def test_a_number_among_words_is_no_score(text: str) -> None:
    assert read(text, "score") == ParsedReply(comment=text)


def test_a_score_with_a_comment_and_an_answer_to_an_earlier_question() -> None:
    assert read("7. Livreur sympa", "score") == ParsedReply(score=7, comment="7. Livreur sympa")
    assert read("late", "score") == LATE
    assert read("9/10 from me", "comment") == ParsedReply(score=9)


@pytest.mark.parametrize("text", ["no", "Non merci", "RAS", "rien à signaler", "ok", "thanks"])
def test_replies_that_add_nothing(text: str) -> None:
    assert read(text, "comment") == NOTHING


@pytest.mark.parametrize(
    "text",
    [
        *("STOP", "stop.", "Stop please", "STOP STOP", "unsubscribe", "Arrêt", "STOP SMS", "désabonner", "cancel"),
        *("please stop texting me", "Stop sending me messages", "don't text me", "no more texts please"),
        *("take me off your list", "Please unsubscribe me", "I want to opt out"),
        *("arrêtez de m'envoyer des SMS svp", "Arrêtez de m’écrire", "merci de ne plus m'écrire"),
        *("ne m'envoyez plus de messages", "désabonnez-moi", "plus de SMS svp", "je veux me désabonner"),
        *("Your driver was late. Stop texting me", "1 STOP"),
    ],
)
@pytest.mark.parametrize("question", ["arrival", "score", "comment"])
def test_an_opt_out_in_one_word_or_plain_wording_counts_after_any_question(text: str, question: Question) -> None:
    assert read(text, question, None).control == "stop"


@pytest.mark.parametrize(
    "text",
    [
        *(
            "STOPP",
            "STOP ALL",
            "“STOP”",
            "*STOP*",
            "STOP🛑",
            "STOP to end",
            "Opt-out",
            "remove me",
            "STOP wrong number",
        ),
        *("Stop, I never signed up", "do not contact this number", "Could you please stop texting me", "sotp"),
        *("STOP merci de me retirer de la liste", "ne m'envoyez plus de sms", "Abmelden!", "bitte keine SMS mehr"),
        *(
            "nehmen Sie mich aus dem Verteiler",
            "BAJA",
            "no me manden más mensajes",
            "SAIR",
            "parem de me mandar mensagem",
        ),
        *(
            "配信停止",
            "もう送らないでください",
            "TD",
            "请不要再给我发短信",
            "توقف",
            "أوقفوا الرسائل",
            "لغو",
            "پیامک نمیخوام",
        ),
    ],
)
def test_an_opt_out_is_heard_in_every_language(text: str) -> None:
    for language in ("en", None):
        assert read(text, "arrival", language).control == "stop"


@pytest.mark.parametrize(
    "text",
    [
        *("the driver did not stop", "the driver didn't stop at the gate", "stop sending the wrong size"),
        *("Cancel my standing order please", "the truck could not stop here", "please don't stop texting me"),
        *("don't text me before 8", "They never stop", "wrong number", "stop the deliveries in August"),
        *("Le camion s'est arrêté en double file", "arrêtez de m'envoyer des palettes cassées"),
        *("stop sending me broken pallets", "bus stop", "last stop of the tour", "Stop at gate 3"),
        *("Your drivers never contact us", "Drivers don't text us a time", "We opt out of Saturday deliveries"),
        *("Stop delivering to the back door", "Ne nous contactez plus au depot, appelez l'accueil"),
        *(
            "Ihre Fahrer melden sich nie",
            "bitte nicht mehr vor 8 Uhr liefern",
            "el camión no paró",
            "cancelar el pedido",
        ),
        *(
            "o motorista não parou",
            "トラックが門の前で停止しませんでした",
            "司机从不联系我们",
            "取消订单",
            "توقف الخط بسبب النقص",
        ),
        *("راننده با ما تماس نگرفت", "سفارش را لغو کنید", "لا ترسلوا بضاعة ناقصة", "不要再发错货"),
    ],
)
def test_a_stop_that_is_not_about_messages_is_feedback(text: str) -> None:
    reading = read(text, language=None)
    assert reading.control is None
    assert reading.comment == text or reading.conditions


@pytest.mark.parametrize(
    "text",
    [
        "don't send me broken goods again",
        "stop sending the wrong boxes",
        "Don't send any more of the red paint",
        "ne m'envoyez plus de peinture rouge",
        "no manden más pintura roja",
        "keine rote Farbe mehr schicken",
        "não mandem mais tinta vermelha",
        "赤いペンキはもう送らないで",
        "别再送红漆了",
        "لا ترسلوا الدهان الأحمر بعد",
        "دیگه رنگ قرمز نفرستید",
        "cancelem a minha marcação de sexta",
        "please don't send messages to my driver at night, call the office",
        "your driver never texts before he comes",
        "nobody messaged us that it would be late",
        "no message from the driver",
        "we got no text about the delay",
        "please stop leaving pallets in the rain",
        "cancel the order",
        "remove the empty pallets next time",
        "unsubscribe button on your website is broken",
        "the driver didn't stop to unload",
        "I want to stop the standing order",
        "no more deliveries on Saturday please",
        "don't call before 8",
        "please don't deliver before 8",
        "take the pallet off the kerb",
        "arrêtez de livrer avant 8h",
        "ne livrez plus le samedi",
        "pas de sms du chauffeur avant livraison",
        "le chauffeur n'envoie jamais de message",
        "annulez la commande",
        "retirez la palette vide svp",
        "plus de livraisons le matin svp",
        "le camion ne s'arrête pas devant",
        "dejen de mandar cajas rotas",
        "no manden más el producto equivocado",
        "el chofer no manda mensajes",
        "no entreguen más los sábados",
        "cancelen el pedido de mañana",
        "quiten las tarimas vacías",
        "paren de dejar las cajas afuera",
        "hört auf vor dem Tor zu parken",
        "keine Lieferungen mehr am Samstag",
        "der Fahrer schickt nie eine Nachricht",
        "keine SMS vom Fahrer bekommen",
        "bitte keine kaputten Kartons mehr schicken",
        "Bestellung stornieren",
        "nehmt die leeren Paletten mit",
        "schickt mir bitte die Rechnung",
        "parem de mandar caixa quebrada",
        "não entreguem mais aos sábados",
        "o motorista não mandou mensagem",
        "cancelem o pedido",
        "retirem os paletes vazios",
        "não mandem mais o produto errado",
        "不要再送破的箱子",
        "别再发错货了",
        "司机没发短信",
        "不要在门口停车",
        "周六不要送货",
        "请取消下一单",
        "把空托盘拿走",
        "没有收到短信通知就送来了",
        "壊れた商品を送らないでください",
        "ドライバーから連絡のメッセージがなかった",
        "土曜日の配達はやめてください",
        "門の前に停めないでください",
        "注文をキャンセルしてください",
        "空のパレットを引き取ってください",
        "配達前に電話しないで",
        "事前のメールがありませんでした",
        "لا ترسلوا بضاعة مكسورة مرة ثانية",
        "السائق ما أرسل رسالة",
        "لا توصلوا يوم الجمعة",
        "ألغوا الطلب",
        "خذوا الطبليات الفارغة",
        "لا توقفوا الشاحنة عند الباب",
        "ما وصلتنا رسالة قبل التوصيل",
        "دیگه جنس خراب نفرستید",
        "راننده پیامک نداد",
        "جمعه ها بار نفرستید",
        "سفارش رو کنسل کنید",
        "پالت خالی ها رو ببرید",
        "ماشین رو جلوی در متوقف نکنید",
        "قبلش پیامک نیومد",
        "لطفا دیگه کارتن پاره نفرستید",
    ],
)
def test_a_wish_about_goods_trucks_or_orders_is_no_opt_out(text: str) -> None:
    for question in ("arrival", "score", "comment"):
        assert read(text, question, language=None).control is None


@pytest.mark.parametrize(
    ("text", "control"),
    [("HELP", "help"), ("Aide", "help"), ("who is this?", "help"), ("C'est qui ?", "help"), ("START", "start")],
)
def test_replies_that_ask_for_help_or_start(text: str, control: str) -> None:
    assert read(text, "score") == ParsedReply(control=control)  # type: ignore[arg-type]


def test_an_answer_in_the_same_text_as_an_opt_out_counts() -> None:
    assert read("1, and please stop texting me") == ParsedReply(arrival="on_time", complete=True, control="stop")


@given(st.text(max_size=3_000), st.sampled_from(["arrival", "score", "comment"]))
def test_any_text_gives_a_parsed_reply_that_can_be_stored(text: str, question: Question) -> None:
    reading = read(text, question)
    assert reading.score is None or 0 <= reading.score <= 10
    assert not (reading.unclear and reading != UNCLEAR)
    if reading.comment is not None:
        assert 0 < len(reading.comment) <= MAX_TEXT
        reading.comment.encode()
        assert "\x00" not in reading.comment


@given(st.text(min_size=1, max_size=400), st.sampled_from(["STOP", "arrêt", "unsubscribe"]))
def test_text_beyond_the_length_limit_is_not_read(text: str, word: str) -> None:
    assert read("x" * MAX_TEXT + text + word).control is None


@pytest.mark.parametrize(
    "piece",
    [
        *("1", "stop ", "a", "\n", "> ", "!", "1 1 ", "stop sending ", "ﷺ", "👍", "é́", "wrote:\n", "sent from my "),
        *("arretez de m'envoyer des ", "no more ", "1. ", "sorry ", " \t", "10/10 ", "1,", "n't stop "),
    ],
)
def test_hostile_texts_are_parsed_quickly(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    for question in ("arrival", "score", "comment"):
        spent = []
        for _ in range(3):
            started = time.process_time()
            read(text, question)
            spent.append(time.process_time() - started)
        assert min(spent) < 0.02, "seconds; measured below 0.005"


@pytest.mark.parametrize(
    "text",
    [
        "Everything bar the hinges",
        "Tout sauf les vis",
        "todo menos los tornillos",
        "Alles außer den Schrauben",
        "tudo menos os parafusos",
        "ネジ以外は揃っています",
        "除了螺丝都到了",
        "كل شي وصل إلا المسامير",
        "همه رسید جز پیچ‌ها",
    ],
)
def test_what_is_excepted_from_all_is_missing(text: str) -> None:
    reading = read(text, language=None)
    assert (reading.conditions, reading.comment) == (("incomplete",), text)


@pytest.mark.parametrize("text", ["Everything fine except the driver", "all good apart from the parking"])
def test_a_driver_or_a_place_that_is_excepted_is_not_missing(text: str) -> None:
    assert read(text, language=None).conditions == ()


@pytest.mark.parametrize(
    "text",
    [
        "seven and a half",
        "7 et demi",
        "un 7 y medio",
        "siebeneinhalb",
        "7 e meio",
        "سبعة ونص",
        "هفت و نیم",
        "five stars",
        "4 étoiles",
        "星4つ",
    ],
)
def test_halves_and_other_scales_are_no_score(text: str) -> None:
    reading = read(text, "score", None)
    assert (reading.score, reading.unclear) == (None, True)


@pytest.mark.parametrize(
    "text",
    ["when do we get the rest?", "¿cuándo llega lo pendiente?", "Wann kommt der Rest?", "残りはいつ届きますか？"],
)
def test_a_question_for_the_rest_says_neither_that_nothing_came_nor_that_all_did(text: str) -> None:
    reading = read(text, language=None)
    assert (reading.arrival, reading.complete, reading.comment) == (None, None, text)
