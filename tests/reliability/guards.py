"""Each guard is taken away, and a test has to notice: a guard that nothing would miss protects nobody.

`make bench WHAT=guards` copies the tree and runs the tests of the guards (green). Then it removes one guard at a time,
by replacing a piece of text, and runs that guard's tests again (red). Names of guards as arguments select some of them.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree, ignore_patterns
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.support.paths import ROOT

_COPIED = ("pipeline", "deploy", "tests")
_SECONDS = 60  # for one test


class Guard(NamedTuple):
    """What stands in `file`, what stands there once it is gone, and the tests that all have to fail then."""

    name: str
    file: str
    text: str
    instead: str
    tests: tuple[str, ...]


_DISPATCHER = "tests/integration/consumers/sending/test_dispatcher.py::"
_ADAPTER = "tests/unit/notifiers/channels/test_twilio.py::test_every_other_answer_has_its_outcome_after_a_single_post"

GUARDS = (
    Guard(
        "one decision per order, contact and purpose",
        "pipeline/store/schema/migrations/versions/0001_first_schema.py",
        'sa.PrimaryKeyConstraint("order_id", "contact_id", "purpose")',
        'sa.PrimaryKeyConstraint("order_id", "contact_id", "purpose", "decided_at")',
        (f"{_DISPATCHER}test_only_one_decision_can_be_stored_for_an_order_a_contact_and_a_purpose[sqlite]",),
    ),
    Guard(
        "committed before it is sent",
        "pipeline/consumers/sending/dispatcher.py",
        "                    self._lease,\n                )\n            return claims\n",
        "                    self._lease,\n                )\n"
        "                for claimed in claims.to_send:\n"
        "                    self._finished.append(self._sender.send(claimed, time.monotonic()))\n"
        "            return claims._replace(to_send=[])\n",
        (
            "tests/reliability/test_send_matrix.py::test_at_most_one_message_per_ask_and_an_end_for_each"
            "[after_post_before_record-invalid-twice-4-sqlite]",
        ),
    ),
    Guard(
        "the adapter does not try again",
        "pipeline/notifiers/channels/twilio/sms.py",
        "        except _FAILURES as error:\n            return Unknown(type(error).__name__)\n",
        "        except _FAILURES:\n            return self.send(message)\n",
        (f"{_ADAPTER}[reset-Unknown]", f"{_ADAPTER}[broken-Unknown]", f"{_ADAPTER}[half-Unknown]"),
    ),
    Guard(
        "the HTTP client does not try again",
        "pipeline/notifiers/channels/twilio/http.py",
        "            answer = connection.getresponse()\n",
        "            try:\n"
        "                answer = connection.getresponse()\n"
        "            except OSError:  # as pools do: the connection may have been a stale one\n"
        "                connection.request(method, target, body, sent)\n"
        "                answer = connection.getresponse()\n",
        (f"{_ADAPTER}[reset-Unknown]",),
    ),
    Guard(
        "an unknown outcome is not due again",
        "pipeline/store/asks/outcomes.py",
        'AskState.UNKNOWN, {"outcome": SendOutcome.UNKNOWN, "wake_at": look_at}',
        'AskState.DUE, {"outcome": SendOutcome.UNKNOWN, "wake_at": look_at}',
        (f"{_DISPATCHER}test_an_unknown_outcome_is_looked_for_and_found_but_never_sent_again[sqlite]",),
    ),
    Guard(
        "whoever takes over a lease does not send",
        "pipeline/store/asks/claiming.py",
        "        if row.state == AskState.DUE:\n",
        "        if row.state == AskState.SENDING:\n"
        '            change(connection, key, {"state": AskState.DUE})\n'
        "        if row.state in (AskState.DUE, AskState.SENDING):\n",
        (
            f"{_DISPATCHER}test_a_dispatcher_that_takes_over_a_lease_looks_the_message_up_and_never_sends_it[sqlite]",
            "tests/reliability/test_paused.py::"
            "test_what_a_worker_was_about_to_send_goes_out_once_whoever_has_the_lease[sqlite]",
        ),
    ),
    Guard(
        "a sender that stood still does not send",
        "pipeline/consumers/sending/sender.py",
        "        if time.monotonic() - started > self._lease.total_seconds() / 2:\n",
        "        if started > time.monotonic():\n",
        ("tests/reliability/test_paused.py::test_a_worker_that_notices_how_long_it_stood_still_sends_nothing[sqlite]",),
    ),
    Guard(
        "no state is left for a lower one",
        "pipeline/store/asks/outcomes.py",
        ".where(*_THIS_ATTEMPT, or_(*(asks.c.state == earlier for earlier in sorted(before(state)))))",
        ".where(*_THIS_ATTEMPT)",
        tuple(
            f"{_DISPATCHER}test_callbacks_count_whenever_they_come_and_take_nothing_back[{case}-sqlite]"
            for case in ("late-delivered", "late-failed")
        ),
    ),
    Guard(
        "a text counts once by its MessageSid",
        "pipeline/consumers/conversation.py",
        "    if not inbound_messages.store_text(connection, row):\n        return ALREADY_HANDLED\n",
        "    inbound_messages.store_text(connection, row)\n",
        ("tests/integration/consumers/test_conversation.py::test_the_same_message_twice_does_nothing[sqlite]",),
    ),
    Guard(
        "a signature is over the configured address",
        "pipeline/notifiers/channels/twilio/webhooks.py",
        "address = self._public_url + call.path",
        'address = "http://" + call.headers["host"] + call.path',
        (
            "tests/integration/web/test_webhooks.py::"
            "test_the_configured_address_is_signed_whatever_the_request_says[sqlite]",
        ),
    ),
    Guard(
        "opening a form records nothing",
        "pipeline/web/public/form/form.py",
        '        if link.current is not None and "amend" not in request.query_params:\n',
        '        opened = Submission("on_time")\n'
        '        answer = event_of(link, "", opened, statement_of(opened, None), services.now())\n'
        "        await services.submit([answer])\n"
        '        if link.current is not None and "amend" not in request.query_params:\n',
        ("tests/integration/web/test_forms.py::test_a_hundred_prefetches_leave_it_unanswered[sqlite]",),
    ),
)


class Intact(AssertionError):
    """A guard is gone and its tests did not notice, or something else than a guard is broken."""


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of the tree that may be broken."""
    with TemporaryDirectory(prefix="guards-") as made:
        tree = Path(made)
        for folder in _COPIED:
            copytree(ROOT / folder, tree / folder, ignore=ignore_patterns("node_modules"))
        (tree / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
        yield tree


def green(tree: Path, guards: Collection[Guard]) -> None:
    """All tests of these guards pass while the guards stand. Raises Intact."""
    tests = list(dict.fromkeys(test for guard in guards for test in guard.tests))
    _expect(tree, tests, "passed")


def red(tree: Path, guard: Guard) -> None:
    """Every test of a guard fails once it is gone. Raises Intact."""
    file = tree / guard.file
    kept = file.read_text()
    if kept.count(guard.text) != 1:
        raise Intact(f"{guard.file} holds the text of {guard.name!r} {kept.count(guard.text)} times, not once")
    file.write_text(kept.replace(guard.text, guard.instead))
    try:
        _expect(tree, guard.tests, "failed")
    finally:
        file.write_text(kept)


def _expect(tree: Path, tests: Collection[str], outcome: str) -> None:
    """All of them, and nothing but that: an error while collecting is no failure of a test."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UNVARNISHED_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--timeout={_SECONDS}", *tests],
        cwd=tree,
        env=environment | {"PYTHONDONTWRITEBYTECODE": "1"},  # a file may change twice within its time's resolution
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if not re.search(rf"^{len(tests)} {outcome} in ", done.stdout, re.MULTILINE):
        raise Intact(f"not all of {len(tests)} {outcome}:\n{done.stdout[-4_000:]}")


def main(names: Collection[str]) -> int:
    """Check the guards whose name holds one of these, or all; print a line each. Returns the exit code."""
    chosen = [guard for guard in GUARDS if not names or any(name in guard.name for name in names)]
    failed = 0
    with copied() as tree:
        started = time.monotonic()
        green(tree, chosen)
        print(f"green  {time.monotonic() - started:4.1f} s  all guards in place", flush=True)
        for guard in chosen:
            started = time.monotonic()
            try:
                red(tree, guard)
            except Intact as unnoticed:
                failed += 1
                print(f"GREEN         without: {guard.name}\n{unnoticed}", flush=True)
            else:
                print(f"red    {time.monotonic() - started:4.1f} s  without: {guard.name}", flush=True)
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
