"""The permission that each command needs. Whoever runs commands has all of them, as the principal `local`; the table
says what is recorded as an act, and a command without a line does not start.
"""

from collections.abc import Mapping
from contextvars import ContextVar

# The names of domain.access.permissions.Permission, as text: `--help` loads none of the product. None: the command
# reads and changes nothing that is anybody's.
PERMISSIONS: Mapping[str, str | None] = {
    "up": None,
    "run": None,
    "demo": None,
    "report": "figures",
    "alerts": "figures",
    "incidents": "figures",
    "digest": "figures",
    "qr": "orders",
    "simulate": None,
    "lab": None,
    "doctor": None,
    "migrate": None,
    "cleanup": "settings",
    "levels list": "settings",
    "levels add": "settings",
    "levels remove": "settings",
    "receivers list": "settings",
    "receivers test": "settings",
    "receivers retry": "settings",
    "replay": "settings",
    "keys create": "settings",
    "keys list": "settings",
    "keys revoke": "settings",
    "users add": "users",
    "users list": "users",
    "users change": "users",
    "users disable": "users",
    "users enable": "users",
    "users reset": "users",
    "users link": "users",
    "users token": "users",
    "acts": "acts",
    "person find": "erase",
    "person export": "addresses",
    "person erase": "erase",
    "person erasures": "erase",
    "inbox": "words",
    "inbox show": "words",
    "inbox confirm": "correct",
    "inbox correct": "correct",
    "inbox case": "settle",
    "inbox respond": "settle",
    "cases": "cases",
    "cases show": "cases",
    "cases assign": "settle",
    "cases note": "settle",
    "cases close": "settle",
    "cases reopen": "settle",
    "corrections list": "correct",
    "corrections propose": "correct",
    "dead-letters list": "settings",
    "dead-letters retry": "settings",
    "messages preview": None,
    "topics create": None,
    "bench embedded": None,
    "bench live": None,
    "bench notices": None,
    "bench pages": None,
    "bench start-up": None,
}


_running: ContextVar[str] = ContextVar("running command", default="")


def start_command(path: str) -> None:
    """Note that a command runs, as in "keys create". Raises LookupError if it names no permission."""
    if path not in PERMISSIONS:
        raise LookupError(f"the command {path!r} names no permission (cli/permissions.py)")
    _running.set(path)


def running_command() -> str:
    """The command that runs."""
    return _running.get()
