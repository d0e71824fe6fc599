"""`unvarnished` in a separate process: started, reached on its ports, ended by signals."""

import http.client
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from tests.support.limits import PATIENCE
from tests.support.paths import ROOT

TOKEN = "the-token-of-these-tests"


class Process:
    """A running command."""

    def __init__(self, folder: Path, *command: str, **settings: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", *command],
            cwd=ROOT,
            env=environment(folder, **settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self, number: signal.Signals) -> int:
        """Send a signal, and return the exit code."""
        self.process.send_signal(number)
        return self.close()

    def close(self) -> int:
        """Wait for its end, and return the exit code."""
        code = self.process.wait(PATIENCE)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        return code


class Up(Process):
    """A running `up` or `demo` that has printed its addresses."""

    def __init__(self, folder: Path, *command: str, **settings: str) -> None:
        super().__init__(folder, *(command or ("up",)), **settings)
        lines: queue.Queue[str] = queue.Queue()

        def _read() -> None:
            for line in self.process.stdout or ():
                lines.put(line)
            lines.put("")  # the process has closed its output

        threading.Thread(target=_read, daemon=True).start()
        output = ""
        while "sign in" not in output:
            line = lines.get(timeout=PATIENCE)
            assert line, f"it ended with {self.close()} after {output!r}"
            output += line
        self.public, self.internal = (
            int(port) for port in re.findall(r"(?:public|internal) +http://[^:]+:(\d+)", output)
        )
        self.output = output

    def post(self, key: str, body: bytes, connection: http.client.HTTPConnection | None = None) -> tuple[int, Any]:
        headers = {"authorization": f"Bearer {key}", "content-type": "application/cloudevents+json"}
        one = connection or http.client.HTTPConnection("127.0.0.1", self.public, timeout=PATIENCE)
        try:
            one.request("POST", "/v1/events", body, headers)
            answer = one.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            if connection is None:
                one.close()

    def get(self, path: str) -> tuple[int, bytes]:
        one = http.client.HTTPConnection("127.0.0.1", self.internal, timeout=PATIENCE)
        try:
            one.request("GET", path, headers={"authorization": f"Bearer {TOKEN}"})
            answer = one.getresponse()
            return answer.status, answer.read()
        finally:
            one.close()


def environment(folder: Path, **settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("UNVARNISHED_")}
    ours = {"DATA_DIR": str(folder), "PUBLIC_HOST": "127.0.0.1", "PUBLIC_PORT": "0", "INTERNAL_PORT": "0"}
    ours |= {"SIGN_IN_TOKEN": TOKEN} | settings
    return kept | {f"UNVARNISHED_{name}": value for name, value in ours.items()}
