"""What the documents name has to be there: commands, targets, settings, files, and the pages made from the code."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

from docs import make_asyncapi, make_settings
from pipeline.cli import app
from pipeline.domain.events.contract import KINDS
from tests.support.paths import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

# Variables that are read elsewhere than in the settings, and where.
ELSEWHERE = {
    "UNVARNISHED_TEST_POSTGRES_URL": "tests/support/postgres.py",
    "UNVARNISHED_TEST_KAFKA": "tests/support/kafka.py",
    "UNVARNISHED_SHARED": "tests/support/shared.py",
    "UNVARNISHED_DB_PASSWORD": "docker-compose.yml",
}
_FENCE = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^ {4}.*\n?)+", re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_PRODUCT = re.compile(r"^(?:[A-Z_]+=\S+ )*(?:unvarnished|\.venv/bin/python -m pipeline) (?P<words>[^#\n]+)")
_MAKE = re.compile(r"^make (?P<words>[^#\n]+)")


class Named(NamedTuple):
    """Something a page names, and which page does."""

    page: str
    text: str


def codes() -> Iterator[Named]:
    """Every line of code in every page: fenced, indented or between backticks."""
    for page in PAGES:
        name, text = str(page.relative_to(ROOT)), page.read_text(encoding="utf-8")
        blocks = _FENCE.findall(text)
        rest = _FENCE.sub("", text)
        blocks += _INDENTED.findall(rest)
        lines = [line.strip() for block in blocks for line in block.splitlines()]
        yield from (Named(name, line) for line in [*lines, *_SPAN.findall(rest)])


def matching(pattern: re.Pattern[str]) -> list[Named]:
    """The words behind the command that the pattern finds, each once."""
    found = ((code.page, pattern.match(code.text)) for code in codes())
    return sorted({Named(page, match["words"].strip()) for page, match in found if match})


def fault(words: str) -> str | None:
    """What is wrong with a command line of the product; None: it exists with its options."""
    command: Any = typer.main.get_command(app)
    for word in shlex.split(words):
        if word.startswith("--"):
            if not any(word in parameter.opts for parameter in command.params) and word != "--help":
                return f"{command.name} has no {word}"
        elif getattr(command, "commands", None):
            if word == "COMMAND":  # a place for any of them
                return None
            if word not in command.commands:
                return f"no command {word}"
            command = command.commands[word]
    return f"{command.name} is half a command" if getattr(command, "commands", None) else None


def anchors(page: Path) -> set[str]:
    """What the headings of a page are linked by."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_the_pages_made_from_the_code_are_up_to_date() -> None:
    for made in (make_asyncapi, make_settings):
        assert made.TARGET.read_text(encoding="utf-8") == made.text(), f"{made.TARGET.name} is stale: make docs"


def test_every_event_has_a_message_a_channel_and_an_operation() -> None:
    made = make_asyncapi.document()
    for kind, told in KINDS.items():
        assert kind in made["channels"][told.topic]["messages"]
    spoken = {ref["$ref"].rpartition("/")[2] for each in made["operations"].values() for ref in each["messages"]}
    assert spoken - {"dead.letter"} == set(KINDS) == set(made["components"]["messages"])


def test_every_reference_inside_the_asyncapi_document_leads_somewhere() -> None:
    made = make_asyncapi.document()
    references = set(re.findall(r'"\$ref": "#/([^"]+)"', make_asyncapi.text()))
    assert references
    for reference in references:
        place: Any = made
        for step in reference.split("/"):
            place = place[step]


def test_every_command_that_is_named_exists() -> None:
    named = matching(_PRODUCT)
    assert {"demo", "replay olist PATH", "dead-letters list"} <= {each.text for each in named}
    assert {each: fault(each.text) for each in named if fault(each.text)} == {}


def test_every_command_that_exists_is_named_in_the_readme() -> None:
    group: Any = typer.main.get_command(app)
    named = {each.text.split()[0] for each in matching(_PRODUCT) if each.page == "README.md"}
    assert named - {"COMMAND"} == set(group.commands)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("report --by DIMENSION", None),
        ("report --colour", "report has no --colour"),
        ("digest", "no command digest"),
        ("dead-letters forget", "no command forget"),
        ("bench", "bench is half a command"),
    ],
)
def test_a_command_that_does_not_exist_is_found(words: str, expected: str | None) -> None:
    assert fault(words) == expected


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):(?!=)", makefile, re.MULTILINE))
    named = {each: each.text.split()[0] for each in matching(_MAKE)}
    assert {"demo", "test", "docs"} <= set(named.values())
    assert {each for each, target in named.items() if target not in targets and "=" not in target} == set()


def test_every_setting_that_is_named_exists() -> None:
    known = make_settings.variables() | set(ELSEWHERE)
    for page in PAGES:
        named = set(re.findall(r"\bUNVARNISHED_[A-Z_]*[A-Z]\b", page.read_text(encoding="utf-8")))
        assert named <= known, page.name
    for variable, place in ELSEWHERE.items():
        assert variable in (ROOT / place).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for link in _LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_file_of_the_package_that_is_named_exists() -> None:
    for name, code in codes():
        if re.fullmatch(r"(?:pipeline|tests|docs)/[\w/.]+", code) and "<" not in code:
            assert (ROOT / code).exists(), f"{name} names {code}"


def test_no_page_speaks_of_the_place_it_was_written_in() -> None:
    for page in [*PAGES, *ROOT.glob("docs/*.json"), *ROOT.glob("docs/*.py")]:
        assert not re.search(r"/work/|\bissue #?\d|localhost:\d", page.read_text(encoding="utf-8")), page.name
