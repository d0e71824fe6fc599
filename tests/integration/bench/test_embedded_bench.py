"""The benchmark of embedded mode measures the product and its upper bound on the same events."""

import pytest

from pipeline.bench import embedded


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize("measure", [embedded.measure_product, embedded.measure_limit])
def test_both_measurements_take_every_event(
    database_url: str, measure: embedded.Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "DEMO_DAYS", 1)
    run = measure(database_url, None)
    assert run.events > 100
    assert run.seconds > 0
