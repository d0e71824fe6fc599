"""When a broken cluster has recovered, as `make bench WHAT=faults` judges it: the slowest partition counts."""

import pytest

from tests.reliability.faults.monitor import Sample, progress_of_workers

A, B = ("orders", 0), ("orders", 1)


def look(at: float, committed: tuple[int, int], ends: tuple[int, int]) -> Sample:
    return Sample(at, dict(zip((A, B), committed, strict=True)), dict(zip((A, B), ends, strict=True)), 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("looks", "seconds"),
    [
        ([], None),
        ([look(10.5, (5, 5), (9, 5)), look(11, (7, 5), (9, 5))], None),  # too early to tell
        ([look(10.5, (5, 5), (9, 5)), look(11, (7, 5), (9, 5)), look(14, (9, 5), (9, 5))], 0.5),
        ([look(10.5, (5, 5), (9, 8)), look(11, (7, 5), (9, 8)), look(14, (9, 5), (9, 8))], None),  # B stands
        ([look(10.5, (5, 5), (9, 8)), look(11, (7, 5), (9, 8)), look(18, (9, 6), (9, 8))], 7.5),
        ([look(10.5, (5, 5), (5, 5)), look(12, (5, 5), (5, 8)), look(19, (5, 8), (5, 8))], 7.0),  # lags soon after
        ([look(10.5, (5, 5), (5, 5)), look(14, (5, 5), (5, 8))], 0.0),  # lags much later, for another reason
    ],
)
def test_the_slowest_of_the_partitions_that_lagged_soon_after_the_fault_counts(
    looks: list[Sample], seconds: float | None
) -> None:
    assert progress_of_workers(looks, moment=10.0) == seconds
