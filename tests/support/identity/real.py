"""A real OpenID Connect provider, and a person who signs in to it with a browser."""

import json
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx

from tests.support.servers.npm import installed, unavailable

_FOLDER = Path(__file__).parent
CLIENT, SECRET = "unvarnished", "a-secret-of-the-client"
_ACTION = re.compile(r'action="([^"]+)"')
_PROMPT = re.compile(r'name="prompt" value="([a-z]+)"')


class RealProvider:
    """The running provider. Its accounts may change at any time."""

    def __init__(self, issuer: str, accounts: Path) -> None:
        self.issuer = issuer
        self._accounts = accounts

    def set_account(self, subject: str, **claims: Any) -> None:
        """Give an account these claims."""
        known = json.loads(self._accounts.read_text()) if self._accounts.exists() else {}
        self._accounts.write_text(json.dumps(known | {subject: claims}))

    def sign_in(self, url: str, subject: str) -> str:
        """Sign in at the provider, as a browser that was sent to `url`. Returns where it is sent back to."""
        with httpx.Client(follow_redirects=False) as browser:
            answer = browser.get(url)
            for _ in range(12):
                if answer.is_redirect:
                    target = urljoin(str(answer.request.url), answer.headers["location"])
                    if not target.startswith(self.issuer):
                        return target
                    answer = browser.get(target)
                else:
                    address, fields = _form(answer, subject)
                    answer = browser.post(address, data=fields)
        raise AssertionError(f"the provider did not send the browser back: {answer.text[:500]}")


def _form(page: httpx.Response, subject: str) -> tuple[str, dict[str, str]]:
    action, prompt = _ACTION.search(page.text), _PROMPT.search(page.text)
    assert action is not None, page.text[:500]
    assert prompt is not None, page.text[:500]
    fields = {"prompt": prompt[1], "login": subject, "password": "any"}
    return urljoin(str(page.request.url), action[1]), fields


@contextmanager
def provider(folder: Path, redirect_uri: str, in_id_token: bool) -> Iterator[RealProvider]:
    """A provider with a client for `redirect_uri`. `in_id_token`: claims are in the ID token, else in the user info."""
    installed(_FOLDER)
    node = shutil.which("node")
    if node is None:
        unavailable("the identity provider needs Node.js: apt install nodejs")
    accounts = folder / "accounts.json"
    accounts.write_text("{}")
    command = [node, str(_FOLDER / "provider.mjs"), str(_free_port()), redirect_uri, str(accounts)]
    with subprocess.Popen(
        [*command, str(in_id_token).lower()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        try:
            output = ""
            for line in process.stdout:
                output += line
                if line.startswith("listening at "):
                    break
            else:
                raise AssertionError(f"the provider did not start: {output[-2_000:]}")
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield RealProvider(line.removeprefix("listening at ").strip(), accounts)
        finally:
            process.terminate()


def _free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        port: int = made.getsockname()[1]
        return port
