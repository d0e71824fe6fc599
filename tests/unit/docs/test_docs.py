"""The pages made from the code, and the links of all pages."""

import re
from pathlib import Path
from typing import Any

import pytest

from docs import make_asyncapi, make_settings, measure_statistics
from pipeline.domain.events.contract import KINDS
from tests.support.documents.named import PAGES
from tests.support.paths import ROOT

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """The anchors of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_the_pages_made_from_the_code_are_up_to_date() -> None:
    for made in (make_asyncapi, make_settings):
        assert made.TARGET.read_text(encoding="utf-8") == made.text(), f"{made.TARGET.name} is stale: make docs"


def test_every_event_has_a_message_a_channel_and_an_operation() -> None:
    made = make_asyncapi.document()
    for kind, contract in KINDS.items():
        assert kind in made["channels"][contract.topic]["messages"]
    sent = {ref["$ref"].rpartition("/")[2] for each in made["operations"].values() for ref in each["messages"]}
    assert sent - {"dead.letter"} == set(KINDS) == set(made["components"]["messages"])


def test_every_reference_inside_the_asyncapi_document_resolves() -> None:
    made = make_asyncapi.document()
    references = set(re.findall(r'"\$ref": "#/([^"]+)"', make_asyncapi.text()))
    assert references
    for reference in references:
        target: Any = made
        for step in reference.split("/"):
            target = target[step]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_resolves(page: Path) -> None:
    for link in _LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_no_page_names_the_machine_it_was_written_on() -> None:
    folder = ROOT.parent if ROOT.parent.name else ROOT  # beside it are the other folders of the machine
    here = re.escape(f"{folder}/")
    for page in [*PAGES, *ROOT.glob("docs/*.json"), *ROOT.glob("docs/*.py")]:
        assert not re.search(rf"{here}|\bissue #?\d|localhost:\d", page.read_text(encoding="utf-8")), page.name


def test_the_page_on_statistics_shows_what_its_script_measures() -> None:
    """Only the fastest experiment is run: the others need minutes."""
    page = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8").splitlines()
    rows = list(measure_statistics.widths())
    assert len(rows) == 5
    assert set(rows) <= set(page)


def test_the_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 190
