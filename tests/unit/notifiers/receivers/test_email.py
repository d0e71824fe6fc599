"""E-mail over a real SMTP server: text, HTML and the trend; what each failure means."""

import asyncio
from datetime import UTC, datetime
from email.message import EmailMessage
from io import BytesIO

import pytest
from PIL import Image

from pipeline.notifiers.receivers.configuration import EmailConfig
from pipeline.notifiers.receivers.email.receiver import EmailReceiver, configure
from pipeline.notifiers.receivers.port import Delivered, Delivery, Failed, Refused, Result
from pipeline.settings import Settings
from tests.support.receiving.incidents import NOW, change
from tests.support.receiving.mail import MailServer, settings_of

AT = datetime(2026, 11, 20, 10, tzinfo=UTC)
LINK = "https://unvarnished.example.com/incidents/{id}"


def receiver(port: int = 25) -> EmailReceiver:
    settings = Settings(mail_from="quality@example.com", **settings_of(port))
    return configure(EmailConfig(name="desk", to=["a@example.com", "b@example.com"]), settings, LINK)


def a_message() -> EmailMessage:
    return receiver().message(Delivery("I-1:1", (change(),), AT))


def test_a_mail_arrives_with_text_html_and_the_trend() -> None:
    with MailServer() as server:
        assert asyncio.run(receiver(server.port).deliver(Delivery("I-1:1", (change(),), AT))) == Delivered()
    [message] = server.messages
    assert server.recipients == [["a@example.com", "b@example.com"]]
    assert message["Subject"] == "[major] depot Lyon: opened (on_time)"
    plain, html = (message.get_body((kind,)) for kind in ("plain", "html"))
    assert plain is not None
    assert html is not None
    assert "At opening: 31% (24% to 39%) of 120 observations" in plain.get_content()
    assert "https://unvarnished.example.com/incidents/I-1" in html.get_content()
    assert 'src="cid:trend"' in html.get_content()
    [image] = [part for part in message.walk() if part.get_content_type() == "image/png"]
    assert (image["Content-ID"], image.get_content_disposition()) == ("<trend>", "inline")
    assert Image.open(BytesIO(image.get_content())).size == (480, 240)


def test_the_same_delivery_has_the_same_message_id() -> None:
    again, other = a_message(), receiver().message(Delivery("I-1:2", (change(act=2),), AT))
    assert a_message()["Message-ID"] == again["Message-ID"] != other["Message-ID"]


def test_without_figures_there_is_no_image() -> None:
    then = change().data.then
    bare = change(then=type(then)(then.at, then.since, None, None), now=None)
    message = receiver().message(Delivery("I-1:1", (bare,), AT))
    assert not [part for part in message.walk() if part.get_content_type() == "image/png"]
    assert "cid:trend" not in str(message)


def test_markup_in_a_segment_is_text() -> None:
    data = change().data
    cause = type(data.cause)("on_time", "depot", "<b>Lyon\r\nBcc: x@example.com")
    message = receiver().message(Delivery("I-1:1", (change(cause=cause),), AT))
    html = message.get_body(("html",))
    assert html is not None
    assert "&lt;b&gt;Lyon" in html.get_content()
    assert message["Bcc"] is None


def test_a_digest_lists_its_incidents() -> None:
    both = (change("I-1"), change("I-2", now=NOW))
    message = receiver().message(Delivery("digest:1", both, AT, digest=True))
    plain = message.get_body(("plain",))
    assert plain is not None
    assert message["Subject"] == "Digest: 2 incidents"
    assert {"Incident I-1", "Incident I-2"} <= {line[:12] for line in plain.get_content().splitlines()}


@pytest.mark.parametrize(("reply", "expected"), [(None, Delivered), ("451 later", Failed), ("554 never", Refused)])
def test_what_a_reply_means(reply: str | None, expected: type[Result]) -> None:
    with MailServer(lambda _: reply) as server:
        result = asyncio.run(receiver(server.port).deliver(Delivery("I-1:1", (change(),), AT)))
    assert isinstance(result, expected)
