"""Requests that Schemathesis makes from both OpenAPI documents: a running installation answers as they say.

`make bench WHAT=api` makes 3,000 of them. Each round has four runs: either listener, with credentials and without.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.support.builders import completed, scanned
from tests.support.limits import PATIENCE, until
from tests.support.running.process import TOKEN, Up, environment

CASES = 3_000
_SECONDS = 600  # for one run
# Valid by the document and refused all the same: what JSON Schema cannot say. A time lies ahead, a date has no zone, an
# id was used for another event, `from` is after `to`, a level is not counted here.
_EXPECTED = ["2xx", "3xx", "400", "401", "403", "404", "409", "413", "415", "422", "429"]
# All requests come from one address. 429 has tests of its own; here it would hide what is behind it.
_LIMITS = {"MAX_WRONG_KEYS_PER_MINUTE": "100000", "MAX_WRONG_LINKS_PER_MINUTE": "100000"}


class Run(NamedTuple):
    """One run of Schemathesis: a listener's document and address, its credentials, and parameters that exist."""

    name: str
    document: str
    url: str
    token: str | None
    parameters: dict[str, str]


class Finding(NamedTuple):
    """The result of a run: the requests made, and everything it printed if a response was not as documented."""

    name: str
    cases: int
    failure: str | None


@contextmanager
def installation(folder: Path) -> Iterator[list[Run]]:
    """A running installation with a delivered order and an open question, and the runs against it."""
    up = Up(folder, NOTIFIER="phone", QUIET_HOURS="00:00-00:00", SKIP_HOLIDAYS="false", **_LIMITS)
    try:
        key = new_key(folder)
        now = datetime.now(UTC)
        order = completed("SO-1", now - timedelta(hours=1), dimensions={"region": "North", "depot": "Lyon"})
        for event in (order, scanned("SO-1", now)):
            assert up.post(key, event)[0] == 202
        link = {"path.token": until(lambda: _link(up), "a question")}
        public, internal = f"http://127.0.0.1:{up.public}", f"http://127.0.0.1:{up.internal}"
        yield [
            run
            for name, url, document, token, known in (
                ("public", public, openapi_of(up.public), key, link),
                ("internal", internal, openapi_of(up.internal), TOKEN, {"path.order_id": "SO-1", "query.id": "SO-1"}),
            )
            for run in (
                Run(f"{name} listener, with credentials", document, url, token, known),
                Run(f"{name} listener, without", document, url, None, {}),
            )
        ]
    finally:
        up.process.terminate()
        up.close()


def new_key(folder: Path) -> str:
    command = (sys.executable, "-m", "pipeline", "keys", "create", "schemathesis")
    done = subprocess.run(
        command, env=environment(folder), capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    return done.stdout.split()[-1]


def _link(up: Up) -> str | None:
    found = re.search(rb"/f/([\w-]{22})", up.get("/phone")[1])
    return found and found[1].decode()


def openapi_of(port: int) -> str:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    with closing(connection):
        connection.request("GET", "/openapi.json", headers={"authorization": f"Bearer {TOKEN}"})
        response = connection.getresponse()
        assert response.status == 200
        return response.read().decode()


def check(runs: Sequence[Run], folder: Path, examples: int, seed: int) -> list[Finding]:
    """Make every run, two at a time, with up to `examples` random requests for each operation besides fixed ones."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda run: _check(run, folder, examples, seed), runs))


def _check(run: Run, folder: Path, examples: int, seed: int) -> Finding:
    name = re.sub(r"\W+", "-", run.name)
    document, configuration = folder / f"{name}.json", folder / f"{name}.toml"
    document.write_text(run.document)
    configuration.write_text(_configuration(run))
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration), "run", str(document)]
    command += ["--url", run.url, "--checks", "all", "--continue-on-failure", "--no-shrink", "--no-color"]
    command += ["--max-examples", str(examples), "--generation-database", "none"]
    command += ["--seed", str(seed)]
    if run.token is not None:
        command += ["--header", f"Authorization: Bearer {run.token}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=_SECONDS)
    made = re.search(r"(\d+) generated", done.stdout)
    return Finding(
        run.name, int(made[1]) if made else 0, f"{done.stdout}{done.stderr}" if done.returncode or not made else None
    )


def _configuration(run: Run) -> str:
    lines = ["[parameters]", *(f"{json.dumps(name)} = {json.dumps(value)}" for name, value in run.parameters.items())]
    lines += ["[checks.positive_data_acceptance]", f"expected-statuses = {json.dumps(_EXPECTED)}"]
    return "\n".join(lines) + "\n"


def main(cases: int = CASES) -> int:
    """Make rounds until there were that many requests. Returns the exit code."""
    total = seed = 0
    with TemporaryDirectory() as name, installation(Path(name)) as runs:
        while total < cases:
            seed += 1
            for finding in check(runs, Path(name), 65, seed):
                total += finding.cases
                print(f"{finding.name}: {finding.cases:,} requests", flush=True)
                if finding.failure is not None:
                    print(finding.failure)
                    return 1
    print(f"{total:,} requests, every response as documented")
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
