"""The adapter against an unreliable provider: each response has one of four outcomes, and nothing is sent twice."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.domain.asking.ask_states import AskState, hashed
from pipeline.notifiers.channels.twilio.channel import configure
from pipeline.notifiers.channels.twilio.codes import CODES, STATUSES, means_undeliverable
from pipeline.notifiers.port import Accepted, Found, LookupUnavailable, NotAccepted, Rejected, Unknown
from pipeline.settings import ConfigurationError, Settings
from tests.support.provider import ACCOUNT, TOKEN, Answer, Provider
from tests.support.requests.messages import LINK, NOW, TO, adapter, message


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    with Provider(tmp_path / "posts") as running:
        yield running


def test_a_message_is_one_post_with_its_validity_and_callback(provider: Provider) -> None:
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
def test_every_other_response_has_its_outcome_after_a_single_post(
    provider: Provider, answer: Answer, outcome: type[object]
) -> None:
    provider.plan(answer)  # a second request would be accepted: there must be none
    sent = adapter(provider.url, total=0.3 if answer == "silent" else 5).send(message())
    assert isinstance(sent, outcome), sent
    assert len(provider.posts) == 1
    if answer == "opted_out":
        assert sent == Rejected(21610, CODES[21610].meaning, opted_out=True)


def test_without_a_connection_nothing_was_sent() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))  # bound and not listening: refused
        sent = adapter(f"http://127.0.0.1:{busy.getsockname()[1]}").send(message())
    assert isinstance(sent, NotAccepted)


def test_a_slow_response_is_cut_off_in_time() -> None:
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
    assert twilio.find(TO, hashed(LINK), NOW) == Found(provider.made[1].sid, AskState.SENT)
    assert twilio.find(TO, hashed("C" * 22), NOW) is None
    assert twilio.find("+447700900999", hashed(LINK), NOW) is None


def test_a_list_that_cannot_be_read_proves_nothing() -> None:
    with pytest.raises(LookupUnavailable):
        adapter("http://127.0.0.1:1").find(TO, hashed(LINK), NOW)


def test_a_printed_message_contains_no_personal_data() -> None:
    shown = repr(message())
    assert TO not in shown
    assert LINK not in shown
    assert "callback-token" not in shown


def test_every_error_code_has_a_meaning_and_an_action() -> None:
    assert all(code.meaning and code.next_step for code in CODES.values())
    assert {AskState.SENT, AskState.DELIVERED, AskState.FAILED} == set(STATUSES.values())


def test_only_what_is_permanent_lets_a_number_rest() -> None:
    permanent = {21211, 21217, 21265, 21266, 21614, 21635, 30004, 30005, 30006}
    assert {code for code in CODES if means_undeliverable(code)} == permanent
    assert not any(means_undeliverable(code) for code in (None, 0, 30003, 30008, 21610, 99999))


def test_a_refusal_because_of_the_number_says_so(provider: Provider) -> None:
    provider.plan("invalid")
    assert adapter(provider.url).send(message()) == Rejected(21211, CODES[21211].meaning, undeliverable=True)


KNOWN = {"notifier": "twilio_sms", "twilio_account_sid": ACCOUNT, "twilio_auth_token": TOKEN}


@pytest.mark.parametrize(
    ("sender", "has_one"),
    [
        ({"twilio_from": "+15005550006"}, True),
        ({"twilio_from": "Acme"}, False),
        ({"twilio_messaging_service": "MG1"}, True),
    ],
)
def test_only_a_sender_that_can_be_replied_to_has_an_inbox(sender: dict[str, str], has_one: bool) -> None:
    adapter = configure(Settings.model_validate(KNOWN | sender))
    assert (adapter.inbox is not None) is has_one
    assert adapter.webhooks is not None


def test_incomplete_settings_are_named() -> None:
    with pytest.raises(ConfigurationError, match="TWILIO_ACCOUNT_SID"):
        configure(Settings())
    with pytest.raises(ConfigurationError, match="MESSAGING_SERVICE or"):
        configure(Settings.model_validate(KNOWN))
    adapter = configure(Settings.model_validate(KNOWN | {"twilio_from": "+15005550006"}))
    assert adapter.notifier.name == "twilio_sms"


@pytest.mark.parametrize(
    ("public_url", "found"),
    [
        ("https://ask.example.com", None),
        ("http://ask.example.com", "the links in messages are not encrypted"),
        ("http://127.0.0.1:8080", "the links in messages lead to this machine"),
        ("http://[::1]:8080", "the links in messages lead to this machine"),
    ],
)
def test_an_address_that_customers_cannot_open_safely_is_a_problem(public_url: str, found: str | None) -> None:
    settings = Settings.model_validate(KNOWN | {"twilio_from": "+15005550006", "public_url": public_url})
    problem = configure(settings).check()
    assert (problem.found if problem else None) == found
