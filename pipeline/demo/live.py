"""Live part of the demo: the product as `up` runs it, with simulated deliveries and answers sent to it over HTTP."""

from collections.abc import Callable, Sequence

from pipeline.app import embedded
from pipeline.app.installation import now, open_installation
from pipeline.app.serving import Addresses
from pipeline.consumers.runtime.background import Background
from pipeline.demo.answering import Answering
from pipeline.demo.company import LEVELS as DEMO_LEVELS
from pipeline.demo.company import Company
from pipeline.demo.deliveries import Deliveries
from pipeline.demo.http_client import HttpClient
from pipeline.demo.installation_view import InstallationView
from pipeline.settings import Settings
from pipeline.store.people import api_keys

# Defaults of the live demo. At one delivery every few seconds each contact would soon be resting, at night and on
# holidays no phone would receive anything, and no other machine has any business with the demo.
DEMO_SETTINGS = {
    "quiet_hours": "00:00-00:00",
    "skip_holidays": False,
    "contact_rest_days": 0.0,
    "address_daily_cap": 0,
    "account_cap": 1_000_000,
    "public_host": "127.0.0.1",
}
DEMO_KEY = "the-demo-itself"  # name of the demo's API key, replaced at every start


def run_live(
    settings: Settings,
    company: Company,
    pace: float,
    limit: int | None,
    on_started: Callable[[Addresses], None],
) -> None:
    """Run until SIGTERM or SIGINT: `pace` orders a minute, `limit` orders in all, and answers to some questions.

    `on_started` gets the addresses once both listeners answer. Raises UnexpectedExit if a bug stops a thread.
    """
    # Messages go to the demo's phone page, whatever the settings say: no real customer is asked.
    settings = settings.with_defaults(**DEMO_SETTINGS).model_copy(update={"notifier": "phone"})
    installation = open_installation(settings, DEMO_LEVELS, simulated=True, sending=True)

    def _company(addresses: Addresses) -> Sequence[Background]:
        with installation.store.engine.begin() as connection:
            client = HttpClient(addresses.public, api_keys.renew(connection, DEMO_KEY, now()))
        view = InstallationView(installation.store)
        return (
            Deliveries(view, company, client, pace, limit, now),
            # Its own company: both threads cache the stories they draw.
            Answering(view, Company(company.seed, company.start), client, pace),
        )

    embedded.run(installation, settings, on_started, _company)
