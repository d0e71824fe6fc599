"""The command that counts the files an event crosses, and what it must find: no decision goes back and forth."""

import re
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def output() -> str:
    command = [sys.executable, "-m", "tests.support.tracing", "-v"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_trace_reaches_the_provider_in_both_modes(output: str) -> None:
    assert re.match(r"delivery event, embedded: +\d+ files, \d+ moves between files\n", output)
    assert re.search(r"^delivery event, cluster: +\d+ files$", output, re.MULTILINE)


def test_an_alert_is_decided_in_the_domain_and_the_domain_reads_only_the_pairs_of_a_run(output: str) -> None:
    alert = output[output.index("\nalert\n") :]
    calls = re.findall(r"^    (\w+)/\S+ -> (\w+)/\S+ (\S+)$", alert, re.MULTILINE)
    assert {function for caller, callee, function in calls if (caller, callee) == ("domain", "store")} == {"recent"}
    decided = {function for caller, callee, function in calls if (caller, callee) == ("consumers", "domain")}
    assert decided == {"segments_of", "levels", "on", "may_count", "observe", "alert_event"}
    assert not {function for caller, callee, function in calls if (caller, callee) == ("store", "domain")} & decided
