"""Prints the counts, and with `-v` the files and calls."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.tracing.alert import PACKAGES, trace_alert
from tests.support.tracing.cluster import trace_cluster
from tests.support.tracing.delivery import trace_embedded
from tests.support.tracing.recorder import Call, crossings, files, moves


def main() -> None:
    """Trace all paths."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        alert = trace_alert(folder)
        delivery = trace_embedded(folder)
        cluster = trace_cluster(folder)
    print(f"delivery event, embedded: {len(files(delivery))} files, {moves(delivery)} moves between files")
    print(f"delivery event, cluster:  {len(files(cluster))} files")
    crossed = crossings(alert, PACKAGES)
    print(f"pair that opens an alert: {len(crossed)} calls between {', '.join(PACKAGES)}", dict(Counter(crossed)))
    if "-v" in sys.argv:
        for path, calls in (("embedded", delivery), ("cluster", cluster), ("alert", alert)):
            _show(path, calls)


def _show(path: str, calls: Sequence[Call]) -> None:
    print(f"\n{path}\n  " + "\n  ".join(sorted(files(calls))))
    for call in calls:
        if call.file != call.caller:
            print(f"    {call.caller} -> {call.file} {call.function}")


if __name__ == "__main__":
    main()
