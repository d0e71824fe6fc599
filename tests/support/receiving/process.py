"""A sender of notices in a process of its own, which a failpoint kills."""

import multiprocessing
import signal
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pipeline.consumers.notifying.sender import NoticeSender
from pipeline.consumers.runtime import failpoints
from pipeline.notifiers.receivers import registry
from pipeline.notifiers.receivers.configuration import parse
from pipeline.settings import Settings
from tests.support.limits import PATIENCE
from tests.support.running.embedded import embedded


def run_until_killed(url: str, file: str, smtp: Mapping[str, Any] | None, failpoint: str) -> None:
    """Run a sender until that failpoint has killed it."""
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(url, file, smtp, failpoint))
    process.start()
    process.join(PATIENCE)
    assert process.exitcode == -signal.SIGKILL


def _run(url: str, file: str, smtp: Mapping[str, Any] | None, failpoint: str) -> None:
    failpoints.arm(failpoint)
    receivers = registry.build(parse(file), Settings(mail_from="quality@example.com", **(smtp or {})))
    sender = NoticeSender(embedded(url).store, receivers, lambda: datetime.now(UTC))
    sender.start()
    threading.Event().wait(PATIENCE)
