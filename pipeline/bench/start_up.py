"""CPU time of starting commands. The limits are those that a person does not notice on a quiet machine."""

import os
import resource
import subprocess
import sys
import tempfile

from rich.console import Console

COMMANDS = (("--help", 0.5), ("keys list --help", 0.5), ("report", 1.5))
"""Arguments of the command, and its limit in seconds of CPU time."""


def measure(console: Console, repeats: int) -> None:
    """Start each command `repeats` times on an empty database, and print the shortest CPU time of each."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"UNVARNISHED_DATA_DIR": folder}
        _cpu_seconds("migrate", environment)
        for arguments, limit in COMMANDS:
            seconds = min(_cpu_seconds(arguments, environment) for _ in range(repeats))
            console.print(f"{arguments:<18} {seconds:5.2f} s of CPU (limit {limit:g} s)", highlight=False)


def _cpu_seconds(arguments: str, environment: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "pipeline", *arguments.split()]
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)  # noqa: S603
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
