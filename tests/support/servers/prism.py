"""Prism between the adapter and the provider's stub: it rejects what contradicts the provider's own description."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.notifiers.channels.twilio.http import SingleRequestClient
from tests.support.paths import ROOT
from tests.support.servers.npm import installed

_FOLDER = ROOT / "tests" / "contract"
_VIOLATION = "stoplight.io/prism/errors"
_LISTENS = "Prism is listening on "


class Violation(Exception):
    """A request or response that violates the description, with Prism's message."""


class CheckingClient(SingleRequestClient):
    """The adapter's own HTTP client through Prism. Raises Violation if Prism reports one."""

    def request(self, *arguments: Any, **named: Any) -> Any:
        """Send one request. Raises Violation."""
        answer = super().request(*arguments, **named)
        if _VIOLATION in answer.text:
            raise Violation(answer.text)
        return answer


@contextmanager
def prism(description: Path, upstream: str) -> Iterator[str]:
    """Prism as a proxy of `upstream` that checks requests and responses against a description. Yields its address."""
    program = installed(_FOLDER) / ".bin" / "prism"
    command = [str(program), "proxy", str(description), upstream, "--errors", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            output = ""
            for line in process.stdout:
                output += line
                if _LISTENS in line:
                    break
            else:
                raise AssertionError(f"Prism did not start: {output[-2_000:]}")
            # It logs every request, and would block if its output were not read.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield line.split(_LISTENS)[1].strip()
        finally:
            process.terminate()
