"""The kinds of process in a cluster. Imports nothing, so the command line can list them quickly."""

from enum import StrEnum


class ProcessRole(StrEnum):
    """What a process of a cluster does: `unvarnished run ROLE`."""

    WEB = "web"
    WORKER = "worker"
    DISPATCHER = "dispatcher"
    RELAY = "relay"
