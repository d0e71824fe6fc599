"""What documents, docstrings and comments name: files, modules, settings, commands, targets and routes."""

import ast
import io
import re
import shlex
import tokenize
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import typer

from pipeline.cli import app
from tests.support.paths import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SOURCES = sorted(
    path for top in ("bench", "deploy", "docs", "pipeline", "tests") for path in ROOT.glob(f"{top}/**/*.py")
)
_OTHERS = ("Makefile", "pyproject.toml", "docker-compose.yml", ".env.example", "deploy/**/*.*", "pipeline/**/*.j2")
_PACKAGES = sorted(path.name for path in (ROOT / "pipeline").iterdir() if (path / "__init__.py").exists())
_ENDINGS = r"(?:md|py|po|j2|yml|yaml|json|toml|css)"
_FENCE = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^ {4}.*\n?)+", re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
_URL = re.compile(r"\b[\w+]+://\S+|\b\w+\.com/\S+")
# Not inside a longer path or a pattern such as <name>.py. What begins with a slash is outside the repository.
_FILE = re.compile(rf"(?<![\w/.<>*~@-])((?:[\w.-]+/)*[\w-]+(?:\.[\w-]+)*\.{_ENDINGS})(?![\w/*-])")
_DOTTED = re.compile(r"(?<![\w/.])pipeline(?:\.\w+)+")
_SHORT_DOTTED = re.compile(rf"(?:{'|'.join(_PACKAGES)})(?:\.\w+)+")
_SETTING = re.compile(r"\bUNVARNISHED_[A-Z_]*[A-Z]\b")
_COMMAND = re.compile(r"^(?:[A-Z_]+=\S+ )*(?:unvarnished|\.venv/bin/python -m pipeline) (?P<words>[^#\n]+)")
_TARGET = re.compile(r"^make (?P<words>[^#\n]+)")
_ROUTE = re.compile(r"^(?:(?P<methods>[A-Z]+(?:[,|] ?[A-Z]+)*) )?(?P<path>/[\w/{}.:-]*)(?:\?.*)?$")


class Named(NamedTuple):
    """A text that names something, and the file it is in."""

    where: str
    text: str


def code_in_pages() -> Iterator[Named]:
    """Every line of code in every page: fenced, indented or between backticks."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        blocks = _FENCE.findall(text)
        rest = _FENCE.sub("", text)
        blocks += _INDENTED.findall(rest)
        lines = [line.strip() for block in blocks for line in block.splitlines()]
        yield from (Named(_name(page), line) for line in [*lines, *_SPAN.findall(rest)])


@cache
def comments_and_docstrings() -> tuple[Named, ...]:
    """Every docstring (of modules, classes, functions and attributes) and every comment of the Python code."""
    return tuple(Named(_name(path), text) for path in SOURCES for text in _prose(path.read_text(encoding="utf-8")))


def code_in_docstrings() -> Iterator[Named]:
    """What is between backticks in them."""
    for named in comments_and_docstrings():
        yield from (Named(named.where, span) for span in _SPAN.findall(named.text))


def texts() -> Iterator[Named]:
    """Every page, docstring and comment, without addresses of the web."""
    for page in PAGES:
        yield Named(_name(page), _URL.sub("", page.read_text(encoding="utf-8")))
    yield from (Named(named.where, _URL.sub("", named.text)) for named in comments_and_docstrings())


def _prose(source: str) -> Iterator[str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    yield from (token.string for token in tokens if token.type == tokenize.COMMENT)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


# --- files and modules


def files(found: Iterable[Named]) -> set[Named]:
    """The files of the repository that the texts name, whole paths or their ends."""
    return {Named(named.where, match.lstrip("./")) for named in found for match in _FILE.findall(named.text)}


def file_exists(path: str) -> bool:
    """Whether a file of the repository has that path, or a path that ends like it."""
    return any(f"/{known}".endswith(f"/{path}") for known in _known_files())


@cache
def _known_files() -> tuple[str, ...]:
    tops = ("bench", "deploy", "docs", "pipeline", "tests", ".ci", ".github")
    below = [path for top in tops for path in ROOT.glob(f"{top}/**/*") if "node_modules" not in path.parts]
    return tuple(_name(path) for path in [*ROOT.glob("*"), *ROOT.glob(".*"), *below] if path.is_file())


def modules() -> set[Named]:
    """Dotted names below `pipeline`: whole ones in pages, docstrings and comments, short ones as in
    `store.store.Store` between the backticks of docstrings and comments."""
    whole = {Named(named.where, match) for named in texts() for match in _DOTTED.findall(named.text)}
    return whole | {each for each in code_in_docstrings() if _SHORT_DOTTED.fullmatch(each.text)} - files(
        code_in_docstrings()
    )


def module_exists(dotted: str) -> bool:
    """Whether it is a module or package, or a name that is in one. Short names begin below `pipeline`."""
    return _resolves(dotted) or _resolves(f"pipeline.{dotted}")


def _resolves(dotted: str) -> bool:
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:length])
        source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if source.exists():
            rest = parts[length:]
            return all(re.search(rf"\b{name}\b", source.read_text(encoding="utf-8")) for name in rest)
    return False


# --- settings


def settings() -> set[Named]:
    """Every variable of the product that a text file of the repository names."""
    others = [path for pattern in _OTHERS for path in ROOT.glob(pattern) if path.is_file()]
    found = set()
    for path in [*PAGES, *SOURCES, *others]:
        text = path.read_text(encoding="utf-8", errors="replace")
        found |= {Named(_name(path), variable) for variable in _SETTING.findall(text)}
    return found


# --- commands and targets


def commands(codes: Iterable[Named]) -> set[Named]:
    """What follows the name of the product's command."""
    return _following(_COMMAND, codes)


def targets(codes: Iterable[Named]) -> set[Named]:
    """What follows `make`."""
    return _following(_TARGET, codes)


def _following(pattern: re.Pattern[str], codes: Iterable[Named]) -> set[Named]:
    found = ((code.where, pattern.match(code.text)) for code in codes)
    return {Named(where, match["words"].strip()) for where, match in found if match}


def command_error(words: str) -> str | None:
    """What is wrong with a command line of the product; None: it exists, with its options."""
    command: Any = typer.main.get_command(app)
    for word in shlex.split(words):
        if word.startswith("--"):
            if not any(word in parameter.opts for parameter in command.params) and word != "--help":
                return f"{command.name} has no {word}"
        elif getattr(command, "commands", None):
            if word == "COMMAND":  # a placeholder for any command
                return None
            if any(choice not in command.commands for choice in word.split("|")):
                return f"no command {word}"
            command = command.commands[word.split("|")[0]]
    alone = not getattr(command, "commands", None) or command.invoke_without_command
    complete = words.startswith("--") or alone
    return None if complete else f"{command.name} is half a command"


def target_exists(words: str) -> bool:
    """Whether the Makefile has that target, and that value of WHAT."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    known = set(re.findall(r"^([a-z-]+):(?!=)", makefile, re.MULTILINE)) | {"bench"}
    benches = {*re.findall(r"^BENCHES := (.*)$", makefile, re.MULTILINE)[0].split(), "help", "..."}
    first, *rest = words.split()
    chosen = {word.removeprefix("WHAT=") for word in rest if word.startswith("WHAT=")}
    return "=" in first or (first in known and chosen <= benches)


# --- routes


def routes(codes: Iterable[Named]) -> set[Named]:
    """Paths with or without their methods, as in `GET /v1/report`, without the query."""
    return {Named(code.where, code.text) for code in codes if _ROUTE.match(code.text)}


def route_exists(text: str, known: Iterable[tuple[str, str]]) -> bool:
    """Whether one of the routes (method, path with {parameters}) is meant. A named path may end in `/...`."""
    match = _ROUTE.match(text)
    if match is None:
        return False
    methods = set(re.split(r"[,|] ?", match["methods"])) if match["methods"] else {None}
    return all(any(_is_route(method, match["path"], route) for route in known) for method in methods)


def _is_route(method: str | None, named: str, route: tuple[str, str]) -> bool:
    if method not in (None, route[0]):
        return False
    steps, known = named.strip("/").split("/"), route[1].strip("/").split("/")
    if steps[-1] == "...":
        steps = steps[:-1]
        known = known[: len(steps)]
    return len(steps) == len(known) and all(
        step == other or (other.startswith("{") and (step.startswith("{") or step.isupper()))
        for step, other in zip(steps, known, strict=True)
    )
