"""The receivers that exist: one line for each. To add one, add one folder and one line here and in `AnyReceiver`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pipeline.domain.notices.routes import Route
from pipeline.notifiers.receivers import configuration
from pipeline.notifiers.receivers.configuration import (
    AlertmanagerConfig,
    AppriseConfig,
    Configuration,
    EmailConfig,
    ReceiverConfig,
    WebhookConfig,
)
from pipeline.notifiers.receivers.port import Receiver
from pipeline.settings import Settings

ByName = Mapping[str, Receiver]


class Receivers(NamedTuple):
    """The receivers of an installation by name, and the routes to them."""

    by_name: ByName
    routes: Sequence[Route]


def _alertmanager(config: Any, settings: Settings, incident_url: str | None) -> Receiver:
    from pipeline.notifiers.receivers.alertmanager.receiver import configure

    return configure(config, incident_url)


def _apprise(config: Any, settings: Settings, incident_url: str | None) -> Receiver:
    from pipeline.notifiers.receivers.apprise.receiver import configure

    return configure(config, incident_url)


def _webhook(config: Any, settings: Settings, incident_url: str | None) -> Receiver:
    from pipeline.notifiers.receivers.webhook.receiver import configure

    return configure(config)


def _email(config: Any, settings: Settings, incident_url: str | None) -> Receiver:
    from pipeline.notifiers.receivers.email.receiver import configure

    return configure(config, settings, incident_url)


# By class of the configuration. Each imports its receiver when there is one: the libraries take long to load.
_BUILDERS: Mapping[type[ReceiverConfig], Callable[[Any, Settings, str | None], Receiver]] = {
    AlertmanagerConfig: _alertmanager,
    AppriseConfig: _apprise,
    WebhookConfig: _webhook,
    EmailConfig: _email,
}


def configured(settings: Settings) -> Receivers:
    """The receivers of this installation. Raises ConfigurationError that names the field."""
    return build(configuration.read(settings.receivers_file), settings)


def build(config: Configuration, settings: Settings) -> Receivers:
    """The receivers of a configuration. Raises ConfigurationError that names the field.

    What they send links to the page of the incident, if `internal_url` says where users reach it.
    """
    page = None if settings.internal_url is None else f"{settings.internal_url}/incidents/{{id}}"
    built = [_BUILDERS[type(one)](one, settings, page) for one in config.receivers]
    return Receivers({receiver.name: receiver for receiver in built}, config.routes)
