"""README's quick start, line by line, and the examples of docs/http.md behind it.

A page's ```bash is pasted into a shell, and the ```text behind it is what has to come out: `...` stands for anything,
and lines may be broken elsewhere. The first line makes the environment; it is left out, and the environment of these
tests takes its place. The ports are those of the page: in a network of its own where the machine allows that, else
they have to be free.
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

from tests.support.paths import ROOT

SECONDS = 60  # until the shell is given up
SET_UP = "make venv\n"
_BLOCKS = re.compile(r"^```bash\n(?P<lines>.*?)^```\n(?:```text\n(?P<shown>.*?)^```$)?", re.MULTILINE | re.DOTALL)
_END = "\x1eend of block"  # behind what a block printed
_SHELL = ["bash", "-eu", "script"]  # the first line that fails is the last
# A new network has a loopback device that is down.
_LOOPBACK = """
import fcntl, os, socket, struct
up = struct.pack("16sH14x", b"lo", 0x1 | 0x40)  # IFF_UP, IFF_RUNNING
fcntl.ioctl(socket.socket(), 0x8914, up)  # SIOCSIFFLAGS
"""

pytestmark = pytest.mark.e2e


class Block(NamedTuple):
    """What a page says to type, and what it shows of the answer."""

    lines: str
    shown: str


def blocks(page: str) -> list[Block]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return [Block(match["lines"], match["shown"] or "") for match in _BLOCKS.finditer(text)]


def pages() -> list[Block]:
    """The quick start; before its end, which stops the process, the examples for those who connect their systems."""
    first, *middle, last = blocks("README.md")
    assert first.lines.startswith(SET_UP)
    return [Block(first.lines.removeprefix(SET_UP), first.shown), *middle, *blocks("docs/http.md"), last]


def shell() -> list[str]:
    """The command that runs the script: with the ports to itself, if that can be had here."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return _SHELL
    isolated = [unshare, "--net", "--map-root-user", sys.executable, "-c"]
    allowed = subprocess.run([*isolated, _LOOPBACK], capture_output=True, check=False).returncode == 0
    return [*isolated, f"{_LOOPBACK}os.execvp('bash', {_SHELL})"] if allowed else _SHELL


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each block printed, in a folder where nobody was before."""
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
            code: int | str = running.wait(SECONDS)
        except subprocess.TimeoutExpired as late:
            code = str(late)
        finally:
            with suppress(ProcessLookupError):  # nobody is left: what was started was stopped
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()
    said = (folder / "printed").read_text(encoding="utf-8")
    assert code == 0, f"{code}\n{said}"
    assert not (folder / ".data" / "quickstart").exists()
    return [part.strip() for part in said.split(_END)][:-1]


def test_every_block_prints_what_the_page_shows(printed: list[str]) -> None:
    assert len(printed) == len(pages())
    for block, answer in zip(pages(), printed, strict=True):
        assert matches(block.shown, answer), f"{block.lines}shows\n{block.shown}and prints\n{answer}"


def test_what_differs_is_seen() -> None:
    assert matches('{"new":1, ...\n "b":2}', '{"new":1,"a":0,"b":2}')
    assert not matches('{"new":1}', '{"new":10}')
    assert not matches("202 ... {}", "207 Multi-Status {}")
    assert not matches("", "a warning")


def matches(shown: str, answer: str) -> bool:
    """Whether that is the answer, white space left aside."""
    parts = ("".join(part.split()) for part in shown.split("..."))
    return re.fullmatch(".*".join(map(re.escape, parts)), "".join(answer.split())) is not None
