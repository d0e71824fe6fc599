"""The dashboard and the order pages: texts, hostile input, and the queries they need."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import event, text

from pipeline.consumers import level_changes
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.principal import LOCAL
from pipeline.domain.asking.ask_states import AskState
from pipeline.domain.asking.eligibility import Reason
from pipeline.domain.asking.policy import Policy
from pipeline.domain.detection.segments import Level
from pipeline.store.db.engine import connect, reading
from pipeline.store.reads.answers import verbatims
from pipeline.store.reads.unresolved import unresolved_questions
from pipeline.store.schema.asks import asks
from pipeline.web.http import assets
from pipeline.web.internal import words
from pipeline.web.internal.dashboard import dashboard
from pipeline.web.internal.layout import order_address
from pipeline.web.internal.orders import pages as order_pages
from tests.support.builders import answered, asked, at, completed, contact, repromised, scanned
from tests.support.inputs.polyglot import POLYGLOT
from tests.support.requests.installation import Clock, client, services
from tests.support.running.embedded import ingest
from tests.support.statistics.alert_rows import raise_alert

Page = Callable[..., str]
ALLOWED_SCRIPT = re.compile(r"^/static/[a-z]+\.js\?v=[0-9a-f]{16}$")


class Checked(HTMLParser):
    """Collects the elements that a strict Content-Security-Policy would block, and all text."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: list[str] = []
        self.text: list[str] = []
        self.ids: list[str] = []
        self._script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._script = tag == "script"
        if tag == "script" and not ALLOWED_SCRIPT.match(given.get("src") or ""):
            self.refused.append(f"script {given}")
        if tag in ("style", "img", "iframe", "object", "base"):
            self.refused.append(tag)
        for name, value in attrs:
            if name.startswith("on") or name in ("style", "srcdoc") or (value or "").lower().startswith("javascript:"):
                self.refused.append(f"{tag} {name}={value}")
            if name in ("href", "src", "action") and not (value or "").startswith(("/", "#")):
                self.refused.append(f"{tag} leads elsewhere: {value}")
            if name == "id":
                self.ids.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self._script and data.strip():
            self.refused.append("a script of its own")


def read(html: str) -> str:
    """The text of a page. Fails if a strict policy would block any part of it."""
    checked = Checked()
    checked.feed(html)
    assert checked.refused == []
    assert len(set(checked.ids)) == len(checked.ids)
    return " ".join(" ".join(checked.text).split())


@pytest.fixture
def browser(runtime: EmbeddedRunner) -> Iterator[TestClient[Litestar]]:
    known = services(runtime, Clock(at()))
    with client(*dashboard.routes(known), *order_pages.routes(known)) as made:
        yield made


@pytest.fixture
def page(browser: TestClient[Litestar]) -> Page:
    def _page(address: str, status: int = 200) -> str:
        found = browser.get(address)
        assert found.status_code == status
        assert found.headers["content-type"].startswith("text/html")
        return read(found.text)

    return _page


def delivered_and_answered(runtime: EmbeddedRunner, number: int, depot: str = "Lyon", **answer: Any) -> None:
    """An order delivered on time by the record, asked about and answered."""
    order_id, when = f"{depot}-{number}", at(days=number * 0.01)
    ingest(
        runtime,
        completed(
            order_id,
            when,
            account={"id": f"A-{order_id}", "name": f"{depot} Works {number}"},
            contacts=[contact(f"c-{order_id}", phone=f"+4477009001{number:02d}")],
            dimensions={"depot": depot, "carrier": "Nordex"},
        ),
        scanned(order_id, when + timedelta(hours=1)),
        answered(order_id, when + timedelta(hours=2), f"c-{order_id}", **answer),
    )


def test_the_headline_gives_the_claim_the_experience_and_the_difference(runtime: EmbeddedRunner, page: Page) -> None:
    for number in range(40):
        delivered_and_answered(
            runtime, number, arrival="on_time" if number % 2 else "late", score={"value": 9 if number % 2 else 2}
        )
    shown = page("/dashboard")
    assert "Operations reports 100.0% of deliveries on time." in shown
    assert "Customers of the same deliveries report 50.0%." in shown
    assert re.search(r"Customers' experience is at least \d+\.\d points worse than reported\.", shown)
    assert "Difference, in points +50.0" in shown
    assert "40 of 40 deliveries" in shown


def test_below_ten_answers_no_point_is_shown(runtime: EmbeddedRunner, page: Page) -> None:
    for number in range(10):
        delivered_and_answered(runtime, number, arrival="late")
    delivered_and_answered(runtime, 11, depot="Metz", arrival="late")
    shown = page("/dashboard")
    assert "Metz" in shown
    assert "not enough answers yet (1 of 10)" in shown
    assert "claimed 100.0%, experienced not enough answers yet (1 of 10)" in shown  # the name of the strip
    assert shown.index("Lyon") < shown.index("Metz")  # segments with a figure come before those without


def test_level_and_time_are_chosen_by_plain_parameters(
    runtime: EmbeddedRunner, page: Page, browser: TestClient[Litestar]
) -> None:
    delivered_and_answered(runtime, 1, arrival="late")
    assert "by depot" in page("/dashboard")  # the finest level
    assert "Nordex" in page("/dashboard?by=carrier")
    assert "From 2 March 2026 · as of" in page("/dashboard?from=2026-03-02&to=")
    assert "so there is nothing to compare yet" in page("/dashboard?to=2026-03-01")
    for wrong, why in (
        ("by=town", "by: unknown level 'town'; the levels are: depot, carrier"),
        ("from=yesterday", "from: 'yesterday' is not a date such as 2026-11-20"),
        ("to=2026-02-30", "to: '2026-02-30' is not a date"),
        ("from=2026-03-02&to=2026-03-01", "from: 2026-03-02 is after 2026-03-01"),
    ):
        refused = browser.get(f"/dashboard?{wrong}")
        assert refused.status_code == 400
        assert why in read(refused.text)


def test_an_empty_installation_explains_what_is_missing(page: Page) -> None:
    shown = page("/dashboard")
    assert "so there is nothing to compare yet" in shown
    assert "No alerts: in no segment do the answers contradict the claims strongly enough." in shown
    assert "Not set yet: no order has both a claim and an answer." in shown
    assert "No comments yet." in shown
    assert "No order was completed in this period." in shown
    assert "no segment stands out" in shown


def test_the_funnel_gives_every_loss_its_reason(runtime: EmbeddedRunner, page: Page) -> None:
    ingest(runtime, completed("SO-1", contacts=[]), scanned("SO-1", at(hours=1)))
    ingest(runtime, completed("SO-2", contacts=[contact(consent=None)]), scanned("SO-2", at(hours=1)))
    ingest(runtime, completed("SO-3"), scanned("SO-3", at(hours=1)))
    shown = page("/dashboard")
    for step in ("Completed 3", "no reachable contact 1 33.3%", "no consent 1 33.3%", "Asked 1", "no answer 1"):
        assert step in shown
    assert "no consent to be asked is on record" in shown
    assert "too few to set a tolerance, so no alert can open yet" not in shown  # no pair so far


def test_comments_are_newest_first_each_with_its_claim(runtime: EmbeddedRunner, page: Page) -> None:
    delivered_and_answered(runtime, 1, arrival="on_time", comment="All well")
    delivered_and_answered(runtime, 2, arrival="late", score={"value": 3}, comment="Two hours too late")
    delivered_and_answered(runtime, 3, arrival="on_time")
    shown = page("/dashboard")
    assert shown.index("Two hours too late") < shown.index("All well")
    assert "3 of 10, unhappy Experienced: arrived late. Claimed: on time, in full." in shown
    assert "too few to set a tolerance, so no alert can open yet" in shown


def test_open_alerts_are_described_with_their_supporting_orders(runtime: EmbeddedRunner, page: Page) -> None:
    with runtime.engine.begin() as connection:
        raise_alert(connection, "on_time/depot/Lyon/1")
        raise_alert(connection, "on_time/depot/Metz/1", value="Metz", state="resolved", resolved_at=at(days=25))
    delivered_and_answered(runtime, 1, arrival="late")
    shown = page("/dashboard")
    assert "Critical: depot Lyon, on time" in shown
    assert "come from 10 accounts" not in shown
    assert "come from 12 accounts" in shown
    assert "Resolved (1)" in shown
    assert 'href="/orders/SO-1"' in dashboard_html(runtime)
    assert "alert" in shown[shown.index("Lyon") :][:20]  # flagged in the table, too


def test_unresolved_questions_are_listed_with_their_orders_and_an_action(
    runtime: EmbeddedRunner, browser: TestClient[Litestar], page: Page
) -> None:
    for n in range(12):
        person, account = [contact(phone=f"+4477009002{n:02}")], {"id": f"A-{n}"}
        ingest(
            runtime,
            completed(f"SO-{n}", at(hours=n), contacts=person, account=account),
            scanned(f"SO-{n}", at(hours=n)),
        )
    assert "unresolved" not in page("/dashboard")

    def _set(order_ids: list[str], state: str, sending_at: datetime) -> None:
        with runtime.engine.begin() as connection:
            connection.execute(
                asks.update().where(asks.c.order_id.in_(order_ids)).values(state=state, sending_at=sending_at)
            )

    _set(["SO-1"], "unresolved", at(hours=1))
    shown = page("/dashboard")
    assert "1 question is unresolved It is unknown whether it was sent" in shown
    assert "Search the provider’s log for the customer’s number" in shown
    assert "Last 7 days, newest first: SO-1" in shown
    assert '<a href="/orders/SO-1">' in browser.get("/dashboard").text
    _set([f"SO-{n}" for n in range(12)], "unresolved", at(hours=1))
    assert "12 questions are unresolved" in page("/dashboard")
    assert "newest first, 10 of 12 orders: SO-0 SO-1 SO-10" in page("/dashboard")
    _set([f"SO-{n}" for n in range(12)], "unresolved", at(days=-8))
    assert "unresolved" not in page("/dashboard"), "they have been resolved by hand"
    _set(["SO-1"], "answered", at(hours=1))  # so the message arrived
    assert "unresolved" not in page("/dashboard")


def dashboard_html(runtime: EmbeddedRunner) -> str:
    with client(*dashboard.routes(services(runtime, Clock(at())))) as made:
        return made.get("/dashboard").text


def story(runtime: EmbeddedRunner, order_id: str = "SO-1") -> None:
    """An order with moved promises, scans, a correction by operations, refusals, and an amended answer."""
    people = [contact("ana"), contact("bo", role="gatekeeper", phone="+447700900124")]
    ingest(
        runtime,
        completed(order_id, at(), contacts=people, promised_at=at(hours=3)),
        repromised(order_id, at(hours=4), at(hours=9), reason="truck broke down", by="desk-3"),
        scanned(order_id, at(hours=5), "out_for_delivery", note="gate code 17"),
        scanned(order_id, at(hours=6)),
        answered(order_id, at(hours=7), "ana", arrival="late", score={"value": 2}, comment="We waited all day"),
        answered(order_id, at(hours=8), "ana", arrival="late", score={"value": 4}, condition=["damaged"]),
        completed(
            order_id,
            at(hours=10),
            event_id="again",
            contacts=people,
            promised_at=at(hours=9),
            lines=[{"sku": "GLV-9", "ordered": 10, "delivered": 8}],
        ),
    )


def test_the_timeline_of_an_order_is_in_order_of_time(runtime: EmbeddedRunner, page: Page) -> None:
    story(runtime)
    shown = page("/orders/SO-1")
    timeline_text = shown[shown.index("Timeline") :]
    positions = [
        timeline_text.index(words)
        for words in (
            "Promised by 2 March 2026, 12:00",
            "Reported as completed",
            "contacts: ana (receiver), bo (gatekeeper)",
            "First promise missed",
            "Promise moved to 2 March 2026, 18:00",
            "reason: truck broke down",
            "Scan: out for delivery",
            "note: gate code 17",
            "Scan: delivered",
            "Claim: on time by the latest promise, late by the first, in full",
            "Asked ana (receiver) by SMS",
            "Not asked: bo (gatekeeper)",
            "ana (receiver) answers by SMS: arrived late; 2 of 10, unhappy",
            "We waited all day",
            "amended later by the same person; both answers are kept",
            "Claim and answer compared: embellished",
            "ana (receiver) answers by SMS: arrived late; damaged; 4 of 10, unhappy",
            "Reported again (revision 2)",
            "GLV-9: 8 of 10 delivered",
            "Claim changed (revision 2)",
        )
    ]
    assert positions == sorted(positions)
    assert "because people in this role are not asked" in shown
    assert "Embellished: claimed as delivered on time and in full and well, but the customer says otherwise." in shown
    assert "Frozen at that moment" in shown
    assert "The record now says: on time by the latest promise, late by the first, not in full." in shown


def test_the_timeline_marks_what_a_wrong_clock_dated(runtime: EmbeddedRunner, page: Page) -> None:
    ingest(runtime, completed(first_promised_at=at(hours=2), promised_at=at(hours=3)), received_at=at(hours=1))
    ingest(runtime, repromised("SO-1", at(days=-9), at(days=2)), received_at=at(hours=5))
    ingest(runtime, scanned(time=at(hours=6), at=at(days=9)), received_at=at(hours=6))
    shown = page("/orders/SO-1")
    assert "dated 11 March 2026, 09:00 by the source, ahead of its receipt, which counts instead" in shown
    assert "Claim: on time by the latest promise, late by the first" in shown
    assert "first promised for 2 March 2026, 11:00" in shown
    assert "received later, 2 March 2026, 14:00" in shown
    assert "previous promise: 2 March 2026, 12:00, already missed" in shown


def test_an_amendment_withdraws_what_it_contradicts_on_page_and_form_alike(runtime: EmbeddedRunner, page: Page) -> None:
    """Goods that were not received have no condition, so "complete" must not stay in the comparison."""
    ingest(
        runtime,
        completed("SO-1", at()),
        scanned("SO-1", at(hours=1)),
        answered("SO-1", at(hours=2), arrival="on_time", complete=True, score={"value": 9}, comment="Thanks"),
    )
    assert "arrived on time; everything was there; 9 of 10, happy" in page("/orders/SO-1")
    ingest(runtime, answered("SO-1", at(hours=3), event_id="amended", arrival="not_received"))
    shown = page("/orders/SO-1")
    comparison = shown[: shown.index("Timeline")]
    assert "Embellished: claimed as delivered on time, but the customer says otherwise." in comparison
    assert "never arrived; 9 of 10, happy Thanks" in comparison
    assert "everything was there" not in comparison


def test_an_amendment_keeps_what_it_does_not_mention(runtime: EmbeddedRunner, page: Page) -> None:
    ingest(
        runtime,
        completed("SO-1", at()),
        scanned("SO-1", at(hours=1)),
        answered("SO-1", at(hours=2), arrival="late", condition=["damaged"]),
        answered("SO-1", at(hours=3), event_id="amended", score={"value": 3}),
    )
    shown = page("/orders/SO-1")
    assert ": arrived late; damaged; 3 of 10, unhappy" in shown[: shown.index("Timeline")]


def test_an_order_page_lists_exactly_the_alerts_the_order_supports(runtime: EmbeddedRunner, page: Page) -> None:
    story(runtime)
    early, late = {"since": "2026-03-01"}, {"since": "2026-04-01"}
    with runtime.engine.begin() as connection:
        raise_alert(connection, "on_time/depot/Lyon/1", proof=early)
        raise_alert(
            connection, "on_time/carrier/Nordex/1", dimension="carrier", value="Nordex", proof=late | {"orders": []}
        )
        raise_alert(connection, "on_time/depot/Metz/1", value="Metz", proof=early)
    shown = page("/orders/SO-1")
    assert "Critical: depot Lyon, on time Evidence" in shown
    assert "carrier Nordex, on time" not in shown
    assert "depot Metz" not in shown


@pytest.mark.parametrize(
    "order_id", ["SO-1", "2026/11/SO 1", "..", "50%25 off", "a?b#c&d=e", "Bestellung-ß-注文", "/x/", POLYGLOT]
)
def test_every_order_is_found_under_its_own_address(runtime: EmbeddedRunner, page: Page, order_id: str) -> None:
    ingest(runtime, completed(order_id, account={"id": "A-1", "name": "Right Place"}), scanned(order_id, at(hours=1)))
    assert "Right Place" in page(order_address(order_id))


def test_unknown_orders_are_not_found_and_the_list_needs_no_id(page: Callable[..., str]) -> None:
    for address in ("/orders/nobody", "/orders?q=nobody", "/orders/a/b"):
        assert "found. The search finds orders by a part of their id, too." in page(address, status=404)
    assert "No orders yet" in page("/orders")
    assert "No orders yet" in page("/orders?q=+")


def test_an_answer_without_its_order_has_a_page_already(runtime: EmbeddedRunner, page: Page) -> None:
    ingest(runtime, answered("SO-9", at(), comment="Where is it?", arrival="not_received"))
    shown = page("/orders/SO-9")
    assert "Where is it?" in shown
    assert "no question was sent, so there is no frozen claim to compare the answer with" in shown


def test_hostile_text_is_escaped_in_every_field(runtime: EmbeddedRunner, browser: TestClient[Litestar]) -> None:
    bad = POLYGLOT
    ingest(
        runtime,
        completed(
            bad,
            at(),
            account={"id": bad, "name": bad, "tier": bad[:100]},
            contacts=[contact(bad)],
            dimensions={"depot": bad, "carrier": bad, bad[:100]: bad},
            lines=[{"sku": bad[:100], "ordered": 1, "delivered": 1}],
            _={"source": bad},
        ),
        repromised(bad, at(hours=1), at(hours=9), reason=bad, by=bad),
        scanned(bad, at(hours=2), note=bad, shipment_id=bad),
        asked(bad, at(hours=3), bad, channel=bad[:100]),
        answered(bad, at(hours=4), bad, arrival="late", comment=bad, channel=bad[:100]),
    )
    with runtime.engine.begin() as connection:
        raise_alert(connection, bad, value=bad, signal="on_time", proof={"orders": [bad]})
    for address in (
        "/dashboard",
        "/dashboard?by=carrier",
        order_address(bad),
        f"/orders/{'x' * 300}",
        "/dashboard?by=%3Cscript%3E",
    ):
        html = browser.get(address).text
        shown = read(html)
        assert "<img" not in html
        assert "49" not in re.findall(r"\b49\b", shown.replace("{{7*7}}", ""))
    assert "{{7*7}}" in read(browser.get(order_address(bad)).text)


def test_pages_keep_to_the_policy_they_are_served_with(browser: TestClient[Litestar]) -> None:
    policy = browser.get("/dashboard").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_style_and_script_have_addresses_that_follow_their_content(browser: TestClient[Litestar]) -> None:
    for name, kind in (("pages.css", "text/css"), ("pages.js", "javascript"), ("icon.svg", "image/svg+xml")):
        found = browser.get(assets.asset(name))
        assert found.status_code == 200
        assert kind in found.headers["content-type"]
    assert browser.get("/static/../dashboard.py").status_code == 404
    assert assets.asset("pages.css") != assets.asset("pages.js").replace("js", "css")


def test_no_page_scans_the_orders(runtime: EmbeddedRunner, browser: TestClient[Litestar]) -> None:
    story(runtime)
    asked_of_orders: list[str] = []

    def _note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if re.search(r"FROM (orders|answers|journal|asks|claims)\b", statement):
            asked_of_orders.append(" ".join(statement.split()))

    event.listen(runtime.engine, "before_cursor_execute", _note)
    browser.get("/dashboard")
    browser.get("/orders/SO-1")
    assert asked_of_orders
    for statement in asked_of_orders:
        assert re.search(
            r"WHERE \w+\.(order_id|id) (=|IN)|(comment IS NOT NULL|state = 'unresolved') .*ORDER BY .* LIMIT", statement
        ), statement


def test_comments_and_unresolved_questions_are_read_through_an_index(sqlite_database_url: str) -> None:
    engine = connect(sqlite_database_url)
    plans: list[str] = []

    def _explain(connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith(("SELECT answers", "SELECT asks")):
            rows = connection.connection.execute("EXPLAIN QUERY PLAN " + statement, parameters)
            plans.append(" ".join(str(row[3]) for row in rows))

    event.listen(engine, "before_cursor_execute", _explain)
    with reading(engine) as connection:
        assert verbatims(connection, LOCAL, 5) == []
        assert unresolved_questions(connection, LOCAL, at(), 5) == (0, 0, ())
        connection.execute(text("SELECT 1"))
    engine.dispose()
    assert plans[0] == "SCAN answers USING INDEX answers_with_words"  # in the order of the index, without sorting
    assert "SEARCH asks USING INDEX asks_unresolved (sending_at>?)" in plans[1]


def test_a_page_is_rendered_again_only_when_something_happened(
    runtime: EmbeddedRunner, browser: TestClient[Litestar]
) -> None:
    delivered_and_answered(runtime, 1, arrival="on_time", comment="First")
    statements: list[str] = []
    browser.get("/dashboard")
    event.listen(
        runtime.engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, *_: statements.append(statement),
    )
    assert "First" in browser.get("/dashboard").text
    assert not any("rollups" in statement for statement in statements)
    delivered_and_answered(runtime, 2, arrival="on_time", comment="Second")
    assert "Second" in browser.get("/dashboard").text


def test_every_reason_and_every_state_has_its_own_text() -> None:
    for reason in Reason:
        assert words.why_not(reason) != words.plain_word(reason)
    assert set(AskState) <= set(words.STATES)


def test_a_capped_account_is_explained(start: Callable[..., EmbeddedRunner]) -> None:
    runtime = start(policy=Policy(account_cap=1))
    people = [contact("ana"), contact("bo", phone="+447700900124")]
    ingest(runtime, completed(contacts=people), scanned(time=at(hours=1)))
    with client(*order_pages.routes(services(runtime, Clock(at())))) as made:
        assert "because this customer has been asked as often as the limit allows" in read(
            made.get("/orders/SO-1").text
        )


def test_levels_that_change_while_the_process_runs_are_offered_and_one_that_is_too_large_is_named(
    runtime: EmbeddedRunner, page: Page
) -> None:
    for n in range(3):
        ingest(runtime, completed(f"SO-{n}", at(), dimensions={"depot": "Lyon", "product": f"P-{n}"}))
    assert "the levels are: depot, carrier" in page("/dashboard?by=product", 400)
    level_changes.add(runtime.store, runtime.setup, Level("product", 2), at(), lambda _done, _total: None)
    text = page("/dashboard?by=product")
    assert "by product" in text
    assert "The level product is configured for 2 segments and has 3." in text
    assert "may reach 0.5 a year for each signal instead of 0.33." in text
    assert "unvarnished levels add product:3" in text
    level_changes.add(runtime.store, runtime.setup, Level("product", 3), at(), lambda _done, _total: None)
    assert "configured for" not in page("/dashboard?by=product")
