"""Prism between us and the provider's stub: what contradicts the provider's own description goes no further."""

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
_COMPLAINT = "stoplight.io/prism/errors"
_LISTENS = "Prism is listening on "


class Violation(Exception):
    """A request, or the answer to it, that the description does not allow: Prism's words."""


class Held(SingleRequestClient):
    """The adapter's own HTTP client, through Prism: raises Violation where Prism objects."""

    def request(self, *arguments: Any, **named: Any) -> Any:
        """Do it once."""
        answer = super().request(*arguments, **named)
        if _COMPLAINT in answer.text:
            raise Violation(answer.text)
        return answer


@contextmanager
def prism(description: Path, upstream: str) -> Iterator[str]:
    """Prism in front of `upstream`, both directions held against an OpenAPI description; yields its address."""
    program = installed(_FOLDER) / ".bin" / "prism"
    command = [str(program), "proxy", str(description), upstream, "--errors", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            said = ""
            for line in process.stdout:
                said += line
                if _LISTENS in line:
                    break
            else:
                raise AssertionError(f"Prism did not start: {said[-2_000:]}")
            # It tells of every request, and would stand still if nobody read that.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield line.split(_LISTENS)[1].strip()
        finally:
            process.terminate()
