"""One delivery event from the HTTP request to the provider's POST, in embedded mode, as `up` runs it."""

import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from pipeline.app import embedded
from pipeline.app.installation import open_installation
from pipeline.app.maintenance import create_key
from pipeline.app.serving import Addresses
from pipeline.settings import Settings
from tests.support.builders import completed, contact, scanned
from tests.support.provider import ACCOUNT, NUMBER, TOKEN, Provider
from tests.support.tracing.recorder import Call, Recorder, moves

RUNS = 7  # the shortest counts: a timer may fire during the others
_SECONDS = 60.0


class TracedProvider(Provider):
    """The provider, which ends the recording when a POST arrives."""

    recorder: Recorder

    def receive(self, fields: dict[str, str]) -> Any:
        """Called with every POST."""
        self.calls = self.recorder.stop()
        self.posted.set()
        return super().receive(fields)

    def trace(self, do: Callable[[], None]) -> list[Call]:
        """The calls from `do` to the POST that follows from it."""
        self.posted = threading.Event()
        self.recorder.start()
        do()
        assert self.posted.wait(_SECONDS), "the provider got no request"
        return self.calls


def settings_for(folder: Path, provider: Provider, **more: Any) -> Settings:
    """An installation that asks at any hour, through this provider."""
    return Settings(
        data_dir=folder / "data",
        notifier="twilio_sms",
        twilio_account_sid=ACCOUNT,
        twilio_auth_token=TOKEN,
        twilio_from=NUMBER,
        twilio_url=provider.url,
        company_name="Acme",
        public_url="https://ask.example.com",
        public_host="127.0.0.1",
        public_port=0,
        internal_port=0,
        quiet_hours="00:00-00:00",
        skip_holidays=False,
        ask_after_minutes=0,
        **more,
    )


def trace_embedded(folder: Path) -> list[Call]:
    """The calls of the shortest of several runs."""
    recorder, runs = Recorder(), list[list[Call]]()
    provider = TracedProvider(folder / "posts")
    provider.recorder = recorder
    with provider:
        settings = settings_for(folder, provider)
        installation = open_installation(settings, sending=True)
        key = create_key(installation.store.engine, "trace", history=False)

        def _drive(addresses: Addresses) -> None:
            threading.Thread(target=_deliver_all, args=(addresses.public, key, provider, runs)).start()

        recorder.install()
        embedded.run(installation, settings, _drive)
    return min(runs, key=moves)


def _deliver_all(public: str, key: str, provider: TracedProvider, runs: list[list[Call]]) -> None:
    try:
        for n in range(RUNS):
            runs.append(deliver(n, public, key, provider))
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


def deliver(n: int, public: str, key: str, provider: TracedProvider) -> list[Call]:
    """Send an order, and trace its delivery."""
    now = datetime.now(UTC)
    person = contact(f"c{n}", phone=f"+4477009001{n:02}")
    post(public, key, completed(f"SO-{n}", now, contacts=[person], account={"id": f"A-{n}"}))
    time.sleep(0.5)  # until all threads are idle
    return provider.trace(lambda: post(public, key, scanned(f"SO-{n}", now)))


def post(public: str, key: str, event: bytes) -> None:
    """Send an event."""
    connection = HTTPConnection(public.removeprefix("http://"), timeout=_SECONDS)
    headers = {"Content-Type": "application/cloudevents+json", "Authorization": f"Bearer {key}"}
    connection.request("POST", "/v1/events", event, headers)
    response = connection.getresponse()
    assert response.status == 202, response.read()
    response.read()
    connection.close()
