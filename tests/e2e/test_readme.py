"""README's quick start, line by line, followed by the examples of docs/http.md.

Each ```bash block is run in one shell, and the ```text block after it is the expected output: `...` stands for any
text, and line breaks may differ. The first line makes the environment and is left out: these tests have one. The
ports are those of the page: in a network namespace of their own where the machine allows that, else they must be free.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from typing import NamedTuple

import pytest

from tests.support.limits import PATIENCE
from tests.support.paths import ROOT

SET_UP = "make venv\n"
_BLOCKS = re.compile(r"^```bash\n(?P<lines>.*?)^```\n(?:```text\n(?P<shown>.*?)^```$)?", re.MULTILINE | re.DOTALL)
_END = "\x1eend of block"  # printed after each block
_SHELL = ["bash", "-eu", "script"]  # stops at the first line that fails
# In a new network namespace the loopback device is down.
_LOOPBACK = """
import fcntl, os, socket, struct
up = struct.pack("16sH14x", b"lo", 0x1 | 0x40)  # IFF_UP, IFF_RUNNING
fcntl.ioctl(socket.socket(), 0x8914, up)  # SIOCSIFFLAGS
"""

pytestmark = pytest.mark.e2e


class Block(NamedTuple):
    """Lines to type, and the output that the page shows."""

    lines: str
    shown: str


def blocks(page: str) -> list[Block]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return [Block(match["lines"], match["shown"] or "") for match in _BLOCKS.finditer(text)]


def pages() -> list[Block]:
    """The quick start, with the examples of docs/http.md before its last block, which stops the process."""
    first, *middle, last = blocks("README.md")
    assert first.lines.startswith(SET_UP)
    return [Block(first.lines.removeprefix(SET_UP), first.shown), *middle, *blocks("docs/http.md"), last]


def shell() -> list[str]:
    """The command that runs the script, in a network namespace of its own where that is possible."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return _SHELL
    isolated = [unshare, "--net", "--map-root-user", sys.executable, "-c"]
    allowed = subprocess.run([*isolated, _LOOPBACK], capture_output=True, check=False).returncode == 0
    return [*isolated, f"{_LOOPBACK}os.execvp('bash', {_SHELL})"] if allowed else _SHELL


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The output of each block, run in an empty folder."""
    for tool in ("bash", "curl"):
        if shutil.which(tool) is None:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no {tool} on this machine")
    folder = tmp_path_factory.mktemp("clone")
    (folder / "pipeline").symlink_to(ROOT / "pipeline")
    (folder / ".venv").symlink_to(sys.prefix)
    script = "".join(f"{block.lines}echo $'\\n{_END}'\n" for block in pages())
    (folder / "script").write_text(script, encoding="utf-8")
    with (folder / "printed").open("w") as file:
        running = subprocess.Popen(
            shell(),
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(folder)},
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code: int | str = running.wait(PATIENCE)
        except subprocess.TimeoutExpired as late:
            code = str(late)
        finally:
            with suppress(ProcessLookupError):  # every process has ended
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()
    output = (folder / "printed").read_text(encoding="utf-8")
    assert code == 0, f"{code}\n{output}"
    assert not (folder / ".data" / "quickstart").exists()
    return [part.strip() for part in output.split(_END)][:-1]


def test_every_block_prints_what_the_page_shows(printed: list[str]) -> None:
    assert len(printed) == len(pages())
    for block, answer in zip(pages(), printed, strict=True):
        assert matches(block.shown, answer), f"{block.lines}shows\n{block.shown}and prints\n{answer}"


def test_a_difference_is_found() -> None:
    assert matches('{"new":1, ...\n "b":2}', '{"new":1,"a":0,"b":2}')
    assert not matches('{"new":1}', '{"new":10}')
    assert not matches("202 ... {}", "207 Multi-Status {}")
    assert not matches("", "a warning")


def matches(shown: str, answer: str) -> bool:
    """Whether the output is as shown, ignoring white space."""
    parts = ("".join(part.split()) for part in shown.split("..."))
    return re.fullmatch(".*".join(map(re.escape, parts)), "".join(answer.split())) is not None
