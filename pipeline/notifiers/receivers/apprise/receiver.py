"""Hands a change of an incident to the library Apprise, which knows chat and mail services by URLs.

It has no idempotency: after a crash a message may be shown twice.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial

import apprise

from pipeline.domain.notices.routes import Traits
from pipeline.notifiers.receivers import text
from pipeline.notifiers.receivers.configuration import AppriseConfig, wrong_receiver
from pipeline.notifiers.receivers.port import Delivered, Delivery, Failed, Result

logging.getLogger("apprise").disabled = True  # it logs URLs, which contain tokens
_THREADS = 4  # a service may hang for longer than an attempt lasts: more attempts would only wait, too
_KINDS = {"critical": apprise.NotifyType.FAILURE, "major": apprise.NotifyType.WARNING}


class AppriseReceiver:
    """One URL of Apprise."""

    traits = Traits()

    def __init__(self, config: AppriseConfig, service: apprise.Apprise, incident_url: str | None) -> None:
        self.name = config.name
        self.target = str(service[0].service_name)
        self._service = service
        self._incident_url = incident_url
        self._free = threading.BoundedSemaphore(_THREADS)

    async def deliver(self, delivery: Delivery) -> Result:
        """Make one attempt, in a thread: the library blocks."""
        if not self._free.acquire(blocking=False):
            return Failed(f"{self.target} does not respond")
        severity = delivery.notices[0].data.severity if delivery.notices else None
        send = partial(
            self._service.notify,
            title=text.title(delivery),
            body=text.body(delivery, self._incident_url),
            notify_type=_KINDS.get(severity or "", apprise.NotifyType.INFO),
            body_format=apprise.NotifyFormat.TEXT,
        )
        return Delivered() if await self._in_thread(send) else Failed(f"{self.target} did not take it")

    async def _in_thread(self, send: Callable[[], object]) -> bool:
        """Call it in a thread that the end of the process does not wait for."""
        loop, taken = asyncio.get_running_loop(), asyncio.Event()
        results = list[bool]()

        def _run() -> None:
            try:
                results.append(bool(send()))
            finally:
                self._free.release()
                with suppress(RuntimeError):  # the process has stopped waiting
                    loop.call_soon_threadsafe(taken.set)

        threading.Thread(target=_run, name=f"receiver {self.name}", daemon=True).start()
        await taken.wait()
        return any(results)

    async def refresh(self, memories: Sequence[str], now: datetime) -> Result:
        """Not needed."""
        return Delivered()

    def refreshes(self, memory: str, now: datetime) -> bool:
        """Never."""
        return False

    async def close(self) -> None:
        """Nothing."""


def configure(config: AppriseConfig, incident_url: str | None) -> AppriseReceiver:
    """The receiver of a configuration. Raises ConfigurationError."""
    service = apprise.Apprise()
    if not service.add(config.url):
        raise wrong_receiver(config, "url", "Apprise knows no such service, or a part of the URL is missing")
    return AppriseReceiver(config, service, incident_url)
