"""SQL has one home: outside `pipeline/store` nothing builds or executes a statement, or names a table."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support.paths import ROOT

# Benchmarks: an upper bound of one plain insert per batch; the past of a million orders, which is written in bulk; and
# the number of statements of a page.
_EXCEPTIONS = {"pipeline/bench/embedded.py", "pipeline/bench/pages/past.py", "pipeline/bench/pages/reading.py"}
# Types, the errors that callers handle, and the parts of a URL.
_ALLOWED = {"sqlalchemy": {"Connection", "Engine", "URL", "make_url"}, "sqlalchemy.exc": None}
_EXECUTES = {"execute", "exec_driver_sql", "scalar", "scalars", "executemany"}


def _files() -> Iterator[Path]:
    for path in sorted((ROOT / "pipeline").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith("pipeline/store/") and name not in _EXCEPTIONS:
            yield path


def _faults(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from _faulty_import(node.module, [alias.name for alias in node.names])
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield from _faulty_import(alias.name, ["*"])
        elif isinstance(node, ast.Attribute) and node.attr in _EXECUTES:
            yield f"calls {node.attr}"


def _faulty_import(module: str, names: list[str]) -> Iterator[str]:
    if module.startswith("pipeline.store.schema") and module != "pipeline.store.schema.upgrade":
        yield f"imports tables from {module}"
    if module.partition(".")[0] != "sqlalchemy":
        return
    allowed = _ALLOWED.get(module, set())
    if allowed is not None:
        yield from (f"imports {name} from {module}" for name in names if name not in allowed)


def test_only_the_store_contains_sql() -> None:
    found = {
        path.relative_to(ROOT).as_posix(): faults
        for path in _files()
        if (faults := [*_faults(ast.parse(path.read_text()))])
    }
    assert found == {}


def test_the_search_detects_sql() -> None:
    source = (
        "import sqlalchemy as sa\n"
        "from sqlalchemy import Connection, select\n"
        "from sqlalchemy.exc import OperationalError\n"
        "from pipeline.store.schema.asks import asks\n"
        "connection.execute(select(asks))\n"
    )
    assert [*_faults(ast.parse(source))] == [
        "imports * from sqlalchemy",
        "imports select from sqlalchemy",
        "imports tables from pipeline.store.schema.asks",
        "calls execute",
    ]
