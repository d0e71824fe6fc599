"""The recovery time of a cluster after a fault, as `make bench WHAT=faults` measures it."""

import pytest

from tests.reliability.faults.monitor import Sample, progress_of_workers

A, B = ("orders", 0), ("orders", 1)


def sample(at: float, committed: tuple[int, int], ends: tuple[int, int]) -> Sample:
    return Sample(at, dict(zip((A, B), committed, strict=True)), dict(zip((A, B), ends, strict=True)), 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("samples", "seconds"),
    [
        ([], None),
        ([sample(10.5, (5, 5), (9, 5)), sample(11, (7, 5), (9, 5))], None),  # too early to decide
        ([sample(10.5, (5, 5), (9, 5)), sample(11, (7, 5), (9, 5)), sample(14, (9, 5), (9, 5))], 0.5),
        (
            [sample(10.5, (5, 5), (9, 8)), sample(11, (7, 5), (9, 8)), sample(14, (9, 5), (9, 8))],
            None,
        ),  # B does not move
        ([sample(10.5, (5, 5), (9, 8)), sample(11, (7, 5), (9, 8)), sample(18, (9, 6), (9, 8))], 7.5),
        (
            [sample(10.5, (5, 5), (5, 5)), sample(12, (5, 5), (5, 8)), sample(19, (5, 8), (5, 8))],
            7.0,
        ),  # lags soon after
        ([sample(10.5, (5, 5), (5, 5)), sample(14, (5, 5), (5, 8))], 0.0),  # lags much later, for another reason
    ],
)
def test_the_recovery_time_is_that_of_the_slowest_partition_that_lagged_soon_after_the_fault(
    samples: list[Sample], seconds: float | None
) -> None:
    assert progress_of_workers(samples, moment=10.0) == seconds
