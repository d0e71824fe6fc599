"""What pages, docstrings and comments name must exist: files, modules, settings, commands, targets, routes."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
import typer

from docs import make_settings
from pipeline.cli import app
from pipeline.notifiers.channels.email.reports import REPORT_PATH
from pipeline.notifiers.channels.twilio.paths import STATUS_PATH, TEXT_PATH, WHATSAPP_TEXT_PATH
from pipeline.settings import Settings
from pipeline.settings.renamed import OLD_NAMES
from pipeline.web.http import server
from pipeline.web.http.services import Services
from pipeline.web.internal import channel_pages
from tests.support.documents import named
from tests.support.documents.named import Named
from tests.support.paths import ROOT

# Names of other projects that look like files.
OTHERS_FILES = {"ruamel.yaml"}
# Variables that are not settings of the product, and the file that reads each.
ELSEWHERE = {
    "UNVARNISHED_DB_PASSWORD": "docker-compose.yml",
    "UNVARNISHED_FAILPOINT": "pipeline/consumers/runtime/failpoints.py",
    "UNVARNISHED_MATRIX": "tests/reliability/test_send_matrix.py",
    "UNVARNISHED_PICTURES": "tests/support/servers/browsing.py",
    "UNVARNISHED_REFERENCE": "tests/unit/support/test_reference.py",
    "UNVARNISHED_SHARED": "tests/support/paths.py",
    "UNVARNISHED_TEST_KAFKA": "tests/support/servers/kafka.py",
    "UNVARNISHED_TEST_POSTGRES_URL": "tests/support/servers/postgres.py",
}
# Where old names of settings may be: the table of renamed settings, the changelog, the tests that they still work.
OLD_NAMES_IN = {
    "CHANGELOG.md",
    "docs/settings.md",
    "tests/unit/settings/test_renamed.py",
    "tests/unit/cli/test_commands.py",
}
HISTORY = "CHANGELOG.md"  # may also name what no longer exists


def codes() -> list[Named]:
    return [*named.code_in_pages(), *named.code_in_docstrings()]


def variable(setting: str) -> str:
    return f"UNVARNISHED_{setting.upper()}"


def test_every_file_that_is_named_exists() -> None:
    found = {each for each in named.files(named.texts()) if each.text not in OTHERS_FILES}
    assert {"pipeline/domain/events/contract.py", "docs/statistics.md"} <= {each.text for each in found}
    assert {each for each in found if not named.file_exists(each.text)} == set()


def test_every_module_that_is_named_exists() -> None:
    found = {each for each in named.modules() if each.where != HISTORY}
    assert "pipeline.app.worker" in {each.text for each in found}
    assert {each for each in found if not named.module_exists(each.text)} == set()


def test_every_variable_that_is_named_exists() -> None:
    known = make_settings.variables() | set(ELSEWHERE)
    old = {variable(name) for name in OLD_NAMES.values()}
    found = named.settings()
    assert {each for each in found if each.text not in known | old} == set()
    assert {each.where for each in found if each.text in old - known} <= OLD_NAMES_IN
    for name, where in ELSEWHERE.items():
        assert name in (ROOT / where).read_text(encoding="utf-8")


def test_the_changelog_lists_every_renamed_setting() -> None:
    page = (ROOT / HISTORY).read_text(encoding="utf-8")
    for new, old in OLD_NAMES.items():
        assert f"| `{variable(old)}` | `{variable(new)}` |" in page


def test_every_command_that_is_named_exists() -> None:
    found = named.commands(codes())
    assert {"demo", "replay olist PATH", "dead-letters list"} <= {each.text for each in found}
    assert {each: named.command_error(each.text) for each in found if named.command_error(each.text)} == {}


def test_every_command_that_exists_is_named_in_the_readme() -> None:
    group: Any = typer.main.get_command(app)
    found = {each.text.split()[0] for each in named.commands(codes()) if each.where == "README.md"}
    assert found - {"COMMAND"} == {name for name, command in group.commands.items() if not command.hidden}


def test_every_make_target_that_is_named_exists() -> None:
    found = named.targets(codes())
    assert {"demo", "test"} <= {each.text.split()[0] for each in found}
    assert {each for each in found if not named.target_exists(each.text)} == set()


def test_every_route_that_is_named_exists() -> None:
    found, known = named.routes(codes()), known_routes()
    assert "GET /v1/version" in {each.text for each in found}
    assert {each for each in found if not named.route_exists(each.text, known)} == set()


# With an identity provider there are more routes.
PROVIDER: dict[str, Any] = {
    "oidc_issuer": "https://id.example.com",
    "oidc_client_id": "unvarnished",
    "oidc_roles": {"boss": "management"},
}


def known_routes() -> set[tuple[str, str]]:
    """Method and path of every route of both listeners, with the pages and webhooks of every channel."""
    services = cast(
        Services,
        SimpleNamespace(
            settings=Settings(**PROVIDER), store=SimpleNamespace(engine=None, vault=None), now=None, setup=None
        ),
    )
    apps = (server.public_app(services), server.internal_app(services, "token", tuple, *channel_pages.PAGES.values()))
    found = {(method, route.path_format) for each in apps for route in each.routes for method in route.methods}
    return found | {("POST", path) for path in (TEXT_PATH, STATUS_PATH, WHATSAPP_TEXT_PATH, REPORT_PATH)}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("report --by DIMENSION", None),
        ("run web|relay", None),
        ("--version", None),
        ("report --colour", "report has no --colour"),
        ("invoice", "no command invoice"),
        ("dead-letters forget", "no command forget"),
        ("bench", "bench is half a command"),
    ],
)
def test_a_command_that_does_not_exist_is_found(words: str, expected: str | None) -> None:
    assert named.command_error(words) == expected


def test_a_name_that_does_not_exist_is_found() -> None:
    text = Named("page", "see `pipeline/domain/ledger.py`, ledger.py, docs/http.md, http.md and https://x.org/y.md")
    missing = {each.text for each in named.files([text]) if not named.file_exists(each.text)}
    assert missing == {"pipeline/domain/ledger.py", "ledger.py"}
    assert named.module_exists("store.store.Store")
    assert not named.module_exists("store.store.Ledger")
    assert not named.module_exists("pipeline.ledger")
    assert not named.target_exists("ledger")
    assert not named.target_exists("bench WHAT=ledger")
    assert named.route_exists("GET,POST /f/{token}", [("GET", "/f/{token}"), ("POST", "/f/{token}")])
    assert not named.route_exists("POST /v1/report", [("GET", "/v1/report")])
    assert not named.route_exists("/v1/reports", [("GET", "/v1/report")])
