"""A process to be killed: takes the simulated company through the embedded runtime, telling of every statement."""

import sys

from sqlalchemy import Engine, event

from pipeline.app.installation import Installation
from pipeline.demo.company import LEVELS, Company
from pipeline.demo.start import play_demo
from tests.support.running.embedded import embedded

SEED, DAYS, BATCH = 7, 4, 50


def play(url: str, tell: bool = False) -> Engine:
    """From where an earlier process ended to the end of the last day."""
    runtime = embedded(url, levels=LEVELS, batch=BATCH)
    if tell:
        event.listen(runtime.engine, "before_cursor_execute", _tell)
        event.listen(runtime.engine, "commit", _tell)
    play_demo(Installation(runtime.store, runtime.setup, runtime), Company(SEED), DAYS)
    return runtime.engine


def _tell(*_: object) -> None:
    sys.stdout.write(".\n")
    sys.stdout.flush()


if __name__ == "__main__":
    play(sys.argv[1], tell=True).dispose()
