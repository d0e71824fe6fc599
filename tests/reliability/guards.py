"""Removes each guard, and checks that its tests fail: a guard without a failing test is not tested.

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
    """A guard: its text in `file`, the text that replaces it, and the tests that all have to fail then."""

    name: str
    file: str
    text: str
    replacement: str
    tests: tuple[str, ...]


_CLOCK = "tests/integration/consumers/runtime/test_machine_clock.py::"
_DISPATCHER = "tests/integration/consumers/sending/test_dispatcher.py::"
_RECHECK = "tests/integration/consumers/sending/test_recheck.py::"
_ADAPTER = "tests/unit/notifiers/channels/test_twilio.py::test_every_other_response_has_its_outcome_after_a_single_post"

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
        "                claims = self._claimer.claim(connection, now, limit)\n            return claims\n",
        "                claims = self._claimer.claim(connection, now, limit)\n"
        "                for claimed in claims.to_send:\n"
        "                    self._finished.append(self._sender.send(claimed, time.monotonic()))\n"
        "            claims.to_send.clear()\n"
        "            return claims\n",
        (
            "tests/reliability/test_send_matrix.py::test_every_ask_has_at_most_one_message_and_a_final_state"
            "[after_post_before_record-invalid-twice-4-sqlite]",
        ),
    ),
    Guard(
        "the adapter does not retry",
        "pipeline/notifiers/channels/twilio/sms.py",
        "        except _FAILURES as error:\n            return Unknown(type(error).__name__)\n",
        "        except _FAILURES:\n            return self.send(message)\n",
        (f"{_ADAPTER}[reset-Unknown]", f"{_ADAPTER}[broken-Unknown]", f"{_ADAPTER}[half-Unknown]"),
    ),
    Guard(
        "the HTTP client does not retry",
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
        (f"{_DISPATCHER}test_a_message_of_unknown_outcome_is_looked_up_and_found_but_never_sent_again[sqlite]",),
    ),
    Guard(
        "a process that takes over a lease does not send",
        "pipeline/store/asks/claiming.py",
        "                if ask.row.state == AskState.DUE:\n",
        "                if ask.row.state == AskState.SENDING:\n"
        '                    change(connection, ask.key, {"state": AskState.DUE})\n'
        "                elif ask.row.state == AskState.DUE:\n",
        (
            f"{_DISPATCHER}test_a_dispatcher_that_acquires_an_expired_lease_looks_the_message_up_and_never_sends_it[sqlite]",
            "tests/reliability/test_paused.py::"
            "test_a_message_of_a_paused_worker_is_sent_once_whichever_worker_has_the_lease[sqlite]",
        ),
    ),
    Guard(
        "a sender that was paused does not send",
        "pipeline/consumers/sending/sender.py",
        "        if time.monotonic() - started > self._lease.total_seconds() / 2:\n",
        "        if started > time.monotonic():\n",
        ("tests/reliability/test_paused.py::test_a_worker_that_was_paused_for_too_long_sends_nothing[sqlite]",),
    ),
    Guard(
        "a state never changes to a lower one",
        "pipeline/store/asks/outcomes.py",
        ".where(*_THIS_ATTEMPT, or_(*(asks.c.state == earlier for earlier in sorted(before(state)))))",
        ".where(*_THIS_ATTEMPT)",
        tuple(
            f"{_DISPATCHER}test_callbacks_count_in_any_order_and_never_reset_a_state[{case}-sqlite]"
            for case in ("late-delivered", "late-failed")
        ),
    ),
    Guard(
        "everything is checked again before sending",
        "pipeline/store/asks/claiming.py",
        "answerable=is_answerable(Order(row.order_id, facts, dialogue), row.purpose),",
        "answerable=True,",
        tuple(
            f"{_RECHECK}test_no_question_about_a_delivery_that_was_taken_back[{case}-sqlite]"
            for case in ("returned", "a second parcel")
        ),
    ),
    Guard(
        "a corrected number is checked again before sending",
        "pipeline/store/asks/claiming.py",
        "rest=None if self.digest is None else sent.rest(self.digest, self.row, self.role),",
        "rest=None,",
        (f"{_RECHECK}test_a_number_that_was_asked_meanwhile_rests[A-2-address_asked-sqlite]",),
    ),
    Guard(
        "the rest of the contact's role is checked again before sending",
        "pipeline/store/asks/sent_messages.py",
        "{ask.account_id for _ in self._near(self._to[_contact(ask)], ask, self._policy.rest_of(role))}",
        "set()",
        (f"{_RECHECK}test_the_rest_of_a_role_is_that_of_the_moment_of_sending[purchaser-1-sqlite]",),
    ),
    Guard(
        "the opt-out of a contact is checked before sending to any address",
        "pipeline/store/asks/claiming.py",
        " or (row.account_id, row.contact_id) in self._silent,",
        ",",
        (
            "tests/integration/consumers/sending/test_contact_opt_outs.py::"
            "test_a_question_that_is_due_is_not_sent_to_a_new_number_either[sqlite]",
        ),
    ),
    Guard(
        "an address rests under every contact and account",
        "pipeline/domain/asking/eligibility.py",
        "uses = history.address_uses.get(to, ()) if to is not None else ()",
        "uses = ()",
        tuple(
            f"tests/integration/consumers/test_address_rest.py::{name}[sqlite]"
            for name in ("test_a_phone_rests_under_any_contact_id", "test_the_daily_cap_holds_without_a_rest")
        ),
    ),
    Guard(
        "a refusal is kept when it is lifted",
        "pipeline/store/schema/migrations/versions/0010_lifted_refusals.py",
        "AND refusals.decided_at = OLD.decided_at AND refusals.reason = OLD.reason)",
        "OR TRUE)",
        (
            "tests/integration/consumers/test_lifted_refusals.py::"
            "test_no_decision_disappears[UPDATE asks SET reason = NULL-sqlite]",
        ),
    ),
    Guard(
        "JSON may be nested to one depth",
        "pipeline/domain/events/depth.py",
        "    if is_deeper(raw, most):\n",
        "    if is_deeper(raw, 10_000):\n",
        ("tests/unit/domain/events/test_depth.py::test_an_event_at_the_limit_is_accepted",),
    ),
    Guard(
        "a text counts once by its MessageSid",
        "pipeline/consumers/conversation/handling.py",
        "    if not _store(connection, text, key):\n        return ALREADY_HANDLED\n",
        "    _store(connection, text, key)\n",
        ("tests/integration/consumers/test_conversation.py::test_the_same_message_twice_does_nothing[sqlite]",),
    ),
    Guard(
        "a signature covers the configured address",
        "pipeline/notifiers/channels/twilio/webhooks.py",
        "address = self._public_url + call.path",
        'address = "http://" + call.headers["host"] + call.path',
        (
            "tests/integration/web/test_webhooks.py::"
            "test_the_signature_covers_the_configured_address_and_not_the_requests[sqlite]",
        ),
    ),
    Guard(
        "between STOP and START the newest decides",
        "pipeline/store/people/opt_outs.py",
        "        if rank(change) > rank(known):\n",
        "        if not change.stops:\n",
        (
            "tests/integration/store/test_opt_outs.py::"
            "test_a_stop_is_never_undone_by_anything_but_a_later_start[sqlite]",
            "tests/integration/consumers/sending/test_inbox_poll.py::"
            "test_an_older_start_that_is_found_later_does_not_undo_a_stop[sqlite]",
        ),
    ),
    Guard(
        "nothing is stored or sent while the clock is wrong",
        "pipeline/domain/events/receipt_time.py",
        "    if abs(wall - expected) <= TOLERANCE:\n",
        "    if wall:\n",
        tuple(
            f"{_CLOCK}{name}[sqlite]"
            for name in (
                "test_events_are_refused_for_now_and_received_once_the_clock_is_right",
                "test_the_evidence_gets_no_day_from_a_wrong_clock",
            )
        ),
    ),
    Guard(
        "a start with a wrong clock is noticed",
        "pipeline/domain/events/receipt_time.py",
        "    if abs(wall - recorded) <= MAX_STEP:\n",
        "    if wall:\n",
        tuple(
            "tests/integration/consumers/runtime/test_clock_watch.py::"
            f"test_a_start_with_a_wrong_clock_is_noticed_also_after_a_restart[sqlite-{error}]"
            for error in ("26000 days, 0:00:00", "-26000 days, 0:00:00")
        ),
    ),
    Guard(
        "a form's answers are counted when they are admitted",
        "pipeline/web/public/form/form.py",
        "        if not await to_thread.run_sync(partial(admit, services.store.engine, link, event_id)):\n",
        "        if not event_id:\n",
        (
            "tests/integration/web/form/test_forms.py::"
            "test_sixty_submissions_at_once_leave_no_more_answers_than_the_limit[sqlite]",
        ),
    ),
    Guard(
        "opening a form records nothing",
        "pipeline/web/public/form/form.py",
        "        shown = _shown(request, link)\n",
        '        opened = Submission("on_time")\n'
        '        answer = event_of(link, "", opened, statement_of(opened, None), services.now())\n'
        "        await services.submit([answer.event])\n"
        "        shown = _shown(request, link)\n",
        ("tests/integration/web/form/test_forms.py::test_a_hundred_prefetches_leave_it_unanswered[sqlite]",),
    ),
)


class GuardNotTested(AssertionError):
    """The tests of a removed guard did not fail, or tests fail for another reason."""


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of the tree for modification."""
    with TemporaryDirectory(prefix="guards-") as made:
        tree = Path(made)
        for folder in _COPIED:
            copytree(ROOT / folder, tree / folder, ignore=ignore_patterns("node_modules"))
        (tree / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
        yield tree


def green(tree: Path, guards: Collection[Guard]) -> None:
    """Check that all tests of these guards pass with the guards. Raises GuardNotTested."""
    tests = list(dict.fromkeys(test for guard in guards for test in guard.tests))
    _expect(tree, tests, "passed")


def red(tree: Path, guard: Guard) -> None:
    """Check that every test of a guard fails without it. Raises GuardNotTested."""
    file = tree / guard.file
    kept = file.read_text()
    if kept.count(guard.text) != 1:
        raise GuardNotTested(
            f"{guard.file} contains the text of {guard.name!r} {kept.count(guard.text)} times, not once"
        )
    file.write_text(kept.replace(guard.text, guard.replacement))
    try:
        _expect(tree, guard.tests, "failed")
    finally:
        file.write_text(kept)


def _expect(tree: Path, tests: Collection[str], outcome: str) -> None:
    """Check that all tests have this outcome. An error during collection is no failure of a test."""
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
        raise GuardNotTested(f"not all of {len(tests)} {outcome}:\n{done.stdout[-4_000:]}")


def main(names: Collection[str]) -> int:
    """Check the guards whose name contains one of these, or all, and print a line for each. Returns the exit code."""
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
            except GuardNotTested as unnoticed:
                failed += 1
                print(f"GREEN         without: {guard.name}\n{unnoticed}", flush=True)
            else:
                print(f"red    {time.monotonic() - started:4.1f} s  without: {guard.name}", flush=True)
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
