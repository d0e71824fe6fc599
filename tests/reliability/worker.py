"""A process for kill tests: runs the simulated company in embedded mode, and can print a line for every statement."""

import sys

from sqlalchemy import Engine, event

from pipeline.app.installation import Installation
from pipeline.demo.company import LEVELS, Company
from pipeline.demo.start import play_demo
from tests.support.running.embedded import embedded

SEED, DAYS, BATCH = 7, 4, 50


def play(url: str, print_statements: bool = False) -> Engine:
    """Continue where an earlier process ended, up to the end of the last day."""
    runtime = embedded(url, levels=LEVELS, batch=BATCH)
    if print_statements:
        event.listen(runtime.engine, "before_cursor_execute", _print_statement)
        event.listen(runtime.engine, "commit", _print_statement)
    play_demo(Installation(runtime.store, runtime.setup, runtime), Company(SEED), DAYS)
    return runtime.engine


def _print_statement(*_: object) -> None:
    sys.stdout.write(".\n")
    sys.stdout.flush()


if __name__ == "__main__":
    play(sys.argv[1], print_statements=True).dispose()
