"""Every request we make is one that Twilio's own description allows, and so is what our stub answers.

The description stays outside the repository; without it these tests are skipped, visibly.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from pipeline.domain.asking.ask_states import hashed
from pipeline.notifiers.channels.twilio import sms
from pipeline.notifiers.channels.twilio.sms import TwilioSms
from pipeline.notifiers.port import Accepted, Found
from tests.support import provider as stub
from tests.support.paths import SHARED
from tests.support.provider import ACCOUNT, TOKEN, Provider
from tests.support.requests.messages import TO, adapter, message
from tests.support.servers.prism import CheckingClient, Violation, prism

DESCRIPTION = SHARED / "data" / "twilio" / "twilio_api_v2010.yaml"
SERVICE = "MG" + "1" * 32
MESSAGES = f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
NOW = datetime.now(UTC)
# Here the description contradicts its own examples and Twilio: URIs of pages are relative.
PAGE = "next_page_uri:\n                    format: uri"

pytestmark = pytest.mark.skipif(not DESCRIPTION.is_file(), reason=f"no description of Twilio's API under {SHARED}")


class Line(NamedTuple):
    """The stub, and Prism in front of it."""

    provider: Provider
    url: str


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    folder = tmp_path_factory.mktemp("twilio")
    text, description = DESCRIPTION.read_text(), folder / "description.yaml"
    assert PAGE in text
    description.write_text(text.replace(PAGE, f"{PAGE}-reference"))
    with Provider(folder / "posts") as provider, prism(description, provider.url) as url:
        yield Line(provider, url)


def through(line: Line, **sender: str | None) -> TwilioSms:
    """The real adapter, on its way through Prism."""
    made = adapter(line.url, 25, **sender)
    made._client.http_client = CheckingClient(line.url, 25)
    return made


SENDERS = pytest.mark.parametrize(
    "sender", [{}, {"service": SERVICE, "sender": None}], ids=["from a number", "through a service"]
)


@SENDERS
def test_a_message_conforms_to_the_description(line: Line, sender: dict[str, Any]) -> None:
    assert through(line, **sender).send(message()) == Accepted(line.provider.made[-1].sid)


def test_the_lookup_of_a_message_conforms_on_every_page(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sms, "_PAGE", 1)
    twilio = through(line)
    twilio.send(message("B" * 22))
    sid = line.provider.made[-1].sid
    twilio.send(message("C" * 22))
    twilio.send(message("D" * 22))
    assert twilio.find(TO, hashed("B" * 22), NOW) == Found(sid)


@SENDERS
def test_the_list_of_inbound_texts_conforms(
    line: Line, monkeypatch: pytest.MonkeyPatch, sender: dict[str, Any]
) -> None:
    monkeypatch.setattr(sms, "_PAGE", 1)
    sent = [line.provider.text("2", TO, NOW, service=sender.get("service")) for _ in range(2)]
    listed = list(through(line, **sender).received(NOW - timedelta(hours=1)))
    assert [text.message_id for text in listed[:2]] == [made.sid for made in reversed(sent)]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"MessagingServiceSid": "MG1"}, "MessagingServiceSid"),
        ({"ValidityPeriod": "an hour"}, "ValidityPeriod"),
        ({"StatusCallback": "ask.example.com"}, "StatusCallback"),
        ({"To": None}, "To"),
    ],
)
def test_an_invalid_request_is_rejected(line: Line, wrong: dict[str, str | None], named: str) -> None:
    posts = len(line.provider.posts)
    fields = {"To": TO, "From": "+15005550006", "Body": "How was it?"} | wrong
    form = {name: value for name, value in fields.items() if value is not None}
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    with pytest.raises(Violation, match=named):
        CheckingClient(line.url, 25).request("POST", MESSAGES, data=form, headers=kind, auth=(ACCOUNT, TOKEN))
    assert len(line.provider.posts) == posts


@pytest.mark.parametrize("wrong", [{"sid": "SM1"}, {"status": "on its way"}, {"num_segments": 1}])
def test_an_invalid_response_of_the_stub_is_detected(
    line: Line, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any]
) -> None:
    right = stub._as_json
    monkeypatch.setattr(stub, "_as_json", lambda made: right(made) | wrong)
    with pytest.raises(Violation, match=next(iter(wrong))):
        through(line).send(message())
