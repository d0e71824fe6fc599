"""Where events come from besides the doors: histories that are replayed."""

from pipeline.consumers.intake import Incoming

__all__ = ["Incoming"]
