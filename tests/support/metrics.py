"""Current values of metrics."""

from prometheus_client import Counter


def value(counter: Counter) -> float:
    (metric,) = counter.collect()
    return next(sample.value for sample in metric.samples if sample.name.endswith("_total"))
