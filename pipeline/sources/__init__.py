"""Sources of events other than HTTP and Kafka: histories that `unvarnished replay` processes."""

from pipeline.consumers.intake import Incoming

__all__ = ["Incoming"]
