"""WhatsApp through Twilio: approved templates, addresses with their prefix, calls at their own paths."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from pydantic import ValidationError

from pipeline.domain.asking.ask_states import hashed
from pipeline.notifiers import registry
from pipeline.notifiers.channels.twilio.paths import WHATSAPP_STATUS_PATH, WHATSAPP_TEXT_PATH
from pipeline.notifiers.channels.twilio.webhooks import WhatsAppWebhooks
from pipeline.notifiers.channels.twilio.whatsapp import TwilioWhatsApp, template_of
from pipeline.notifiers.port import (
    Accepted,
    HttpCall,
    InboundText,
    Message,
    NotSigned,
    Rejected,
    TemplateContent,
    Unknown,
)
from pipeline.settings import ConfigurationError, Settings
from tests.support.builders import at
from tests.support.provider import ACCOUNT, TOKEN, Answer, Provider, sign

PUBLIC_URL = "https://ask.example.com"
EN, FR = "HX" + "a" * 32, "HX" + "b" * 32
LINK = f"{PUBLIC_URL}/f/k3J9xQm2vT7pLw4RzY8sNA"


def whatsapp(url: str) -> TwilioWhatsApp:
    return TwilioWhatsApp(
        (ACCOUNT, TOKEN, ACCOUNT),
        templates={"en": EN, "fr": FR},
        service=None,
        sender="whatsapp:+15005550006",
        public_url=PUBLIC_URL,
        api=url,
        total=0.5,
    )


def message(language: str = "fr") -> Message:
    return Message(
        to="+33612345678",
        body="not sent",
        link_hash=hashed("k3J9xQm2vT7pLw4RzY8sNA"),
        callback_token="c" * 22,
        valid_for=timedelta(hours=1),
        sending_at=at(),
        account_id="A-1",
        contact_id="ana",
        order_id="SO-1",
        template=TemplateContent(language, "delivery", "Acme", "SO-1", LINK),
    )


@pytest.mark.parametrize(("answer", "kind"), [("accept", Accepted), ("invalid", Rejected), ("reset", Unknown)])
def test_an_approved_template_is_sent_once(tmp_path: Path, answer: Answer, kind: type) -> None:
    with Provider(tmp_path / "posts", answer, now=at) as provider:
        assert isinstance(whatsapp(provider.url).send(message()), kind)
    [post] = provider.posts
    assert (post["To"], post["From"], post["ContentSid"]) == ("whatsapp:+33612345678", "whatsapp:+15005550006", FR)
    assert json.loads(post["ContentVariables"]) == {"1": "Acme", "2": "SO-1", "3": LINK}
    assert post["StatusCallback"] == f"{PUBLIC_URL}{WHATSAPP_STATUS_PATH}?token={'c' * 22}"
    assert "Body" not in post


def test_the_template_follows_language_and_purpose() -> None:
    templates = {"en": EN, "fr": FR, "en.reminder": "HX" + "c" * 32}

    def _chosen(language: str, purpose: str) -> str:
        return template_of(templates, TemplateContent(language, purpose, "Acme", "SO-1", LINK))

    assert _chosen("fr", "delivery") == FR
    assert _chosen("de", "delivery") == EN
    assert _chosen("en", "reminder") == "HX" + "c" * 32
    assert _chosen("fr", "reminder") == FR


def call(path: str, **parameters: str) -> HttpCall:
    body = urlencode(parameters).encode()
    signed = {"x-twilio-signature": sign(PUBLIC_URL + path, parameters)}
    return HttpCall(path, "", signed, body, at())


def test_a_reply_comes_from_the_bare_number() -> None:
    webhooks = WhatsAppWebhooks(ACCOUNT, [TOKEN], PUBLIC_URL)
    fields = {
        "AccountSid": ACCOUNT,
        "MessageSid": "SM" + "1" * 32,
        "From": "whatsapp:+33612345678",
        "To": "w",
        "Body": "2",
    }
    text = webhooks.parse(call(WHATSAPP_TEXT_PATH, **fields))
    assert isinstance(text, InboundText)
    assert (text.sender, text.text) == ("+33612345678", "2")
    with pytest.raises(NotSigned):
        webhooks.parse(call(WHATSAPP_TEXT_PATH, **fields)._replace(body=b"AccountSid=x"))


@pytest.mark.parametrize(
    ("settings", "missing"),
    [({}, "TWILIO_WHATSAPP_FROM"), ({"twilio_whatsapp_from": "+15005550006"}, "TWILIO_WHATSAPP_TEMPLATES")],
)
def test_what_is_missing_is_named(settings: dict[str, Any], missing: str) -> None:
    known = {"notifier": "twilio_whatsapp", "twilio_account_sid": ACCOUNT, "twilio_auth_token": TOKEN} | settings
    with pytest.raises(ConfigurationError, match=missing):
        registry.configured_channels(Settings.model_validate(known), None)  # type: ignore[arg-type]


def test_templates_are_read_or_refused() -> None:
    read = Settings.model_validate({"twilio_whatsapp_templates": f"en={EN}, fr.reminder={FR}"})
    assert read.twilio_whatsapp_templates == {"en": EN, "fr.reminder": FR}
    with pytest.raises(ValidationError, match="not like en=HX"):
        Settings.model_validate({"twilio_whatsapp_templates": "en=abc"})
