"""One attempt to hand an e-mail to a real server, and what every end of it means for a repetition."""

import socket

import pytest

from pipeline.notifiers.port import Accepted, NotAccepted, ProviderAnswer, Rejected, Unknown
from pipeline.notifiers.smtp import Mail, SmtpServer, SmtpTransport, means_no_mailbox
from tests.support.servers.mail import TAKEN, Behaviour, mail_server


def mail(to: str = "ana@customer.example", subject: str = "Acme: how was it?") -> Mail:
    return Mail(
        "ask@supplier.example", "Acme, Söhne", to, subject, "Plain ünd text\n", "<p>Hello</p>", "x.1@supplier.example"
    )


def sent(
    port: int, to: str = "ana@customer.example", timeout: float = 2.0, password: str | None = None
) -> ProviderAnswer:
    server = SmtpServer("127.0.0.1", port, "none", timeout, "us" if password else None, password)
    return SmtpTransport(server).send(mail(to), "id-1")


def test_an_accepted_mail_has_both_texts_and_its_headers() -> None:
    with mail_server() as server:
        assert sent(server.port) == Accepted("id-1")
    [(to, message)] = server.taken
    assert (to, message["Subject"], message["From"]) == (
        "ana@customer.example",
        "Acme: how was it?",
        '"Acme, Söhne" <ask@supplier.example>',
    )
    assert (message["Message-ID"], message["Auto-Submitted"]) == ("<x.1@supplier.example>", "auto-generated")
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert (plain.get_content().strip(), html.get_content().strip()) == ("Plain ünd text", "<p>Hello</p>")


@pytest.mark.parametrize(
    ("behaviour", "kind", "undeliverable"),
    [
        ("no_mailbox", Rejected, True),
        ("policy", Rejected, False),
        ("content", Rejected, False),
        ("later", NotAccepted, None),
        ("sender", NotAccepted, None),
        ("content_later", NotAccepted, None),
        ("reset", Unknown, None),
        ("silent", Unknown, None),
    ],
)
def test_every_end_says_whether_the_mail_may_be_sent_again(
    behaviour: Behaviour, kind: type, undeliverable: bool | None
) -> None:
    with mail_server(behaviour) as server:
        answer = sent(server.port, timeout=0.5)
    assert isinstance(answer, kind), answer
    assert getattr(answer, "undeliverable", None) == undeliverable
    assert len(server.taken) == (1 if behaviour in TAKEN else 0)
    if isinstance(answer, NotAccepted):
        assert server.taken == [], "nothing was taken, so it may be sent again"


def test_without_a_server_nothing_was_sent() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert isinstance(sent(unused.getsockname()[1]), NotAccepted)


def test_a_server_that_never_greets_was_sent_nothing() -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        assert isinstance(sent(mute.getsockname()[1], timeout=0.2), NotAccepted)


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # this machine has no certificate
def test_signing_in_is_required_where_the_server_asks_for_it() -> None:
    with mail_server(password="right") as server:
        assert sent(server.port, password="right") == Accepted("id-1")
        assert isinstance(sent(server.port, password="wrong"), NotAccepted)
        assert isinstance(sent(server.port), NotAccepted)
    assert len(server.taken) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_encryption_that_was_asked_for_is_never_given_up(security: str) -> None:
    with mail_server() as server:
        settings = SmtpServer("127.0.0.1", server.port, security, 1.0)  # type: ignore[arg-type]
        assert isinstance(SmtpTransport(settings).send(mail(), "id-1"), NotAccepted)
    assert server.tried == []


@pytest.mark.parametrize(
    ("to", "named"),
    [("ana@bücher.example", "ana@xn--bcher-kva.example"), ("añá@customer.example", "añá@customer.example")],
)
def test_addresses_outside_ascii_are_written_to(to: str, named: str) -> None:
    with mail_server() as server:
        assert sent(server.port, to) == Accepted("id-1")
    assert server.tried == [named]


@pytest.mark.parametrize("to", ["ana\r\nRCPT TO:<b@x.example>", "ana@a.example\nBcc: b@x.example"])
def test_an_address_cannot_inject_a_command_or_a_header(to: str) -> None:
    with mail_server() as server:
        answer = sent(server.port, to)
    assert isinstance(answer, Rejected)
    assert answer.undeliverable
    assert server.tried == []


def test_whether_a_refusal_is_about_the_mailbox() -> None:
    assert means_no_mailbox(550, "5.1.1 unknown")
    assert means_no_mailbox(550, "no such user")
    assert not means_no_mailbox(550, "5.7.1 blocked")
    assert not means_no_mailbox(554, "no")
    assert not means_no_mailbox(None, "5.2.2 mailbox full")
