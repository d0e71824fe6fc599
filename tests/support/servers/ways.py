"""A server for the tests from what the machine has: the first available one, or every reason why there is none."""

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import NoReturn, TypeVar
from urllib.parse import urlsplit

import pytest

Server = TypeVar("Server")


class Unavailable(Exception):
    """This kind of server is not available on this machine; the message is the reason."""


@contextmanager
def first_that_works(what: str, ways: Sequence[Callable[[], AbstractContextManager[Server]]]) -> Iterator[Server]:
    """The first available server. Raises Unavailable with every reason if there is none."""
    reasons = []
    with ExitStack() as stack:
        for way in ways:
            try:
                server = stack.enter_context(way())
            except Unavailable as reason:
                reasons.append(str(reason))
            else:
                yield server
                return
    raise Unavailable(f"no {what} for the tests: " + "; ".join(reasons))


def missing(reason: Unavailable) -> NoReturn:
    """Skip the test with this reason; if `CI` is set, fail it."""
    if os.environ.get("CI"):
        pytest.fail(str(reason), pytrace=False)
    pytest.skip(str(reason))


def docker_answers() -> bool:
    """Whether a Docker engine accepts connections. The client would leave its socket open if none did."""
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    address = urlsplit(host)
    family = socket.AF_UNIX if address.scheme == "unix" else socket.AF_INET
    target = address.path if address.scheme == "unix" else (address.hostname, address.port or 2375)
    with socket.socket(family) as probe:
        probe.settimeout(2)
        return probe.connect_ex(target) == 0


def one_line(error: Exception) -> str:
    """An error's message, fit for a list of reasons."""
    return " ".join(str(error).split())[:200]
