"""`docker-compose.yml` as Compose itself reads it."""

import json
import os
from functools import cache
from typing import Any

from tests.support.servers import tools

# The values that the user has to set.
CHOSEN = {
    "UNVARNISHED_DB_PASSWORD": "a-password-of-the-database",
    "UNVARNISHED_MASTER_KEY": "0" * 64,
    "UNVARNISHED_SIGN_IN_TOKEN": "a-token-to-sign-in-with",
    "UNVARNISHED_METRICS_TOKEN": "a-token-that-reads-metrics",
    "GRAFANA_PASSWORD": "a-password-of-grafana",
}
FILES = ("docker-compose.yml", "deploy/compose.embedded.yml")
ROLES = ("web", "worker", "dispatcher", "relay")
OURS = ("migrate", "topics", *ROLES)


@cache
def services(file: str = FILES[0]) -> dict[str, Any]:
    """The services of a compose file, with all variables replaced. Raises AssertionError with the errors of Compose."""
    found: dict[str, Any] = json.loads(config(file, CHOSEN))["services"]
    return found


def config(file: str, chosen: dict[str, str]) -> str:
    """A compose file as Compose prints it, with only these variables. No .env is read."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    arguments = ("--env-file", os.devnull, "-f", file, "config", "--no-env-resolution", "--format", "json")
    return tools.run("docker-compose", *arguments, environment=kept | chosen)
