"""After any fault every ask has at most one message and a final state.

{failpoint} x {response of the provider} x {time of its callbacks} x {1, 4 dispatchers}, on both databases; by e-mail
{failpoint} x {what the mail server does} x {dispatchers}; by WhatsApp {failpoint} x {response} x {delivered, not
delivered} x {dispatchers}. The suite runs selections that contain every value;
`UNVARNISHED_MATRIX=full`, set by `make bench WHAT=matrix`, runs all.
"""

import os
import signal
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import NamedTuple, get_args

import pytest
from sqlalchemy import Engine, func, select

from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.consumers.runtime.failpoints import FAILPOINTS
from pipeline.consumers.sending import status_reports
from pipeline.domain.asking.ask_states import LOOK_AFTER, TERMINAL, AskState
from pipeline.notifiers.channels.email.reports import REPORT_PATH, MailReports
from pipeline.notifiers.channels.twilio.paths import WHATSAPP_PREFIX
from pipeline.notifiers.port import HttpCall, StatusReport
from pipeline.store.db.engine import connect, reading
from pipeline.store.journal.embedded_journal import EmbeddedJournal
from pipeline.store.schema.asks import asks
from pipeline.store.schema.journal import journal
from pipeline.store.store import Store
from tests.support.builders import at
from tests.support.provider import MADE, Answer, Provider, When
from tests.support.running.embedded import VAULT, embedded
from tests.support.running.sending import states, stored, webhook
from tests.support.running.sending_process import mailbox, number, order_id, run
from tests.support.servers.bounces import bounce
from tests.support.servers.mail import TAKEN, Behaviour, MailServer, mail_server

pytestmark = [pytest.mark.reliability, pytest.mark.slow]

DELIVERED = at(hours=2)
# After the lease of the killed process, then at every lookup of messages of unknown outcome.
AFTERWARDS = [DELIVERED + timedelta(seconds=61), *(DELIVERED + after + timedelta(seconds=2) for after in LOOK_AFTER)]
THE_END = at(days=30)
STORES = ("sqlite", "postgresql")
WHENS: tuple[When, ...] = get_args(When)
ANSWERS: tuple[Answer, ...] = get_args(Answer)
# The provider states that no message was created: another POST is allowed.
REFUSED_FOR_NOW = frozenset({"busy", "unauthorized"})
REFUSED = frozenset({"opted_out", "invalid"})


class Case(NamedTuple):
    """One cell of the matrix. `failpoint` "": no process is killed."""

    failpoint: str
    answer: Answer
    when: When
    dispatchers: int
    store: str


def _all() -> Iterator[Case]:
    for failpoint, answer, when, dispatchers, store in product(("", *FAILPOINTS), ANSWERS, WHENS, (1, 4), STORES):
        yield Case(failpoint, answer, when, dispatchers, store)


def _selection() -> Iterator[Case]:
    """Each response once, each failpoint at least twice, other values in turn; and the worst case of each failpoint."""
    failpoints = ("", *FAILPOINTS)
    for n, answer in enumerate(ANSWERS):
        yield Case(failpoints[n % 6], answer, WHENS[n % 4], (1, 4)[n // 2 % 2], STORES[n % 2])
    # The response was lost with the process: the next dispatcher must not send again, even without a callback.
    whens: tuple[When, ...] = ("late", "twice", "early", "never", "late")
    for n, (failpoint, when) in enumerate(zip(FAILPOINTS, whens, strict=True)):
        yield Case(failpoint, "accept", when, (4, 1)[n % 2], STORES[n % 2])


CASES = list(_all() if os.environ.get("UNVARNISHED_MATRIX") == "full" else _selection())


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)).replace("--", "-"))
def test_every_ask_has_at_most_one_message_and_a_final_state(
    case: Case, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url: str = request.getfixturevalue(f"{case.store}_database_url")
    orders = 1 + case.dispatchers
    with (
        closing_engine(url) as engine,
        Provider(tmp_path / "posts", case.answer, case.when, lag=1, now=lambda: DELIVERED) as provider,
    ):
        provider.call_back = webhook(Store(engine, VAULT, EmbeddedJournal()), DELIVERED)
        first = (url, provider.url, case.failpoint, orders, case.dispatchers, [DELIVERED], DELIVERED)
        (code,) = run(first)
        assert code == (-signal.SIGKILL if case.failpoint else 0)
        provider.deliver_late()
        if case.answer in REFUSED_FOR_NOW:
            provider.always = "accept"
        again = (url, provider.url, "", orders, 1, [DELIVERED, *AFTERWARDS], THE_END)
        assert run(*[again] * case.dispatchers) == [0] * case.dispatchers
        provider.deliver_late()
        _check(case, provider, url, orders)


@contextmanager
def closing_engine(url: str) -> Iterator[Engine]:
    engine = connect(url)
    try:
        yield engine
    finally:
        engine.dispose()


def _check(case: Case, provider: Provider, url: str, orders: int) -> None:
    runtime = embedded(url)
    try:
        _check_runtime(case, provider, runtime, orders)
    finally:
        runtime.engine.dispose()


def _check_runtime(case: Case, provider: Provider, runtime: EmbeddedRunner, orders: int) -> None:
    runtime.process_pending()
    runtime.tick(THE_END + timedelta(days=1))
    assert len(states(runtime.engine)) == orders
    posts = Counter(post["To"] for post in provider.posts if post["answer"] not in REFUSED_FOR_NOW)
    made = Counter(message.fields["To"] for message in provider.made)
    assert max(posts.values(), default=0) <= 1, "a second POST only if the first was certainly refused"
    assert max(made.values(), default=0) <= 1
    with reading(runtime.engine) as connection:
        found = {row.order_id: row for row in connection.execute(select(asks))}
        query = select(journal.c.id, func.count()).where(journal.c.type == "feedback.requested").group_by(journal.c.id)
        requests = {row[0]: row[1] for row in connection.execute(query)}
    for n in range(orders):
        ask, to = found[order_id(n)], number(n)
        state = AskState(ask.state)
        assert state in TERMINAL, state
        assert ask.wake_at is None
        assert requests.get(f"{order_id(n)}:delivery:ana", 0) == (1 if made[to] else 0)
        if made[to]:
            assert state is AskState.EXPIRED, "it was sent, that became known, and no answer arrived"
        elif posts[to]:
            assert state in (AskState.NOT_ASKED, AskState.UNRESOLVED)
            assert case.answer not in MADE
        else:  # claimed when the process was killed, so its outcome is unknown
            assert state is AskState.UNRESOLVED
            assert case.failpoint not in ("", "after_decision")
    if not case.failpoint and case.answer in REFUSED:
        assert set(states(runtime.engine)) == {"not_asked"}


class MailCase(NamedTuple):
    """One cell of the matrix of e-mail. `bounces`: the server takes the message, and reports later that it failed."""

    failpoint: str
    behaviour: Behaviour
    bounces: bool
    dispatchers: int
    store: str


MAIL_REFUSED_FOR_NOW = frozenset({"later", "sender", "content_later"})


def _all_mail() -> Iterator[MailCase]:
    for failpoint, behaviour, dispatchers, store in product(("", *FAILPOINTS), get_args(Behaviour), (1, 4), STORES):
        yield MailCase(failpoint, behaviour, False, dispatchers, store)
        if behaviour in TAKEN:
            yield MailCase(failpoint, behaviour, True, dispatchers, store)


def _mail_selection() -> Iterator[MailCase]:
    """Each behaviour once, each failpoint with a message that was taken, and bounces of known and unknown outcomes."""
    failpoints = ("", *FAILPOINTS)
    for n, behaviour in enumerate(get_args(Behaviour)):
        yield MailCase(failpoints[n % 6], behaviour, False, (1, 4)[n // 2 % 2], STORES[n % 2])
    for n, failpoint in enumerate(FAILPOINTS):
        yield MailCase(failpoint, "accept", n % 2 == 0, (4, 1)[n % 2], STORES[n % 2])
    yield MailCase("", "accept", True, 1, "sqlite")
    yield MailCase("", "reset", True, 1, "postgresql")


MAIL_CASES = list(_all_mail() if os.environ.get("UNVARNISHED_MATRIX") == "full" else _mail_selection())


@pytest.mark.parametrize("case", MAIL_CASES, ids=lambda case: "-".join(map(str, case)).replace("--", "-"))
def test_every_ask_has_at_most_one_email_and_a_final_state(case: MailCase, request: pytest.FixtureRequest) -> None:
    url: str = request.getfixturevalue(f"{case.store}_database_url")
    orders = 1 + case.dispatchers
    with closing_engine(url) as engine, mail_server(case.behaviour) as server:
        address = f"smtp:{server.port}"
        (code,) = run((url, address, case.failpoint, orders, case.dispatchers, [DELIVERED], DELIVERED))
        assert code == (-signal.SIGKILL if case.failpoint else 0)
        if case.behaviour in MAIL_REFUSED_FOR_NOW:
            server.behaviour = "accept"
        sent_in_time = {to for to, _ in server.taken}
        if case.bounces:
            _report_bounces(engine, server)
        again = (url, address, "", orders, 1, [DELIVERED, *AFTERWARDS], THE_END)
        assert run(*[again] * case.dispatchers) == [0] * case.dispatchers
        if case.bounces:
            _report_bounces(engine, server)
        _check_mail(case, server, url, orders, sent_in_time)


def _report_bounces(engine: Engine, server: MailServer) -> None:
    """Every message that was taken comes back; reports are repeated, and may be those of another database's asks."""
    store = Store(engine, VAULT, EmbeddedJournal())
    for _, message in [*server.taken]:
        body = bounce(str(message["Message-ID"]).strip("<>"), "failed", "5.1.1")
        call = HttpCall(REPORT_PATH, "", {"authorization": "Bearer not-a-secret-at-all"}, body, DELIVERED)
        report = MailReports("not-a-secret-at-all").parse(call)
        assert isinstance(report, StatusReport)
        with engine.begin() as connection:
            status_reports.handle(connection, store.journal, report, DELIVERED)


def _check_mail(case: MailCase, server: MailServer, url: str, orders: int, sent_in_time: Collection[str]) -> None:
    """`sent_in_time`: whom the first process wrote to. What the second sends is reported after the time to answer:
    that resolves an unknown outcome and changes nothing else.
    """
    taken = Counter(to for to, _ in server.taken)
    assert max(taken.values(), default=0) <= 1
    runtime = embedded(url)
    try:
        runtime.process_pending()
        runtime.tick(THE_END + timedelta(days=1))
        found = {row["order_id"]: row for row in stored(runtime.engine)}
    finally:
        runtime.engine.dispose()
    assert len(found) == orders
    for n in range(orders):
        ask, was_taken = found[order_id(n)], taken[mailbox(n)]
        state = AskState(ask["state"])
        assert ask["wake_at"] is None
        if was_taken and case.bounces:
            resolved = mailbox(n) in sent_in_time or case.behaviour in ("reset", "silent")
            assert state is (AskState.FAILED if resolved else AskState.EXPIRED), "it also resolves an unknown outcome"
        elif was_taken and ask["provider_id"] is not None:
            assert state is AskState.EXPIRED, "it was accepted, and no answer arrived"
        elif was_taken:
            assert state is AskState.UNRESOLVED, "it was taken without a word, and is never sent again"
        else:
            assert state in (AskState.NOT_ASKED, AskState.UNRESOLVED)
            assert state is AskState.NOT_ASKED or case.failpoint not in ("", "after_decision")


class WhatsAppCase(NamedTuple):
    """One cell of the matrix of WhatsApp. `bounces`: the provider reports later that it could not deliver."""

    failpoint: str
    answer: Answer
    bounces: bool
    dispatchers: int
    store: str


def _all_whatsapp() -> Iterator[WhatsAppCase]:
    for failpoint, answer, dispatchers, store in product(("", *FAILPOINTS), ANSWERS, (1, 4), STORES):
        yield WhatsAppCase(failpoint, answer, False, dispatchers, store)
        if answer in MADE:
            yield WhatsAppCase(failpoint, answer, True, dispatchers, store)


def _whatsapp_selection() -> Iterator[WhatsAppCase]:
    """A response of each kind, each failpoint once, and bounces of known and of unknown outcomes."""
    answers: tuple[Answer, ...] = ("accept", "error_made", "opted_out", "busy", "reset")
    for n, (failpoint, answer) in enumerate(zip(FAILPOINTS, answers, strict=True)):
        yield WhatsAppCase(failpoint, answer, n % 2 == 0 and answer in MADE, (4, 1)[n % 2], STORES[n // 2 % 2])
    yield WhatsAppCase("", "accept", True, 1, "postgresql")
    yield WhatsAppCase("", "half", False, 4, "sqlite")


WHATSAPP_CASES = list(_all_whatsapp() if os.environ.get("UNVARNISHED_MATRIX") == "full" else _whatsapp_selection())


@pytest.mark.parametrize("case", WHATSAPP_CASES, ids=lambda case: "-".join(map(str, case)).replace("--", "-"))
def test_every_ask_has_at_most_one_whatsapp_message_and_a_final_state(
    case: WhatsAppCase, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url: str = request.getfixturevalue(f"{case.store}_database_url")
    orders, final = 1 + case.dispatchers, "undelivered" if case.bounces else "read"
    with (
        closing_engine(url) as engine,
        Provider(tmp_path / "posts", case.answer, "late", final, lag=1, now=lambda: DELIVERED) as provider,
    ):
        provider.call_back = webhook(Store(engine, VAULT, EmbeddedJournal()), DELIVERED)
        address = f"whatsapp:{provider.url}"
        (code,) = run((url, address, case.failpoint, orders, case.dispatchers, [DELIVERED], DELIVERED))
        assert code == (-signal.SIGKILL if case.failpoint else 0)
        reported = {message.fields["To"] for message in provider.made}
        provider.deliver_late()
        if case.answer in REFUSED_FOR_NOW:
            provider.always = "accept"
        again = (url, address, "", orders, 1, [DELIVERED, *AFTERWARDS], THE_END)
        assert run(*[again] * case.dispatchers) == [0] * case.dispatchers
        provider.deliver_late()
        _check_whatsapp(case, provider, url, orders, reported)


def _check_whatsapp(
    case: WhatsAppCase, provider: Provider, url: str, orders: int, reported_in_time: Collection[str]
) -> None:
    """`reported_in_time`: whose messages were reported on before the time to answer was over."""
    posts = Counter(post["To"] for post in provider.posts if post["answer"] not in REFUSED_FOR_NOW)
    made = Counter(message.fields["To"] for message in provider.made)
    assert max(posts.values(), default=0) <= 1
    assert max(made.values(), default=0) <= 1
    assert all(post["ContentSid"] and "Body" not in post for post in provider.posts), "approved templates only"
    runtime = embedded(url)
    try:
        runtime.process_pending()
        runtime.tick(THE_END + timedelta(days=1))
        found = {row["order_id"]: row for row in stored(runtime.engine)}
    finally:
        runtime.engine.dispose()
    assert len(found) == orders
    for n in range(orders):
        ask, to = found[order_id(n)], f"{WHATSAPP_PREFIX}{number(n)}"
        state = AskState(ask["state"])
        assert ask["wake_at"] is None
        if made[to] and case.bounces and to in reported_in_time:
            assert state is AskState.FAILED, "a report resolves an unknown outcome"
        elif made[to] and case.bounces and (case.answer != "accept" or case.dispatchers > 1):
            # Each process goes through the times by itself: a later one looks up what an earlier one sends.
            assert state in (AskState.FAILED, AskState.EXPIRED), "a lookup may find in time that it failed"
        elif made[to]:
            assert state is AskState.EXPIRED
        elif posts[to]:
            assert state in (AskState.NOT_ASKED, AskState.UNRESOLVED)
        else:  # claimed when the process was killed, so its outcome is unknown
            assert state is AskState.UNRESOLVED
            assert case.failpoint not in ("", "after_decision")


def test_the_selection_of_whatsapp_contains_every_value() -> None:
    chosen = list(_whatsapp_selection())
    assert {case.failpoint for case in chosen} == {"", *FAILPOINTS}
    assert {case.bounces for case in chosen} == {True, False}
    assert {(case.dispatchers, case.store) for case in chosen} == set(product((1, 4), STORES))
    kinds = [MADE - {"accept", "slow"}, {"accept", "slow"}, REFUSED, REFUSED_FOR_NOW]
    assert all(kind & {case.answer for case in chosen} for kind in kinds)


def test_the_selection_of_email_contains_every_value() -> None:
    chosen = list(_mail_selection())
    assert {case.failpoint for case in chosen} == {"", *FAILPOINTS}
    assert {case.behaviour for case in chosen} == set(get_args(Behaviour))
    assert {(case.dispatchers, case.store) for case in chosen} == set(product((1, 4), STORES))
    assert {case.bounces for case in chosen} == {True, False}


def test_the_selection_contains_every_value() -> None:
    chosen = list(_selection())
    assert {case.failpoint for case in chosen} == {"", *FAILPOINTS}
    assert {case.answer for case in chosen} == set(ANSWERS)
    assert {case.when for case in chosen} == set(WHENS)
    assert {(case.dispatchers, case.store) for case in chosen} == set(product((1, 4), STORES))
