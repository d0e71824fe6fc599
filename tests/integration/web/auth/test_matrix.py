"""Role x scope x route: who may do what on both listeners, and that nothing of another scope is visible anywhere.

The matrix is made from the routes themselves. `LINES` has one line for every method of every route; a new route without
a line turns the first test red.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from litestar import Litestar, get
from litestar.testing import TestClient
from sqlalchemy import Connection

from pipeline.consumers.corrections import Wish, propose
from pipeline.consumers.runtime.embedded import EmbeddedRunner
from pipeline.domain.access.permissions import ROLES, Permission, Role, ScopeKind
from pipeline.domain.access.principal import LOCAL, user_principal
from pipeline.domain.access.scopes import parse_scope
from pipeline.domain.asking.channels import SMS
from pipeline.domain.cases.case import case_id_of
from pipeline.domain.detection.segments import parse_levels
from pipeline.domain.events.contract import Reading
from pipeline.domain.events.decoding import decode
from pipeline.notifiers.channels.twilio.webhooks import TwilioWebhooks
from pipeline.store.asks.inbox import item_id_of
from pipeline.store.journal.spool import Spool
from pipeline.store.reads import alerts, answers, baselines, inbox, order_record, reports, unresolved, version
from pipeline.store.reads.accounts import sums as account_sums
from pipeline.store.reads.listing import order_list, search, verbatims, words
from pipeline.store.schema.asks import asks
from pipeline.web.auth.access import Protection, check_routes, routes_of
from pipeline.web.http.server import internal_app, public_app
from pipeline.web.internal.demo_phone import phone
from pipeline.web.public import provider_webhooks
from pipeline.web.public.provider_webhooks import ProviderWebhooks
from tests.support.builders import answered, at, completed, contact, scanned
from tests.support.inputs.polyglot import POLYGLOT
from tests.support.requests.installation import PUBLIC_URL, Clock, services
from tests.support.requests.twilio_calls import ACCOUNT, KEY
from tests.support.requests.users import HTML, START_TOKEN, add_user, listener, token_of
from tests.support.running.embedded import VAULT, ingest
from tests.support.statistics.alert_rows import raise_alert

LEVEL_TEXT = "depot:20,region:10,carrier:10,region+carrier:20"
BEARER = {"authorization": f"Bearer {START_TOKEN}"}


class Line(NamedTuple):
    """What a route needs, and addresses of it that a reader can open. `{own}` and `{other}` are ids of orders,
    `{own_item}` and `{other_item}` of replies in the inbox, `{own_case}` and `{other_case}` of cases.
    """

    access: Permission | Protection
    addresses: tuple[str, ...] = ()
    fields: Mapping[str, str] = {}


PUBLIC = {
    ("POST", "/v1/events"): Line(Protection.API_KEY),
    ("GET", "/"): Line(Protection.OPEN),
    ("GET", "/f"): Line(Protection.OPEN),
    ("GET", "/f/{token:str}"): Line(Protection.LINK),
    ("POST", "/f/{token:str}"): Line(Protection.LINK),
    ("POST", "/twilio/sms"): Line(Protection.SIGNATURE),
    ("POST", "/twilio/status"): Line(Protection.SIGNATURE),
    ("GET", "/s/{token:str}"): Line(Protection.LINK),
    ("GET", "/u/{token:str}"): Line(Protection.LINK),
    ("POST", "/u/{token:str}"): Line(Protection.LINK),
    ("GET", "/static/{file_path:path}"): Line(Protection.OPEN),
    ("GET", "/openapi.json"): Line(Protection.OPEN),
    ("GET", "/openapi.json/openapi.json"): Line(Protection.OPEN),
    ("GET", "/openapi.json/{path:str}"): Line(Protection.OPEN),
}
REPORTS = (
    "/v1/report",
    "/v1/report?by=depot",
    "/v1/report?by=region&from=2026-03-01",
    "/v1/report?by=region%2Bcarrier",
)
DASHBOARDS = (
    "/dashboard",
    "/dashboard?by=depot",
    "/dashboard?by=region",
    "/dashboard?by=region%2Bcarrier&to=2026-12-31",
)
FILTERS = (
    "segment=carrier%3ANordex",
    "segment=depot%3AHiddenville&segment=depot%3ALyon",
    "account=A-SECRET&to=2026-12-31",
    "verdict=embellished",
    "code=late&from=2026-01-01",
    "counted=completed",
    "words=11",
)
ORDER_LISTS = tuple(f"/orders?{query}" for query in FILTERS if "SECRET" not in query and "Hidden" not in query)
API_LISTS = tuple(f"/v1/orders?{query}" for query in FILTERS)
SEARCHES = ("/search?q=so-o", "/search?q=a-", "/search?q=l", "/search?q=nord", "/search?q=other")
SEGMENTS = ("/segments", "/segments?by=region&show=all", "/segments?by=region%2Bcarrier&sort=gap&find=n")
ACCOUNTS = ("/accounts", "/accounts?period=all", "/accounts?period=all&sort=orders", "/accounts?period=all&find=a-")
VERBATIMS = ("/verbatims", "/verbatims?words=11", "/verbatims?code=late&score=unhappy&from=2026-01-01")
SEGMENT = tuple(
    f"/segment?segment={name}"
    for name in ("region:ARA", "depot:Lyon", "carrier:Nordex", "region%2Bcarrier:ARA%2BNordex")
)
INTERNAL = {
    ("GET", "/livez"): Line(Protection.OPEN),
    ("GET", "/readyz"): Line(Protection.OPEN),
    ("GET", "/static/{file_path:path}"): Line(Protection.OPEN),
    ("GET", "/sign-in"): Line(Protection.SIGN_IN),
    ("POST", "/sign-in"): Line(Protection.SIGN_IN),
    ("GET", "/sign-in/start"): Line(Protection.SIGN_IN),
    ("GET", "/sign-in/provider"): Line(Protection.SIGN_IN),
    ("GET", "/sign-in/provider/return"): Line(Protection.SIGN_IN),
    ("GET", "/invitation"): Line(Protection.SIGN_IN),
    ("GET", "/welcome"): Line(Protection.SIGN_IN),
    ("POST", "/welcome"): Line(Protection.SIGN_IN),
    ("GET", "/metrics"): Line(Permission.METRICS, ("/metrics",)),
    ("GET", "/openapi.json"): Line(Permission.OWN_ACCOUNT, ("/openapi.json",)),
    ("GET", "/openapi.json/openapi.json"): Line(Permission.OWN_ACCOUNT, ("/openapi.json/openapi.json",)),
    ("GET", "/openapi.json/{path:str}"): Line(Permission.OWN_ACCOUNT, ("/openapi.json/other",)),
    ("GET", "/"): Line(Permission.FIGURES, ("/",)),
    ("GET", "/dashboard"): Line(Permission.FIGURES, DASHBOARDS),
    ("GET", "/segments"): Line(Permission.FIGURES, SEGMENTS),
    ("GET", "/segment"): Line(Permission.FIGURES, SEGMENT),
    ("GET", "/verbatims"): Line(Permission.WORDS, VERBATIMS),
    ("GET", "/v1/verbatims"): Line(Permission.WORDS, tuple(f"/v1{address}" for address in VERBATIMS)),
    ("GET", "/export/verbatims"): Line(Permission.WORDS, ("/export/verbatims", "/export/verbatims?code=late")),
    ("GET", "/accounts"): Line(Permission.FIGURES, ACCOUNTS),
    ("GET", "/accounts/one"): Line(
        Permission.FIGURES, ("/accounts/one?account=A-1", "/accounts/one?account=A-1&period=2026-03")
    ),
    ("GET", "/accounts/scorecard"): Line(
        Permission.FIGURES, ("/accounts/scorecard?account=A-1", "/accounts/scorecard?account=A-1&period=all")
    ),
    ("POST", "/accounts/scorecard/links"): Line(Permission.SHARE, fields={"account": "A-1"}),
    ("POST", "/accounts/scorecard/revoke"): Line(Permission.SHARE, fields={"account": "A-1", "key": "none"}),
    ("POST", "/accounts/talks"): Line(Permission.SETTLE, fields={"account": "A-1", "day": "2026-03-20"}),
    ("POST", "/accounts/talks/off"): Line(Permission.SETTLE, fields={"account": "A-1", "day": "2026-03-20"}),
    ("GET", "/v1/accounts"): Line(
        Permission.FIGURES, ("/v1/accounts", "/v1/accounts?account=A-SECRET&period=all", "/v1/accounts?period=all")
    ),
    ("GET", "/export/accounts"): Line(Permission.FIGURES, ("/export/accounts", "/export/accounts?period=all")),
    ("GET", "/report"): Line(
        Permission.FIGURES,
        ("/report?of=2026-03-04", "/report?unit=month&of=2026-03-04", "/report?of=2026-03-04&by=region%2Bcarrier"),
    ),
    ("GET", "/orders"): Line(Permission.ORDERS, ("/orders", "/orders?q={own}", "/orders?q={other}", *ORDER_LISTS)),
    ("GET", "/search"): Line(Permission.FIGURES, SEARCHES),
    ("GET", "/export/orders"): Line(Permission.ORDERS, tuple(f"/export/orders?{query}" for query in FILTERS)),
    ("GET", "/export/segments"): Line(Permission.FIGURES, ("/export/segments", "/export/segments?by=region")),
    ("GET", "/export/alerts"): Line(Permission.FIGURES, ("/export/alerts",)),
    ("GET", "/export/incidents"): Line(Permission.FIGURES, ("/export/incidents",)),
    ("GET", "/export/cases"): Line(Permission.CASES, ("/export/cases",)),
    ("GET", "/export/inbox"): Line(Permission.WORDS, ("/export/inbox",)),
    ("GET", "/export/users"): Line(Permission.USERS),
    ("GET", "/export/acts"): Line(Permission.ACTS, ("/export/acts",)),
    ("GET", "/settings"): Line(Permission.OWN_ACCOUNT, ("/settings",)),
    ("GET", "/orders/{order_id:path}"): Line(Permission.ORDERS, ("/orders/{own}", "/orders/{other}")),
    ("GET", "/v1/report"): Line(Permission.FIGURES, REPORTS),
    ("GET", "/v1/alerts"): Line(Permission.FIGURES, ("/v1/alerts",)),
    ("GET", "/v1/segments"): Line(Permission.FIGURES, ("/v1/segments",)),
    ("GET", "/v1/orders"): Line(
        Permission.ORDERS, ("/v1/orders", "/v1/orders?id={own}", "/v1/orders?id={other}", *API_LISTS)
    ),
    ("GET", "/v1/orders/{order_id:path}"): Line(Permission.ORDERS, ("/v1/orders/{own}", "/v1/orders/{other}")),
    ("GET", "/v1/version"): Line(Permission.FIGURES, ("/v1/version",)),
    ("GET", "/incidents"): Line(Permission.FIGURES, ("/incidents",)),
    ("GET", "/incidents/{incident_id:str}"): Line(Permission.FIGURES, ("/incidents/INC-1", "/incidents/INC-2")),
    ("POST", "/incidents/{incident_id:str}/{act:str}"): Line(Permission.INCIDENTS),
    ("GET", "/alerts"): Line(Permission.FIGURES, ("/alerts",)),
    ("GET", "/v1/incidents"): Line(Permission.FIGURES, ("/v1/incidents",)),
    ("GET", "/v1/incidents/{incident_id:str}"): Line(
        Permission.FIGURES, ("/v1/incidents/INC-1", "/v1/incidents/INC-2")
    ),
    ("POST", "/v1/incidents/{incident_id:str}/{act:str}"): Line(Permission.INCIDENTS),
    ("GET", "/cases"): Line(Permission.CASES, ("/cases", "/cases?owner=ben")),
    ("GET", "/cases/{case_id:str}"): Line(Permission.CASES, ("/cases/{own_case}", "/cases/{other_case}")),
    ("POST", "/cases/{case_id:str}/{act:str}"): Line(Permission.SETTLE),
    ("GET", "/v1/cases"): Line(Permission.CASES, ("/v1/cases", "/v1/cases?closed=true")),
    ("GET", "/v1/cases/{case_id:str}"): Line(Permission.CASES, ("/v1/cases/{own_case}", "/v1/cases/{other_case}")),
    ("POST", "/v1/cases/{case_id:str}/{act:str}"): Line(Permission.SETTLE),
    ("POST", "/inbox/{item_id:str}/case"): Line(Permission.SETTLE, fields={"request": "call"}),
    ("POST", "/v1/inbox/{item_id:str}/case"): Line(Permission.SETTLE),
    ("POST", "/inbox/{item_id:str}/response"): Line(Permission.SETTLE, fields={"response": "will_call"}),
    ("POST", "/v1/inbox/{item_id:str}/response"): Line(Permission.SETTLE),
    ("POST", "/v1/cases/{case_id:str}/response"): Line(Permission.SETTLE),
    ("GET", "/v1/qr/{order_id:path}"): Line(Permission.ORDERS, ("/v1/qr/{own}", "/v1/qr/{other}")),
    ("GET", "/v1/corrections"): Line(Permission.CORRECT, ("/v1/corrections",)),
    ("POST", "/v1/corrections"): Line(Permission.CORRECT),
    ("POST", "/v1/corrections/{correction_id:str}/confirm"): Line(Permission.CORRECT),
    ("GET", "/inbox"): Line(Permission.WORDS, ("/inbox",)),
    ("GET", "/inbox/{item_id:str}"): Line(Permission.WORDS, ("/inbox/{own_item}", "/inbox/{other_item}")),
    ("POST", "/inbox/{item_id:str}"): Line(Permission.CORRECT, fields={"decision": "confirm"}),
    ("POST", "/corrections/{correction_id:str}/confirm"): Line(Permission.CORRECT),
    ("GET", "/v1/inbox"): Line(Permission.WORDS, ("/v1/inbox",)),
    ("GET", "/v1/inbox/{item_id:str}"): Line(Permission.WORDS, ("/v1/inbox/{own_item}", "/v1/inbox/{other_item}")),
    ("POST", "/v1/inbox/{item_id:str}"): Line(Permission.CORRECT),
    ("GET", "/account"): Line(Permission.OWN_ACCOUNT, ("/account",)),
    ("POST", "/account/password"): Line(Permission.OWN_ACCOUNT),
    ("POST", "/account/second-factor"): Line(Permission.OWN_ACCOUNT),
    ("POST", "/sign-out"): Line(Permission.OWN_ACCOUNT),
    ("GET", "/users"): Line(Permission.USERS, ("/users",)),
    ("POST", "/users"): Line(Permission.USERS),
    ("POST", "/users/change"): Line(Permission.USERS, fields={"do": "disable", "name": "nobody"}),
    ("GET", "/persons"): Line(Permission.ERASE, ("/persons",)),
    ("POST", "/persons"): Line(Permission.ERASE, fields={"who": "+447700900123"}),
    ("POST", "/persons/export"): Line(Permission.ADDRESSES, fields={"account": "A-9", "contact": "nobody"}),
    ("POST", "/persons/erase"): Line(Permission.ERASE, fields={"account": "A-9", "contact": "nobody"}),
    ("POST", "/persons/confirm"): Line(Permission.ERASE, fields={"id": "nothing"}),
    ("GET", "/acts"): Line(Permission.ACTS, ("/acts", "/acts?who=nobody")),
    ("GET", "/phone"): Line(Permission.DEMO_PHONES, ("/phone",)),
    ("GET", "/phone/screens"): Line(Permission.DEMO_PHONES, ("/phone/screens",)),
    ("POST", "/phone/reply"): Line(Permission.DEMO_PHONES),
}
# Every role with scopes of each form: name -> role and entries.
PEOPLE: dict[str, tuple[Role, tuple[str, ...]]] = {
    "mia": (Role.MANAGEMENT, ()),
    "otto": (Role.OPERATIONS, ()),
    "rolf": (Role.OPERATIONS, ("region=ARA",)),
    "dora": (Role.OPERATIONS, ("depot=Lyon", "region=ARA")),
    "nick": (Role.OPERATIONS, ("depot=Nowhere",)),
    "ann": (Role.ACCOUNT_MANAGER, ("account=A-1",)),
    "audit": (Role.AUDITOR, ()),
    "ada": (Role.ADMIN, ()),
}
SCOPED = [name for name, (_, entries) in PEOPLE.items() if entries]


@pytest.fixture
def runtime(start: Callable[..., EmbeddedRunner]) -> EmbeddedRunner:
    return start(levels=LEVEL_TEXT)


def known(runtime: EmbeddedRunner) -> Any:
    provider = {"oidc_issuer": "http://127.0.0.1:1", "oidc_client_id": "x", "oidc_roles": {"boss": "management"}}
    made = services(runtime, Clock(at(days=60)), **provider)
    return replace(made, setup=replace(made.setup, first_levels=parse_levels(LEVEL_TEXT)))


def internal(runtime: EmbeddedRunner) -> Litestar:
    return internal_app(known(runtime), START_TOKEN, tuple, phone.routes)


def public(runtime: EmbeddedRunner, folder: Path) -> Litestar:
    spool = Spool(folder / "spool", VAULT, 1 << 20)
    provider = ProviderWebhooks(SMS, TwilioWebhooks(ACCOUNT, (KEY,), PUBLIC_URL))
    return public_app(known(runtime), lambda given: provider_webhooks.routes(given, provider, spool))


@pytest.fixture
def client(runtime: EmbeddedRunner) -> Iterator[TestClient[Any]]:
    with listener(internal(runtime)) as made:
        yield made


@pytest.fixture
def headers(runtime: EmbeddedRunner) -> dict[str, dict[str, str]]:
    """A token of each of `PEOPLE`."""
    for name, (role, entries) in PEOPLE.items():
        add_user(runtime.engine, name, role, *entries)
    return {name: token_of(runtime.engine, name) for name in PEOPLE}


def add_orders(
    runtime: EmbeddedRunner, prefix: str, account: str, where: dict[str, str], words: str, numbers: range
) -> None:
    """Answered orders of one account at one place, with comments; every other customer contradicts the claim."""
    for number in numbers:
        order_id, when, who = f"{prefix}{number}", at(hours=number / 4), f"{account}-{number % 3}"
        people = [contact(who, phone=f"+4477009001{number % 3:02d}", name=f"{words} {number % 3}")]
        said: dict[str, Any] = {"arrival": "late" if number % 2 else "on_time", "score": {"value": number % 11}}
        ingest(
            runtime,
            completed(order_id, when, account={"id": account}, contacts=people, dimensions=where),
            scanned(order_id, at(hours=number / 4), note=f"{words} note"),
            answered(order_id, at(hours=number / 4), who, comment=f"{words} {number}", **said),
        )


def unread(order_id: str, words: str = "") -> bytes:
    """An answer that a person has to read."""
    return answered(order_id, at(hours=4), "somebody", comment=words, channel="form")


def filled(address: str, other: str) -> str:
    """An address with our order and another one, and the items of `unread` answers to them."""
    items = [item_id_of(found.source, found.id) for found in (decode(unread("SO-own-1")), decode(unread(other)))]
    cases = case_id_of("SO-own-1", "A-1-1"), case_id_of(other, _complaining(other))
    of_cases = {"own_case": cases[0], "other_case": cases[1]}
    return address.format(own="SO-own-1", other=other, own_item=items[0], other_item=items[1], **of_cases)


def _complaining(order_id: str) -> str:
    """The contact whose case an address of an order means."""
    return "A-1-1" if order_id.startswith("SO-own") else "A-SECRET-1"


def add_own(runtime: EmbeddedRunner) -> None:
    add_orders(runtime, "SO-own-", "A-1", {"region": "ARA", "depot": "Lyon", "carrier": "Nordex"}, "ours", range(12))
    ingest(runtime, unread("SO-own-1", "ours to be read"))
    with runtime.engine.begin() as connection:
        raise_alert(connection, "on_time/region/ARA/1", dimension="region", value="ARA", proof={"orders": ["SO-own-1"]})


def add_other(runtime: EmbeddedRunner) -> None:
    """Everything that nobody in `SCOPED` may notice, in every place where something is shown."""
    where = {"region": "SECRETIA", "depot": "Hiddenville", "carrier": "Nordex"}
    add_orders(runtime, "SO-other-", "A-SECRET", where, "theirs", range(14))
    ingest(runtime, unread("SO-other-1", "theirs to be read"))
    with runtime.engine.begin() as connection:
        for dimension, value in (
            ("region", "SECRETIA"),
            ("depot", "Hiddenville"),
            ("carrier", "Nordex"),
            ("region+carrier", "SECRETIA+Nordex"),
            ("region+carrier", "SECRETIA+ARA"),
            ("", ""),
        ):
            proof = {"orders": ["SO-other-1"]}
            raise_alert(connection, f"{dimension}/{value}", dimension=dimension, value=value, proof=proof)
        ours = asks.c.order_id.like("SO-other-%")
        connection.execute(asks.update().where(ours).values(state="unresolved", sending_at=at(hours=6)))
        wish = Wish("SO-other-1", "A-SECRET-1", Reading(arrival="on_time"))
        propose(connection, runtime.store, LOCAL, wish, "", at(days=3))


READS = (account_sums, alerts, answers, baselines, inbox, order_record, reports, unresolved, version)
SECRETS = ("SO-other-", "SECRETIA", "Hiddenville", "A-SECRET", "theirs")


# The routes


def test_every_route_is_in_the_matrix_with_what_it_needs(runtime: EmbeddedRunner, tmp_path: Path) -> None:
    for app, lines in ((internal(runtime), INTERNAL), (public(runtime, tmp_path), PUBLIC)):
        found = {(route.method, route.path): route.access for route in routes_of(app)}
        found = {key: access for key, access in found.items() if key[0] != "HEAD"}
        assert found == {key: line.access for key, line in lines.items()}


def test_a_route_that_names_no_permission_does_not_start(runtime: EmbeddedRunner) -> None:
    @get("/forgotten", sync_to_thread=False)
    def forgotten() -> str:
        return "open to everybody"

    with pytest.raises(LookupError, match="GET /forgotten names no permission"):
        internal_app(known(runtime), START_TOKEN, tuple, lambda _: [forgotten])
    with pytest.raises(LookupError, match="GET /forgotten names no permission"):
        public_app(known(runtime), lambda _: [forgotten])


def test_a_permission_on_the_public_listener_would_be_checked_by_nobody(runtime: EmbeddedRunner) -> None:
    with pytest.raises(LookupError, match="needs a permission, and nothing on this listener checks it"):
        public_app(known(runtime), phone.routes)
    check_routes(internal(runtime), guarded=True)


def test_each_role_opens_what_its_permissions_say_and_nothing_else(
    client: TestClient[Any], headers: dict[str, dict[str, str]], runtime: EmbeddedRunner
) -> None:
    add_own(runtime)
    for (method, path), line in INTERNAL.items():
        address = filled(line.addresses[0], "x") if line.addresses else path
        for name, (role, _) in PEOPLE.items():
            answer = client.request(method, address, headers=headers[name], data=line.fields or None)
            if isinstance(line.access, Protection) or line.access in ROLES[role].permissions:
                assert answer.status_code != 403 or "local accounts" in answer.text, (name, method, address)
            else:
                assert answer.status_code == 403, (name, method, address, answer.status_code)
        nobody = client.request(method, address)
        if isinstance(line.access, Protection):
            assert nobody.status_code != 401 or path.startswith("/sign-in"), (method, address)
        else:
            assert nobody.status_code == 401, (method, address)


def test_an_admin_comes_to_the_users_and_others_read_why_not(
    client: TestClient[Any], headers: dict[str, dict[str, str]]
) -> None:
    assert client.get("/", headers=headers["ada"] | HTML).headers["location"] == "/users"
    page = client.get("/users", headers=headers["mia"] | HTML)
    assert page.status_code == 403
    assert "Your role does not include this page" in page.text


# Scopes


def readable(role: Role) -> list[str]:
    """Every address of every route that a role may read."""
    permissions = ROLES[role].permissions
    return [
        address
        for (method, _), line in INTERNAL.items()
        if method == "GET" and line.access in permissions and line.access is not Permission.METRICS
        for address in line.addresses
    ]


def read_all(client: TestClient[Any], header: dict[str, str], role: Role) -> dict[str, tuple[int, str]]:
    found = {}
    for address in readable(role):
        complete = filled(address, "SO-other-1")
        answer = client.get(complete, headers=header | HTML)
        found[complete] = (answer.status_code, without_version(answer.text))
    return found


def without_version(text: str) -> str:
    """The answer without what changes with every event anywhere, which counts nothing for them."""
    if text.startswith("{") and '"processed"' in text:
        return json.dumps(sorted(json.loads(text)))
    start = text.find("data-version=")
    return text if start < 0 else text[:start] + text[text.index(">", start) :]


@pytest.mark.parametrize("name", SCOPED)
def test_nothing_of_another_scope_changes_or_appears_in_any_answer(
    runtime: EmbeddedRunner, client: TestClient[Any], headers: dict[str, dict[str, str]], name: str
) -> None:
    add_own(runtime)
    role = PEOPLE[name][0]
    before = read_all(client, headers[name], role)
    everything = read_all(client, headers["otto"], Role.OPERATIONS)
    add_other(runtime)
    after = read_all(client, headers[name], role)
    for address, found in before.items():
        assert after[address] == found, address
        rest = found[1].replace("SO-other-1", "")  # what was asked for is repeated
        assert not [secret for secret in SECRETS if secret in rest], address
    assert read_all(client, headers["otto"], Role.OPERATIONS) != everything, "it is visible without a scope"
    assert "ours 11" in before["/dashboard"][1] or name == "nick", "their own words are there"


@pytest.mark.parametrize("name", SCOPED)
def test_an_id_of_another_scope_is_one_that_does_not_exist(
    runtime: EmbeddedRunner, client: TestClient[Any], headers: dict[str, dict[str, str]], name: str
) -> None:
    add_own(runtime)
    add_other(runtime)
    for address in readable(PEOPLE[name][0]):
        if "{other" not in address:
            continue
        foreign = client.get(filled(address, "SO-other-1"), headers=headers[name] | HTML)
        missing = client.get(filled(address, "SO-nowhere"), headers=headers[name] | HTML)
        assert foreign.status_code == missing.status_code == 404
        theirs, nobodys = (case_id_of(order_id, _complaining(order_id)) for order_id in ("SO-other-1", "SO-nowhere"))
        assert foreign.text.replace("SO-other-1", "SO-nowhere").replace(theirs, nobodys) == missing.text
        seen = client.get(filled(address, "SO-own-1"), headers=headers[name])
        assert seen.status_code == (404 if name == "nick" else 200)


def test_words_are_shown_to_those_who_may_read_them_only(
    runtime: EmbeddedRunner, client: TestClient[Any], headers: dict[str, dict[str, str]]
) -> None:
    add_own(runtime)
    for name, (role, _) in PEOPLE.items():
        texts = [text for _, text in read_all(client, headers[name], role).values()]
        shown = any("ours" in text for text in texts)
        assert shown == (Permission.WORDS in ROLES[role].permissions and name != "nick"), name


def test_an_order_that_leaves_a_scope_is_no_longer_named_by_an_alert(
    runtime: EmbeddedRunner, client: TestClient[Any], headers: dict[str, dict[str, str]]
) -> None:
    add_own(runtime)
    moved = completed(
        "SO-own-1",
        at(days=2),
        "SO-own-1:moved",
        account={"id": "A-1"},
        dimensions={"region": "SECRETIA", "depot": "Hiddenville", "carrier": "Nordex"},
    )
    assert "SO-own-1" in client.get("/dashboard?by=region", headers=headers["rolf"]).text
    ingest(runtime, moved)
    page = client.get("/dashboard?by=region", headers=headers["rolf"]).text
    assert '"/orders/SO-own-1"' not in page
    assert client.get("/v1/orders/SO-own-1", headers=headers["rolf"]).status_code == 404
    assert client.get("/v1/orders/SO-own-1", headers=headers["ann"]).status_code == 200, "the account is the same"


@pytest.mark.parametrize("value", [POLYGLOT, "50%25", "a b=c", "x' OR '1'='1", "%", "ara"])
def test_no_value_of_a_dimension_widens_a_scope(runtime: EmbeddedRunner, value: str) -> None:
    add_own(runtime)
    ingest(runtime, completed("SO-odd", at(), account={"id": "A-2"}, dimensions={"region": value}))
    with runtime.engine.begin() as connection:
        for entry in ("ARA", value):
            scope = parse_scope(Role.OPERATIONS, [f"region={entry}"])
            found = order_record.read_orders(
                connection, user_principal("x", Role.OPERATIONS, scope), ["SO-odd", "SO-own-1"]
            )
            assert set(found) == ({"SO-own-1"} if entry == "ARA" else {"SO-odd"})


# The store


def test_every_read_needs_a_principal() -> None:
    """A page cannot forget the scope, because no function of the reads works without."""
    for module in (*READS, order_list, search, verbatims, words):
        for name, function in vars(module).items():
            own = getattr(function, "__module__", "") == module.__name__
            if not own or name.startswith("_") or isinstance(function, type):
                continue
            if "connection" in function.__annotations__ and name not in ("opened", "opened_current"):
                assert "principal" in function.__annotations__, f"{module.__name__}.{name}"


def test_the_sum_of_a_scope_is_that_of_its_entries_unless_they_overlap(runtime: EmbeddedRunner) -> None:
    add_own(runtime)
    add_other(runtime)

    def total(connection: Connection, *entries: str) -> int:
        scope = parse_scope(Role.OPERATIONS, entries)
        return reports.total(connection, user_principal("x", Role.OPERATIONS, scope)).get("completed", 0)

    with runtime.engine.begin() as connection:
        assert total(connection) == 26
        assert total(connection, "region=ARA") == 12
        assert total(connection, "region=ARA", "region=SECRETIA") == 26
        assert total(connection, "region=ARA", "depot=Lyon") == 0, "they overlap"
        assert total(connection, "region=Nowhere") == 0


def test_only_roles_with_a_scope_have_entries() -> None:
    assert {role for _, (role, entries) in PEOPLE.items() if entries} == {
        role for role, rule in ROLES.items() if rule.scope is not ScopeKind.NONE
    }
