"""Records every call of a function of the product, in all threads, and counts what the calls cross."""

import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import pipeline

_ROOT = str(Path(pipeline.__file__).parent) + os.sep


class Call(NamedTuple):
    """A call of a function in `file`. `caller`: the file of the nearest caller in the product; None: a new thread."""

    file: str
    caller: str | None
    function: str


class Recorder:
    """A profile function of Python, for threads that start after `install`."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.recording = False

    def install(self) -> None:
        """Profile this thread, and all that start from now on."""
        threading.setprofile(self)
        sys.setprofile(self)

    def start(self) -> None:
        """Forget what was recorded, and record from now on."""
        self.calls = []
        self.recording = True

    def stop(self) -> list[Call]:
        """Record no more. Returns the calls since `start`."""
        self.recording = False
        return self.calls

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        """Called by Python at every call and return."""
        if not self.recording or event != "call":
            return
        file = _file_of(frame)
        if file is not None:
            self.calls.append(Call(file, _caller_of(frame), frame.f_code.co_name))


def _file_of(frame: FrameType) -> str | None:
    name = frame.f_code.co_filename
    return name[len(_ROOT) :] if name.startswith(_ROOT) else None


def _caller_of(frame: FrameType) -> str | None:
    caller = frame.f_back
    while caller is not None:
        file = _file_of(caller)
        if file is not None:
            return file
        caller = caller.f_back
    return None


def files(calls: Sequence[Call]) -> list[str]:
    """The files entered, in the order of entry."""
    return list(dict.fromkeys(call.file for call in calls))


def moves(calls: Sequence[Call]) -> int:
    """Calls from one file to another, a new thread's first call included."""
    return sum(call.file != call.caller for call in calls)


def crossings(calls: Sequence[Call], packages: Sequence[str]) -> list[tuple[str, str]]:
    """Calls from one of these packages to another, each of which also returns: what is decided in between goes back
    and forth.
    """
    pairs = [(_package(call.caller), _package(call.file)) for call in calls if call.caller is not None]
    return [(a, b) for a, b in pairs if a != b and a in packages and b in packages]


def _package(file: str | None) -> str:
    return (file or "").split(os.sep)[0]
