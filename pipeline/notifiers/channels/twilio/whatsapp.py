"""Sends WhatsApp messages. The first message to a person must be a template that WhatsApp has approved.

Templates are kept at Twilio under a `ContentSid`. Ours has three variables: company, order number, link.
"""

import json
from collections.abc import Mapping
from typing import Any, get_args

from pipeline.domain.events.contract import SETTLED, FixedResponse
from pipeline.notifiers.channels.twilio.paths import WHATSAPP_PREFIX, WHATSAPP_STATUS_PATH
from pipeline.notifiers.channels.twilio.sms import TwilioSms
from pipeline.notifiers.port import Message, ProviderAnswer, Rejected, TemplateContent
from pipeline.notifiers.wording.languages import SOURCE_LANGUAGE

_OWN = frozenset({SETTLED, *get_args(FixedResponse)})  # what needs a template of its own


class TwilioWhatsApp(TwilioSms):
    """Sends approved templates. `templates`: their SIDs by language ("fr"), or by language and purpose ("fr.reminder");
    English stands in for a language without one.
    """

    name = "twilio_whatsapp"
    prefix = WHATSAPP_PREFIX
    status_path = WHATSAPP_STATUS_PATH

    def __init__(self, credentials: tuple[str, str, str], *, templates: Mapping[str, str], **options: Any) -> None:
        super().__init__(credentials, **options)
        self._templates = templates

    def send(self, message: Message) -> ProviderAnswer:
        """As `TwilioSms.send`. Without a template for the question, nothing is sent, and the ask ends."""
        filled = message.template
        if filled is not None and filled.purpose in _OWN and not _has_template(self._templates, filled):
            name = f"{SOURCE_LANGUAGE}.{filled.purpose}"
            return Rejected(None, f"UNVARNISHED_TWILIO_WHATSAPP_TEMPLATES has no template {name}")
        return super().send(message)

    def _content(self, message: Message) -> dict[str, Any]:
        """The template and its variables."""
        filled = message.template
        assert filled is not None  # noqa: S101  # the sender fills it in for every message
        variables = {"1": filled.company, "2": filled.order, "3": filled.link}
        return {"content_sid": template_of(self._templates, filled), "content_variables": json.dumps(variables)}


def _has_template(templates: Mapping[str, str], filled: TemplateContent) -> bool:
    try:
        return bool(template_of(templates, filled))
    except KeyError:
        return False


def template_of(templates: Mapping[str, str], filled: TemplateContent) -> str:
    """The SID of the template for a message. Raises KeyError if there is none in English either.

    The general template asks about a delivery: it stands in neither for the question whether a case is settled nor for
    a response.
    """
    purposes = (f".{filled.purpose}",) if filled.purpose in _OWN else (f".{filled.purpose}", "")
    names = [f"{language}{purpose}" for language in (filled.language, SOURCE_LANGUAGE) for purpose in purposes]
    return next((templates[name] for name in names if name in templates), templates[names[-1]])
