"""A server for the tests from whatever the machine has: the first way that works, or every reason why none does."""

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import NoReturn, TypeVar
from urllib.parse import urlsplit

import pytest

Server = TypeVar("Server")


class Unavailable(Exception):
    """This way of getting a server does not exist here; the message says why."""


@contextmanager
def first_that_works(what: str, ways: Sequence[Callable[[], AbstractContextManager[Server]]]) -> Iterator[Server]:
    """The first way that works; Unavailable, with every reason, when none does."""
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
    """What needs the server is skipped, and says so; where `CI` is set it fails."""
    if os.environ.get("CI"):
        pytest.fail(str(reason), pytrace=False)
    pytest.skip(str(reason))


def docker_answers() -> bool:
    """Whether somebody listens, in no time; the client would leave its socket open when nobody does."""
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
