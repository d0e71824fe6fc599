"""The adapter against a provider at its worst: each answer is one of four outcomes, and nothing is ever sent twice."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.domain.asking.ask_states import State, hashed
from pipeline.notifiers.channels.twilio.codes import CODES, STATUSES
from pipeline.notifiers.channels.twilio.sms import from_settings
from pipeline.notifiers.port import Accepted, CannotLook, Found, NotAccepted, Rejected, Unknown
from pipeline.notifiers.registry import inbox
from pipeline.settings import Settings
from tests.support.provider import ACCOUNT, TOKEN, Answer, Provider
from tests.support.requests.messages import LINK, NOW, TO, adapter, message


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    with Provider(tmp_path / "posts") as running:
        yield running


def test_a_message_is_one_post_with_all_that_limits_it(provider: Provider) -> None:
    sent = adapter(provider.url).send(message())
    assert sent == Accepted(provider.made[0].sid)
    (post,) = provider.posts
    assert post == {
        "To": TO,
        "From": "+15005550006",
        "Body": message().body,
        "ValidityPeriod": "5400",
        "StatusCallback": "https://ask.example.com/twilio/status?token=callback-token",
        "answer": "accept",
    }


def test_a_messaging_service_chooses_the_sender(provider: Provider) -> None:
    adapter(provider.url, service="MG1", sender=None).send(message())
    assert provider.posts[0]["MessagingServiceSid"] == "MG1"
    assert "From" not in provider.posts[0]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("busy", NotAccepted),
        ("unauthorized", NotAccepted),
        ("invalid", Rejected),
        ("opted_out", Rejected),
        ("error", Unknown),
        ("error_made", Unknown),
        ("proxy", Unknown),
        ("reset", Unknown),
        ("broken", Unknown),
        ("half", Unknown),
        ("silent", Unknown),
    ],
)
def test_every_other_answer_has_its_outcome_after_a_single_post(
    provider: Provider, answer: Answer, outcome: type[object]
) -> None:
    provider.plan(answer)  # a second request would be accepted: nobody may make one
    sent = adapter(provider.url, total=0.3 if answer == "silent" else 5).send(message())
    assert isinstance(sent, outcome), sent
    assert len(provider.posts) == 1
    if answer == "opted_out":
        assert sent == Rejected(21610, CODES[21610].meaning, opted_out=True)


def test_where_no_connection_comes_to_stand_nothing_was_sent() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        sent = adapter(f"http://127.0.0.1:{taken.getsockname()[1]}").send(message())
    assert isinstance(sent, NotAccepted)


def test_an_answer_that_drips_is_cut_off_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        import threading

        done = threading.Event()

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                try:
                    while not done.wait(0.05):
                        connection.sendall(b"H")
                except OSError:
                    pass

        thread = threading.Thread(target=drip)
        thread.start()
        sent = adapter(f"http://127.0.0.1:{server.getsockname()[1]}", total=0.4).send(message())
        done.set()
        thread.join()
    assert isinstance(sent, Unknown)


def test_a_message_is_found_by_its_link_once_the_list_shows_it(provider: Provider) -> None:
    provider.lag = 1
    twilio = adapter(provider.url)
    twilio.send(message("B" * 22))
    twilio.send(message())
    assert twilio.find(TO, hashed(LINK), NOW) is None
    assert twilio.find(TO, hashed(LINK), NOW) == Found(provider.made[1].sid, State.SENT)
    assert twilio.find(TO, hashed("C" * 22), NOW) is None
    assert twilio.find("+447700900999", hashed(LINK), NOW) is None


def test_a_list_that_cannot_be_read_proves_nothing() -> None:
    with pytest.raises(CannotLook):
        adapter("http://127.0.0.1:1").find(TO, hashed(LINK), NOW)


def test_nothing_personal_shows_when_a_message_is_printed() -> None:
    shown = repr(message())
    assert TO not in shown
    assert LINK not in shown
    assert "callback-token" not in shown


def test_every_code_says_what_it_means_and_what_to_do() -> None:
    assert all(code.meaning and code.next_step for code in CODES.values())
    assert {State.SENT, State.DELIVERED, State.FAILED} == set(STATUSES.values())


@pytest.mark.parametrize(
    ("sender", "has_one"),
    [
        ({"twilio_from": "+15005550006"}, True),
        ({"twilio_from": "Acme"}, False),
        ({"twilio_messaging_service": "MG1"}, True),
    ],
)
def test_only_who_can_be_answered_has_an_inbox(sender: dict[str, str], has_one: bool) -> None:
    known = {"notifier": "twilio_sms", "twilio_account_sid": ACCOUNT, "twilio_auth_token": TOKEN}
    assert (inbox(Settings.model_validate(known | sender)) is not None) is has_one
    for other in ("phone", "console"):
        assert inbox(Settings.model_validate(known | sender | {"notifier": other})) is None


def test_settings_that_do_not_suffice_are_named() -> None:
    with pytest.raises(ValueError, match="TWILIO_ACCOUNT_SID"):
        from_settings(Settings())
    known = {"twilio_account_sid": ACCOUNT, "twilio_auth_token": TOKEN}
    with pytest.raises(ValueError, match="MESSAGING_SERVICE or"):
        from_settings(Settings.model_validate(known))
    assert from_settings(Settings.model_validate(known | {"twilio_from": "+15005550006"})).name == "twilio_sms"
